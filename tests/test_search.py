"""The search for how many sessions are carried."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.search import NEAR, TRIES, Found, Trial, Verdict, found, next_sessions

C, T, V = Verdict.CARRIED, Verdict.TOO_MANY, Verdict.VOID


def search(verdict: Callable[[int, int], Verdict], most: int, near: float = NEAR) -> list[Trial]:
    """All tries; ``verdict`` is asked with the sessions and the number of the try."""
    trials: list[Trial] = []
    while (sessions := next_sessions(trials, most=most, near=near)) is not None:
        trials.append(Trial(sessions, verdict(sessions, len(trials))))
        assert len(trials) < 100, "it does not end"
    return trials


def test_it_doubles_and_then_takes_the_middle() -> None:
    trials = search(lambda sessions, _: C if sessions <= 11 else T, most=64)
    assert [trial.sessions for trial in trials] == [1, 2, 4, 8, 16, 16, 12, 12, 10, 11]
    assert found(trials) == Found(11, 12, is_void=False)


def test_what_failed_once_may_have_been_ill_luck() -> None:
    trials = search(lambda _, n: T if n == 1 else C, most=4)
    assert [trial.sessions for trial in trials] == [1, 2, 2, 4]
    assert found(trials) == Found(4, None, is_void=False)
    assert found(trials).is_at_least


def test_where_not_even_one_is_carried_it_ends() -> None:
    assert search(lambda *_: T, most=64) == [Trial(1, T), Trial(1, T)]
    assert found([Trial(1, T), Trial(1, T)]) == Found(0, 1, is_void=False)


def test_late_speakers_end_it_with_at_least_what_was_carried() -> None:
    trials = search(lambda sessions, _: C if sessions <= 4 else V, most=64)
    assert [trial.sessions for trial in trials] == [1, 2, 4, 8, 8]
    assert found(trials) == Found(4, None, is_void=True)
    assert found(trials).is_at_least


def test_late_speakers_in_the_middle_leave_the_upper_bound() -> None:
    told = {1: C, 2: C, 4: C, 8: T, 6: V}
    trials = search(lambda sessions, _: told[sessions], most=64)
    assert found(trials) == Found(4, 8, is_void=True)


def test_near_enough_ends_it_sooner() -> None:
    trials = search(lambda sessions, _: C if sessions <= 5 else T, most=48, near=0.5)
    assert [trial.sessions for trial in trials] == [1, 2, 4, 8, 8, 6, 6]


@given(st.integers(0, 300), st.integers(1, 200), st.sampled_from([0.0, NEAR, 0.5]))
def test_a_sharp_limit_is_found(limit: int, most: int, near: float) -> None:
    trials = search(lambda sessions, _: C if sessions <= limit else T, most, near)
    told = found(trials)
    assert all(1 <= trial.sessions <= most for trial in trials)
    assert told.carried <= limit
    if limit >= most:
        assert told == Found(most, None, is_void=False)
    else:
        assert told.too_many is not None
        assert limit < told.too_many
        assert told.too_many - told.carried <= max(1, near * told.carried)
        assert not told.is_at_least


@given(st.data(), st.integers(1, 200))
def test_whatever_comes_it_ends_and_tries_nothing_more_than_twice(data: st.DataObject, most: int) -> None:
    trials = search(lambda *_: data.draw(st.sampled_from([C, T, V])), most)
    for trial in trials:
        same = [other.verdict for other in trials if other.sessions == trial.sessions]
        assert len(same) <= TRIES
        assert C not in same[:-1], "what went well is not tried again"
    told = found(trials)
    assert told.carried == max([t.sessions for t in trials if t.verdict is C], default=0)
    assert told.too_many is None or told.too_many > told.carried


@pytest.mark.parametrize("most", [1, 2, 3, 48])
def test_no_more_than_allowed(most: int) -> None:
    trials = search(lambda *_: C, most)
    assert trials[-1].sessions == most
