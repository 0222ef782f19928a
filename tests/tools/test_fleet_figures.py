"""Figures of what became of what was said."""

from __future__ import annotations

from typing import Any

import pytest

from tools.fleet.faults import FAULTS, marks
from tools.fleet.figures import (
    Phases,
    Said,
    Told,
    by_phase,
    delays,
    gone_on_after,
    longest_silence,
    missed_events,
    percentile,
)


def final(at: float, text: str, seq: int = 1) -> Told:
    return Told(at, "s", seq, text, is_transcript=True)


def partial(at: float, seq: int = 1) -> Told:
    return Told(at, "s", seq, is_transcript=True)


def numbered(*numbers: int, session: str = "s") -> list[Told]:
    return [Told(float(number), session, number) for number in numbers]


def test_finals_lie_beside_what_was_said() -> None:
    said = [Said("one two", 0.0, 1.0), Said("three", 2.0, 3.0), Said("one two", 4.0, 5.0)]
    told = [final(1.5, "One two."), final(3.25, "three"), final(5.75, "one two")]
    assert delays(said, told) == [(1.0, 0.5), (3.0, 0.25), (5.0, 0.75)]


def test_the_final_of_a_later_recording_is_not_that_of_an_earlier_one() -> None:
    said = [Said("one", 0.0, 1.0), Said("two", 2.0, 3.0), Said("one", 40.0, 41.0)]
    told = [final(1.5, "nine"), final(3.5, "two"), final(41.5, "one")]
    assert delays(said, told) == [(3.0, 0.5), (41.0, 0.5)]


def test_what_was_heard_otherwise_has_no_delay() -> None:
    said = [Said("one", 0.0, 1.0)]
    assert delays(said, [final(1.5, "nine")]) == []
    assert delays(said, [final(-1.0, "one")]) == [], "it was told before it was said"


def test_the_longest_silence_is_that_of_a_phase() -> None:
    told = [partial(1.0), Told(2.0, "s", 2), partial(3.0), partial(9.0), partial(10.0)]
    assert longest_silence(told, 0.0, 5.0) == 2.0
    assert longest_silence(told, 5.0, 20.0) == 6.0
    assert longest_silence(told, 20.0, 30.0) == 0.0


def test_a_session_has_gone_on_with_the_first_word_that_was_said_after() -> None:
    said = [Said("one", 0.0, 1.0), Said("two", 3.0, 4.0)]
    assert gone_on_after([final(2.5, "one"), partial(3.5)], said, 2.0) == -0.5
    assert gone_on_after([final(2.5, "one"), final(6.0, "two")], said, 2.0) == 2.0
    assert gone_on_after([final(2.5, "one")], said, 2.0) is None
    assert gone_on_after([final(9.0, "one")], said, 5.0) is None, "nothing was said any more"


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [((1, 2, 3), 0), ((1, 3), 1), ((2, 3), 1), ((), 0), ((1, 5), 3), ((1, 2, 2), 0)],
)
def test_numbers_that_are_missing_are_counted(numbers: tuple[int, ...], missing: int) -> None:
    assert missed_events(numbered(*numbers)) == missing


def test_each_session_is_counted_for_itself() -> None:
    assert missed_events([*numbered(1, 2), *numbered(1, 3, session="t"), *numbered(3, 4)]) == 1


def test_phases() -> None:
    phases = Phases(10.0, 20.0)
    found = by_phase([(9.0, 1.0), (10.0, 2.0), (19.9, 3.0), (20.0, 4.0)], phases)
    assert found == {"before": [1.0], "during": [2.0, 3.0], "after": [4.0]}


def test_percentiles() -> None:
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert percentile([], 50) is None


def group(**changes: Any) -> dict[str, Any]:
    words = {"spoken": 9, "in_no_final": 0, "in_two": 0, "other": 0}
    return {"words": {"websocket": words}, "events_missed": 0, "gave_up": []} | changes


def test_what_is_lost_misses_a_mark() -> None:
    lost = {"websocket": {"spoken": 9, "in_no_final": 2, "in_two": 0, "other": 0}}
    told = {
        "none": {"lived": group(), "gateway_died": None},
        "gateway_killed": {"lived": group(), "gateway_died": group(words=lost)},
        "head_killed": {"failed": "RuntimeError: no"},
    }
    missed = {name for name, mark in marks(told).items() if not mark["met"]}
    assert missed == {"gateway_killed: words in no final", "head_killed: could not be run"}
    assert marks({"x": {"lived": group(events_missed=3)}})["x: events missed"]["value"] == 3


def test_the_control_is_first_and_who_leaves_the_most_behind_last() -> None:
    assert next(iter(FAULTS)) == "none"
    assert list(FAULTS)[-1] == "head_killed"
