"""The measurements of the services, in little: they find what must be so at any length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rtc_stt.bench import requests
from tests.e2e import support
from tools.ingest.watch import metric

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


@pytest.mark.long
def test_the_soak_loses_nothing_and_knows_every_answer(tmp_path: Path) -> None:
    result = support.measured("tools.services", tmp_path, "soak", "--requests", "120")
    marks = result["marks"]
    assert (marks["answers_lost"]["met"], marks["ends_badly"]["met"]) == (True, True), result
    assert not result["unexpected"]
    assert result["statuses"]["200"] > 90
    assert result["broken_off"] > 0
    for name in ("primary", "fallback"):
        assert marks[f"{name}_more_tasks"]["met"]
        assert [look[0] for look in result[name]] == [20, 40, 60, 80, 100, 120]


@pytest.mark.long
def test_the_load_is_answered_at_every_step(tmp_path: Path) -> None:
    plot = tmp_path / "load.svg"
    result = support.measured("tools.services", tmp_path, "load", "--seconds", "1", "--plot", str(plot))
    assert [step["concurrency"] for step in result["steps"]] == [1, 2, 4, 8, 16]
    for step in result["steps"]:
        assert (step["lost"], set(step["statuses"])) == (0, {"200"})
        assert step["throughput"] > 1
    assert result["knee"] in (1, 2, 4, 8, 16)
    assert plot.read_text(encoding="utf-8").startswith("<svg")


def test_a_longer_recording_takes_no_more_than_its_upload(tmp_path: Path) -> None:
    result = support.measured(
        "tools.services", tmp_path, "memory", "--formats", "ogg", "--short", "0.2", "--long", "1"
    )
    assert all(mark["met"] for mark in result["marks"].values()), result
    for found in result["formats"].values():
        assert found["long"]["heard_minutes"] == pytest.approx(1, abs=0.01)
        assert found["long"]["words"] > 3 * found["short"]["words"] > 0


async def test_more_than_it_takes_is_told_so_and_nothing_is_lost(
    start_server: Callable[..., support.Process],
) -> None:
    """Sixteen clients where two recordings are taken at a time: all others are asked to come back."""
    server = start_server("primary", "--demo", "--port", "0", MAX_REQUESTS="2")
    url = server.url()
    result = await asyncio.to_thread(requests.run, requests.Plan(url, steps=(16,), seconds=2), lambda _: None)
    (step,) = result["steps"]
    assert set(step["statuses"]) == {"200", "503"}
    assert (step["lost"], step["problems"]) == (0, {"unavailable": step["statuses"]["503"]})
    refused = await metric(url, "rtc_stt_rejected_total")
    assert refused['{reason="requests"}'] == step["statuses"]["503"]
    await asyncio.to_thread(server.stop)
