"""How often something may happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.token_bucket import TokenBucket


def test_after_a_rest_a_burst_is_granted_and_no_more():
    bucket = TokenBucket(rate=1, burst=3)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]


def test_tokens_come_back_at_the_rate():
    bucket = TokenBucket(rate=2, burst=1)
    assert [bucket.take(t) for t in (0.0, 0.4, 0.5, 0.9, 1.0)] == [True, False, True, False, True]


def test_a_long_rest_gives_no_more_than_the_burst():
    bucket = TokenBucket(rate=10, burst=2)
    bucket.take(0.0)
    assert sum(bucket.take(3_600.0) for _ in range(10)) == 2


def test_it_tells_how_long_to_wait():
    bucket = TokenBucket(rate=4, burst=1)
    assert bucket.wait_s() == 0
    bucket.take(0.0)
    assert bucket.wait_s() == pytest.approx(0.25)
    assert not bucket.take(0.1)
    assert bucket.wait_s() == pytest.approx(0.15)


@given(
    rate=st.floats(0.1, 100),
    burst=st.floats(0, 50),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_span_of_time_is_granted_more_than_burst_and_rate_allow(rate, burst, steps):
    bucket, now, granted = TokenBucket(rate, burst), 1_000.0, []
    for step in steps:
        now += step
        if bucket.take(now):
            granted.append(now)
    for i, first in enumerate(granted):
        for count, last in enumerate(granted[i:], 1):
            assert count <= burst + rate * (last - first) + 1e-6


@given(rate=st.floats(0.1, 100), burst=st.floats(1, 50), steps=st.lists(st.floats(0, 5), max_size=30))
def test_who_waits_as_told_is_granted(rate, burst, steps):
    bucket, now = TokenBucket(rate, burst), 0.0
    for step in steps:
        now += step
        if not bucket.take(now):
            now += bucket.wait_s() + 1e-6
            assert bucket.take(now)


def test_what_was_saved_up_beyond_a_smaller_burst_is_lost():
    bucket = TokenBucket(rate=1, burst=10)
    bucket.change(rate=0.5, burst=4)
    assert sum(bucket.take(0.0) for _ in range(10)) == 4
    bucket.change(rate=1, burst=10)
    assert sum(bucket.take(0.0) for _ in range(10)) == 0, "and what was lost does not come back at once"
    assert sum(bucket.take(3.0) for _ in range(10)) == 3
