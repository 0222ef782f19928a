"""Turns are cut at their true times, however their sound comes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.targets.turn_cutter import Cut, TurnCutter

MS = 16


def turn(id: str, start_ms: int, end_ms: int) -> Turn:
    return Turn(id, "words", "en", start_ms, end_ms)


def sound(seconds: float) -> Samples:
    return np.arange(round(seconds * 16_000), dtype=np.float32)


def frames(samples: Samples, size: int = 320) -> list[Samples]:
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def played(cutter: TurnCutter, samples: Samples) -> list[tuple[int, Cut]]:
    """What is cut, and in which ms of the sound."""
    return [((n + 1) * 20, cut) for n, frame in enumerate(frames(samples)) for cut in cutter.push(frame)]


def span(cut: Cut) -> tuple[float, float]:
    return cut.samples[0] / MS, (cut.samples[-1] + 1) / MS


def test_a_turn_is_due_when_its_hangover_is_over() -> None:
    cutter = TurnCutter(500)
    cutter.scene_begins([turn("a", 1_000, 2_005)], 0)
    [(at, cut)] = played(cutter, sound(4))
    assert (at, cut.turn) == (2_520, "a")  # with the first frame that ends at or after 2,505 ms
    assert span(cut) == (700, 2_505)


def test_no_turn_reaches_into_its_neighbours() -> None:
    cutter = TurnCutter(500)
    cutter.scene_begins([turn("a", 100, 1_000), turn("b", 1_200, 2_000)], 0)
    cuts = played(cutter, sound(4))
    assert [at for at, _ in cuts] == [1_500, 2_500]
    assert [span(cut) for _, cut in cuts] == [(0, 1_200), (1_000, 2_500)]


def test_scenes_follow_on_one_line() -> None:
    cutter = TurnCutter(200)
    line = sound(6)
    cutter.scene_begins([turn("a", 500, 1_000)], 0)
    [(_, first)] = played(cutter, line[: 2_000 * MS])
    cutter.scene_begins([turn("b", 100, 1_000)], 2_000)
    [(at, second)] = played(cutter, line[2_000 * MS :])
    assert span(first) == (200, 1_200)
    assert (at, span(second)) == (1_200, (1_800, 3_200))  # its pre-roll is older than its scene


def test_only_what_may_be_wanted_is_kept() -> None:
    cutter = TurnCutter(500)
    played(cutter, sound(60))
    assert sum(map(len, cutter._frames)) <= 320 * MS


@given(st.lists(st.integers(1, 9_000), max_size=10), st.integers(0, 800))
def test_the_framing_changes_nothing(sizes: list[int], hangover_ms: int) -> None:
    turns = [turn("a", 50, 400), turn("b", 600, 900), turn("c", 900, 1_500)]
    line = sound(3)
    whole, pieces = TurnCutter(hangover_ms), TurnCutter(hangover_ms)
    for cutter in (whole, pieces):
        cutter.scene_begins(turns, 0)
    cut = whole.push(line)
    got, at = [], 0
    for size in [*sizes, len(line)]:
        got += pieces.push(line[at : at + size])
        at += size
    assert [c.turn for c in got] == [c.turn for c in cut] == ["a", "b", "c"]
    for one, other in zip(got, cut, strict=True):
        assert np.array_equal(one.samples, other.samples)
