"""The tables say what the results say, and the document what the tables say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rtc_stt.bench.peers.__main__ import DOCUMENT, documented
from rtc_stt.bench.peers.standings import standings
from rtc_stt.bench.peers.tables import BEGIN, END, tables, with_tables
from tests.bench.peers.made import result

SETTINGS: dict[str, Any] = {
    "models": "demo",
    "cost_only": False,
    "language": "en",
    "hangover_ms": 500,
    "rounds": 2,
    "cores": 2,
    "threads_of_a_decode": {"1": 2, "8": 1},
    "data": {"scenes": 20, "sets": ["single"]},
    "provenance": {"machine": {"cpu": "a CPU"}, "date": "2026-11-21", "commit": "abc"},
}


def told(**more):
    found = {
        ("ours-websocket", 1): result(560, 570),
        ("ours-websocket", 8): result(600, 640, speakers=8),
        ("whisperlive", 1): result(1_500, 1_600, more={"word_errors": 1}),
        ("whisperlive", 8): replace(result(9_000, 10_500, speakers=8), failures=3, interrupted=True),
        ("pipecat_whisper", 1): result(900, 950, more={"ttfp_ms": None, "has_partials": False, "wel_ms": ()}),
    }
    return standings(found, {**SETTINGS, **more})


def line(text, start):
    return next(line for line in text.splitlines() if line.startswith(f"| {start}"))


def test_a_system_is_a_line():
    text = tables(told())
    assert line(text, "rtc-stt, WebSocket") == (
        "| rtc-stt, WebSocket | 60 / 70 | 100 / 140 | 1.12× | 0 of 2 / 0 of 2 | 300 / 300 | 200 | 1.0 |"
    )
    assert (
        line(text, "Pipecat Whisper") == "| Pipecat Whisper | 400 / 450 | – | – | 0 of 2 / – | – | – | 1.0 |"
    )


def test_a_row_that_is_in_doubt_says_so():
    assert line(tables(told()), "WhisperLive").startswith(
        "| WhisperLive (interrupted at 8, 3 lines failed at 8) | 1000 / 1100 | 8500 / 10000 | 6.56× |"
    )


def test_marks_that_were_missed_say_so():
    found = standings({("ours-websocket", 1): result(800), ("whisperlive", 1): result(900)}, SETTINGS)
    assert "| TTFS less hangover to the best peer's, p50, one session | 0.2 | 0.75 (**missed**) |" in tables(
        found
    )


def test_random_weights_are_not_judged_by_their_words():
    text = tables(told(cost_only=True))
    assert "word error rate" not in text
    assert "TTFP p50, ms" not in text
    assert "random weights: cost only" in text


def test_every_row_has_as_many_cells_as_its_head():
    lines = [line for line in tables(told()).splitlines() if line.startswith("|")]
    widths, width = [], 0
    for above, here in zip(["", *lines], lines, strict=False):
        if not width or here.startswith(("| system", "| asked")):
            width = here.count("|")
        widths.append(here.count("|") == width)
        assert above is not None
    assert all(widths)


def test_tables_take_the_place_of_older_ones():
    document = f"before\n{BEGIN}\nstale words\n{END}\nafter"
    once = with_tables(document, [told()])
    assert with_tables(once, [told()]) == once
    assert once.startswith(f"before\n{BEGIN}\n**Models: demo**")
    assert once.endswith(f"\n{END}\nafter")
    assert "stale words" not in once


def test_a_document_without_a_place_is_refused():
    with pytest.raises(ValueError, match="the document has no"):
        with_tables("nothing", [])


def test_the_document_shows_the_committed_results():
    assert DOCUMENT.read_text("utf-8") == documented(), "python -m rtc_stt.bench.peers table"
