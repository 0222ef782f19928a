"""Job after job; what is finished is kept, and a run goes on where it was."""

from __future__ import annotations

import math

import pytest

from rtc_stt.bench.peers.race import BrokenOff, Race, RaceSettings, systems
from rtc_stt.bench.peers.recipe import Job
from rtc_stt.bench.peers.weights import NAMES, locate
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedTarget
from rtc_stt.bench.turns.told import Final
from rtc_stt.errors import ConfigError, TargetFailed
from tests.bench.turns.virtual import VirtualLoop

FOREVER = math.inf


def settings(tmp_path, **more):
    known = {
        "scenes": manifest.load(sets=["single"], limit=2),
        "weights": locate("demo", tmp_path),
        "systems": ["ours-websocket", "whisperlive"],
        "sessions": [1, 2],
        "rounds": 2,
        "cores": 2,
        "data": {"folder": "turns"},
    }
    return RaceSettings(**(known | more))


def target(job: Job) -> ScriptedTarget:
    """Ours is ready 40 ms after the hangover, the others 400 ms."""
    late = 540 if job.system.startswith("ours") else 900
    return ScriptedTarget(lambda turns: [Cue(turns[-1].end_ms + late, Final(turns[-1].text))])


def race(tmp_path, make=target, **more):
    return Race(settings(tmp_path, **more), target=make, kept=tmp_path, make_loop=VirtualLoop)


def test_every_system_is_measured_and_its_rounds_are_merged(tmp_path):
    running = race(tmp_path)
    told: list[Job] = []
    running.run(FOREVER, told.append)
    assert told == running.jobs
    results = running.results()
    assert set(results) == {(s, n) for s in ("ours-websocket", "whisperlive") for n in (1, 2)}
    for (system, sessions), result in results.items():
        figures = result.summary["all"]["ttfs_less_hangover_ms"]
        assert figures["n"] == 2 * 2 * sessions
        assert figures["p95"] == pytest.approx(40 if system.startswith("ours") else 400, abs=1)


def test_what_is_finished_is_not_measured_again(tmp_path):
    first = race(tmp_path, rounds=1)
    first.run(FOREVER, lambda job: None)
    again = race(tmp_path, rounds=2)
    assert {job.round for job in again.open} == {1}
    other = race(tmp_path, hangover_ms=300)
    assert other.open == other.jobs
    assert race(tmp_path, commit="another").open


def test_nothing_is_begun_that_would_not_be_over_in_time(tmp_path):
    running = race(tmp_path)
    with pytest.raises(BrokenOff, match="time"):
        running.run(0.0, lambda job: None)
    assert running.results() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_does_not_start_is_named(tmp_path):
    def refuses(job):
        return (
            ScriptedTarget(lambda turns: [], refuses=range(10_000)) if "live" in job.system else target(job)
        )

    running = race(tmp_path, refuses)
    with pytest.raises(TargetFailed, match="whisperlive, 1 at a time: "):
        running.run(FOREVER, lambda job: None)
    assert set(running.results()) == {("ours-websocket", 1)}


def test_a_peer_that_is_not_installed_says_how_to(tmp_path):
    make = systems(settings(tmp_path), tmp_path)
    with pytest.raises(TargetFailed, match="install --peers whisperlive"):
        make(Job("whisperlive", 1, 0))


def test_ours_has_the_weights_of_the_peers_or_those_of_the_demo(tmp_path):
    make = systems(settings(tmp_path), tmp_path)
    assert [make(Job(f"ours-{name}", 1, 0)).name for name in ("websocket", "webrtc", "two-tiers")] == [
        "websocket", "webrtc", "websocket",
    ]  # fmt: skip
    configuration = locate("demo", tmp_path).configuration
    assert configuration["CT2_SMALL_PATH"].endswith("demo-medium")
    assert configuration["CT2_MEDIUM_PATH"] == ""


def test_models_that_there_are_not_are_refused(tmp_path):
    assert "demo" in NAMES
    with pytest.raises(ConfigError, match="no models"):
        locate("large", tmp_path)
