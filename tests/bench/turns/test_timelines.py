"""The few scenes that a page draws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtc_stt.bench.turns.timelines import MAX_TIMELINES, choose, timeline, timeline_from_json
from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed
from tests.bench.turns.made_rows import made
from tests.bench.turns.observed import observation, turn


def played(*names):
    """Observations and rows of scenes named ``set.number``, all well but for their TTFS: 500 ms."""
    seen = [observation(turns=(turn("yes"),), id=name, set=name.split(".")[0]) for name in names]
    return seen, [made(scene=name, set=name.split(".")[0], ttfs_ms=500.0) for name in names]


def names(chosen):
    return [seen.scene.id for seen in chosen]


def test_the_first_of_each_set_the_slowest_and_one_that_was_cut_off():
    seen, rows = played("a.1", "a.2", "a.3", "b.1", "b.2", "b.3")
    rows[2] = made(scene="a.3", set="a", ttfs_ms=900.0)
    rows[4] = made(scene="b.2", set="b", is_cut_off=True)
    rows[5] = made(scene="b.3", set="b", is_cut_off=True)
    assert names(choose(seen, rows)) == ["a.1", "a.3", "b.1", "b.2"]


def test_a_scene_that_is_several_of_these_is_chosen_once():
    seen, rows = played("a.1", "a.2")
    assert names(choose(seen, rows)) == ["a.1"]


def test_of_many_sets_the_slowest_and_the_cut_off_stay():
    seen, rows = played(*(f"{letter}.{n}" for letter in "abcdefghij" for n in (1, 2)))
    rows[-1] = made(scene="j.2", set="j", ttfs_ms=10_000.0)
    rows[-3] = made(scene="i.2", set="i", is_cut_off=True)
    chosen = names(choose(seen, rows))
    assert len(chosen) == MAX_TIMELINES
    assert chosen == ["a.1", "b.1", "c.1", "d.1", "e.1", "f.1", "i.2", "j.2"]


def test_rows_and_observations_of_other_rounds_are_left_out():
    seen, rows = played("a.1", "a.2")
    again, _ = played("a.2")
    slow = made(scene="a.2", set="a", ttfs_ms=9_000.0, round=1)
    chosen = choose([*seen, *again], [*rows, slow])
    assert len(chosen) == 1
    assert chosen[0] is seen[0]


def test_nothing_is_chosen_from_nothing():
    assert choose([], []) == []
    seen, _ = played("a.1")
    assert choose(seen, []) == []


def test_a_timeline_is_fit_for_a_page():
    seen = observation(
        (-20, Partial("n")),
        (100.04, Partial("no")),
        (150, Eager("no")),
        (200, Resumed()),
        (300, Endpoint()),
        (350, Final("No.")),
        (400, Dropped("noise")),
        (500, Failed("gone")),
        turns=(turn("no", 10),),
        id="s9",
        set="barge-in",
    )
    audio = np.zeros(1_000, np.float32)  # 62.5 ms: three frames and an eighth
    audio[320:640] = 0.5
    audio[640:960] = -0.25
    told = timeline(seen, audio)
    assert told == {
        "scene": "s9",
        "set": "barge-in",
        "speaker": 0,
        "audio_ms": 62,
        "envelope": [0.0, 1.0, 0.5, 0.0],
        "turns": [{"start_ms": 10, "end_ms": 260, "text": "no", "words": [("no", 10, 260)]}],
        "events": [
            {"at_ms": -20.0, "type": "partial", "text": "n"},
            {"at_ms": 100.0, "type": "partial", "text": "no"},
            {"at_ms": 150.0, "type": "eager", "text": "no"},
            {"at_ms": 200.0, "type": "resumed"},
            {"at_ms": 300.0, "type": "endpoint"},
            {"at_ms": 350.0, "type": "final", "text": "No."},
            {"at_ms": 400.0, "type": "dropped"},
            {"at_ms": 500.0, "type": "failed"},
        ],
    }
    assert timeline_from_json(json.loads(json.dumps(told)), "it") == told


@pytest.mark.parametrize(("samples", "envelope"), [(0, []), (640, [0.0, 0.0])])
def test_silence_has_a_flat_envelope(samples, envelope):
    seen = observation(turns=(turn("no"),))
    assert timeline(seen, np.zeros(samples, np.float32))["envelope"] == envelope
