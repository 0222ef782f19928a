"""Where audio belongs on the clock of a call."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE
from signaling.telephony.leg_clock import JITTER_MS, SLACK_S, LegClock

JITTER = JITTER_MS * SAMPLE_RATE // 1000
STAMPS = st.floats() | st.integers() | st.integers(0, 60_000) | st.just(10**400)


@given(st.lists(st.tuples(STAMPS, st.integers(0, 2_000), st.floats(0, 5)), max_size=30))
def test_whatever_the_stamps_say_nothing_is_cut_out_and_time_is_not_left_behind(chunks):
    clock, now, audio, gaps = LegClock(100.0), 100.0, 0, 0
    for at_ms, samples, passed in chunks:
        now += passed
        before = clock.position
        gap = clock.gap_before(at_ms, now)
        assert gap == 0 or gap > JITTER
        latest = (now - 100.0 + SLACK_S) * SAMPLE_RATE
        assert before + gap <= max(before, latest)
        if 0 <= at_ms <= (now - 100.0 + SLACK_S) * 1000:
            assert before + gap >= at_ms * SAMPLE_RATE / 1000 - JITTER - 1
        clock.advance(gap)
        clock.advance(samples)
        audio, gaps = audio + samples, gaps + gap
        assert clock.position == audio + gaps


@given(st.lists(st.integers(1, 400), max_size=50), st.lists(st.integers(1, 400), max_size=50))
def test_chunks_that_follow_one_another_have_no_gap_however_they_are_cut(first, second):
    ends = []
    for sizes in (first, second):
        clock = LegClock(0.0)
        for size in sizes:
            assert clock.gap_before(clock.position * 1000 / SAMPLE_RATE, 1_000.0) == 0
            clock.advance(size)
        ends.append(clock.position - sum(sizes))
    assert ends == [0, 0]


@pytest.mark.parametrize(
    ("at_ms", "gap_ms"),
    [(0, 0), (60, 0), (61, 61), (1_000, 1_000), (12_000, 12_000), (-5, 0), (-math.inf, 0)],
)
def test_a_gap_is_as_long_as_the_stamp_says(at_ms, gap_ms):
    assert LegClock(0.0).gap_before(at_ms, 10.0) == gap_ms * SAMPLE_RATE // 1000


@pytest.mark.parametrize("at_ms", [12_001, math.inf, math.nan, 10**400])
def test_a_stamp_that_cannot_be_true_is_of_now(at_ms):
    clock = LegClock(0.0)
    assert clock.gap_before(at_ms, 10.0) == 10 * SAMPLE_RATE
    clock.advance(9 * SAMPLE_RATE + SAMPLE_RATE - JITTER)
    assert clock.gap_before(at_ms, 10.0) == 0


def test_what_is_behind_is_told():
    clock = LegClock(5.0)
    assert clock.behind(6.5) == 24_000
    clock.advance(32_000)
    assert clock.behind(6.5) == 0
    assert clock.at_ms == 2_000
