"""Positions in the audio as wall-clock time, whatever the pace of the audio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.plugins.livekit.clock import KEPT_S, Clock


def test_audio_that_comes_as_it_is_spoken():
    clock = Clock(100.0)
    for number in range(1, 11):
        clock.heard(number * 0.1, 100.0 + number * 0.1 + 0.02)
    assert clock.wall(0.5) == pytest.approx(100.52)
    assert clock.wall(2.0) == pytest.approx(102.02), "that is to come"


def test_nothing_is_known_before_anything_is_heard():
    assert Clock(100.0).wall(0.0) is None


def test_audio_that_had_to_wait_is_as_old_as_it_is():
    clock = Clock(100.0)
    for number in range(1, 31):
        clock.heard(number * 0.1, 103.0)  # three seconds at once
    assert clock.wall(0.0) == pytest.approx(100.0)
    assert clock.wall(2.5) == pytest.approx(102.5)


def test_where_audio_stops_for_a_while_what_follows_is_later():
    clock = Clock(100.0)
    clock.heard(1.0, 101.0)
    clock.heard(2.0, 107.0)
    assert clock.wall(0.9) == pytest.approx(100.9)
    assert clock.wall(1.5) == pytest.approx(106.5)


def test_nothing_was_spoken_before_it_began():
    clock = Clock(100.0)
    clock.heard(60.0, 110.0)  # a file
    assert clock.wall(0.0) == 100.0


def test_what_is_kept_does_not_grow():
    clock = Clock(0.0)
    for number in range(1, 10_000):
        clock.heard(number * 0.1, number * 0.2)
    assert len(clock._lags) <= KEPT_S / 0.1 + 2
    steady = Clock(0.0)
    for number in range(1, 10_000):
        steady.heard(number * 0.1, number * 0.1 + (number % 7) * 0.01)
    assert len(steady._lags) <= 7


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 2)), min_size=1, max_size=30), st.floats(0, 10))
def test_it_never_goes_back_and_is_never_in_the_future(pieces, position):
    clock, end, now = Clock(0.0), 0.0, 0.0
    for length, pause in pieces:
        end, now = end + length, now + pause
        clock.heard(end, now)
    at, later = clock.wall(min(position, end)), clock.wall(end)
    assert at is not None
    assert later is not None
    assert at <= later + 1e-6
    assert later <= now + 1e-6
