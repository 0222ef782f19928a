"""Figures of the newest values, each of them one that came."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.percentiles import Percentiles, RollingPercentiles

NUMBERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


def rolling(values: list[float], window: int = 1_000) -> Percentiles:
    window_of = RollingPercentiles(window)
    for value in values:
        window_of.add(value)
    return window_of.summary()


def test_without_values_there_are_no_figures():
    assert RollingPercentiles().summary() == Percentiles(0, None, None, None)


def test_a_hundred_values_are_their_own_percentiles():
    assert rolling([float(n) for n in range(100, 0, -1)]) == Percentiles(100, 50, 95, 99)


def test_one_value_is_all_of_them():
    assert rolling([7.0]) == Percentiles(1, 7, 7, 7)


@given(NUMBERS)
def test_as_many_values_as_they_say_are_not_above_them(values):
    told = rolling(values)
    for percent, figure in ((50, told.p50), (95, told.p95), (99, told.p99)):
        assert figure in values
        assert sum(value <= figure for value in values) >= len(values) * percent / 100
        assert sum(value < figure for value in values) < len(values) * percent / 100


@given(NUMBERS, st.integers(1, 10))
def test_old_values_are_forgotten(values, window):
    assert rolling(values, window) == rolling(values[-window:])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_taken(value):
    with pytest.raises(ValueError, match="no place"):
        RollingPercentiles().add(value)
