"""Fleets that are larger than any machine here, in little; and how the clips are spoken."""

from __future__ import annotations

import argparse
import json

import pytest

from rtc_stt.bench.clips import load
from tools.simulation import check, fleet


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


def test_speakers_are_simulated_as_the_clips_are_spoken():
    clips = load("clean", limit=4)
    manner = check._manner(clips, pauses_a_turn=0.5)
    assert manner.turn_s == tuple((c.speech_end_ms - c.speech_start_ms) / 1000 for c in clips)
    assert min(manner.silence_s) > 1.0
    assert manner.pause_every_s == pytest.approx(2 * sum(manner.turn_s) / 4)
