"""The side-by-side measurement of the receive paths: its arithmetic."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from rtc_stt.bench.plot import Chart, Line, write
from tools.ingest.receive import behind_holes, draw, marks, summary
from tools.ingest.talker import _schedule


def test_packets_behind_a_hole_are_found() -> None:
    come = [number for number in range(30) if number not in (10, 12, 20)]
    delays = [(number, float(number)) for number in come]
    # 10: 12 is missing between; those behind 12 and 20 are in one piece.
    assert behind_holes([delays], 5) == [17.0, 25.0]
    assert behind_holes([[(number, 0.0) for number in range(30)]], 5) == []


def heard(delay: float, samples: int = 16_000) -> dict[str, Any]:
    return {
        "cpu_percent": 10.0,
        "rss_mib": 90.0,
        "waited_ms": 1.0,
        "delays_ms": [[(number, delay) for number in range(50) if number != 20]],
        "samples": {"received": samples, "concealed": 0, "lost": 0},
    }


def test_a_summary_is_for_one_session_and_of_what_was_sent() -> None:
    told = summary(heard(61.0), {"packets": 50, "timer_late_ms": 1.0}, 1)
    assert told["cpu_percent_per_session"] == 10.0
    assert told["late_frames"] == 49
    assert told["media_time_percent"]["in_all"] == 100.0
    assert told["delay_ms"]["p50"] == 61.0


def figures(delay: float, cpu: float) -> tuple[dict[str, Any], dict[str, Any]]:
    def of(delay: float, cpu: float) -> dict[str, Any]:
        told = summary(heard(delay), {"packets": 50, "timer_late_ms": 1.0}, 1)
        return told | {"cpu_percent_per_session": cpu}

    load = {
        "stock": {"20": of(80, 1.5), "80": of(80, 1.5)},
        "own": {"20": of(delay, cpu), "80": of(delay, cpu)},
    }
    network = {path: {"loss_0": of(delay, cpu), "loss_5": of(delay, cpu)} for path in ("stock", "own")}
    return load, network


def test_the_marks_are_met_and_missed() -> None:
    assert all(marks(*figures(1.0, 0.5)).values())
    assert not any(
        met for mark, met in marks(*figures(61.0, 0.6)).items() if not mark.startswith("media_time")
    )


def test_the_picture_is_well_formed_and_has_a_line_for_each_path() -> None:
    root = ElementTree.fromstring(draw(*figures(1.0, 0.5)))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f".//{space}polyline")) == 6
    texts = [text.text for text in root.findall(f".//{space}text")]
    assert {"stock aiortc", "rtc-stt", "CPU per session"} <= set(texts)


def test_a_chart_of_nothing_but_zeros_can_be_drawn() -> None:
    root = ElementTree.fromstring(write([Chart("a & b", "<", ">", [Line("x", [(0, 0), (1, 0)])])]))  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    assert {"a & b", "<", ">", "x"} <= {text.text for text in root.findall(f".//{space}text")}
    [line] = root.findall(f".//{space}polyline")
    assert "nan" not in line.attrib["points"]


def test_the_sessions_are_spread_over_a_frame_and_lose_their_own_packets() -> None:
    due = _schedule(4, 100, {"loss": 0.2})
    assert due == sorted(due)
    assert [at for at, _, number in due if number == 0] == pytest.approx(
        [0.005 * session for _, session, number in due if number == 0]
    )
    kept = [{number for _, other, number in due if other == session} for session in range(4)]
    assert len({frozenset(numbers) for numbers in kept}) == 4
