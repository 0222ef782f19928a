"""Fleets that are larger than any machine here, in little; and how the clips are spoken."""

from __future__ import annotations

import argparse
import json

import pytest

from rtc_stt.bench.carrying import carrying
from rtc_stt.bench.clips import load
from rtc_stt.bench.manners import manner_of
from rtc_stt.bench.times import with_carrying
from rtc_stt.config import Endpointing
from rtc_stt.hypothesis import Tier, Urgency
from rtc_stt.simulation import ServiceTimes, read_times
from rtc_stt.simulation.calls import Asked, Call
from rtc_stt.vad import EnergyDetector
from tools.simulation import compare, fleet


def test_a_fleet_is_all_of_its_nodes(tmp_path):
    table = {"batches": [1], "lengths_s": [1.0], "seconds": [[0.02]]}
    times = tmp_path / "times.json"
    times.write_text(
        json.dumps({"name": "one", "concurrency": 1, "tiers": {"fast": table}}), encoding="utf-8"
    )
    parser = argparse.ArgumentParser()
    fleet.add_arguments(parser)
    plot = tmp_path / "fleet.svg"
    asked = [
        "--times",
        str(times),
        "--per-node",
        "4",
        "--sessions",
        "4,10",
        "--seconds",
        "20",
        "--plot",
        str(plot),
    ]
    told = fleet.measure(parser.parse_args(asked))["fleets"]
    assert [(row["sessions"], row["nodes"]) for row in told] == [(4, 1), (10, 3)]
    assert 1.5 < told[1]["finals"] / told[0]["finals"] < 4
    assert told[0]["final_decode_p95_ms"] >= 20
    assert "A partial" in plot.read_text(encoding="utf-8")


def test_speakers_are_simulated_as_the_clips_are_heard():
    clips = load("clean", limit=4)
    manner = manner_of(
        [clip.audio() for clip in clips], EnergyDetector(), Endpointing(), silence_s=1.0, rounds=1
    )
    assert len(manner.turns) >= 4
    assert all(0.5 < sum(s.speech_s + s.gap_s for s in turn) < 6 for turn in manner.turns)
    assert min(manner.silence_s) > 0.5, "the hangover at least"


def test_what_sessions_cost_a_call_is_told_by_their_number_and_grows():
    table = ServiceTimes((1,), (1.0,), ((0.1,),))
    asked = (Asked(Urgency.PARTIAL, 1.0, 0.0),)
    runs = {n: [Call(Tier.FAST, 0.0, s, asked)] * 30 for n, s in ((2, 0.15), (8, 0.2), (16, 0.18))}
    told = carrying(table, runs)
    assert (told["sessions"], told["stretch"]) == ([2, 8, 16], [1.5, 2.0, 2.0])
    assert carrying(table, {2: runs[2][:5]}) == {}, "too few to say"
    whole = with_carrying({"name": "x", "concurrency": 1, "tiers": {"fast": vars_of(table)}}, told)
    times = read_times(json.dumps(whole))
    assert [times.stretch(n) for n in (1, 2, 5, 8)] == [1.5, 1.5, pytest.approx(1.75), 2.0]


def vars_of(table: ServiceTimes) -> dict[str, object]:
    return {"batches": table.batches, "lengths_s": table.lengths_s, "seconds": table.seconds}


def test_what_is_real_is_drawn_beside_what_is_simulated():
    figures = {"p95_ms": {"real": 71.0, "simulated": 73.5, "single_runs": [60.0, 90.0]}}
    rows = [{"sessions": sessions, "partial": figures, "final_decode": figures} for sessions in (3, 6, 9)]
    drawn = compare.picture(rows)
    for word in ("A partial", "A final", "real", "simulated", "by chance, least", "sessions"):
        assert word in drawn
    assert drawn.count("<polyline") == 8
