"""Rates and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.wer import rates
from rtc_stt.bench.wer.rates import draws, interval, percent, rate


def floats(*values):
    return np.array(values, float)


def test_a_rate_is_of_all_words_and_not_a_mean_of_rates():
    assert rate(floats(1, 0), floats(1, 9)) == 10.0
    assert rate(floats(0, 3), floats(0, 0)) == 0.0


def test_draws_are_the_same_each_time_and_as_many_as_there_are(monkeypatch):
    [whole] = draws(7, 50)
    assert whole.shape == (50, 7)
    assert (whole.sum(axis=1) == 7).all()
    monkeypatch.setattr(rates, "AT_ONCE", 7 * 20)
    blocks = list(draws(7, 50))
    assert [len(block) for block in blocks] == [20, 20, 10]
    assert (np.concatenate(blocks) == whole).all()


def test_the_interval_of_a_known_distribution():
    # 1,000 recordings of one word each, a tenth of them wrong: a binomial, 10 % ± 1.96 · 0.949 %.
    wrong = np.zeros(1_000)
    wrong[:100] = 1
    low, high = interval(wrong, np.ones(1_000))
    assert low == pytest.approx(8.14, abs=0.25)
    assert high == pytest.approx(11.86, abs=0.25)


def test_words_of_one_recording_fall_together():
    """As many words and as many errors, all in one recording of ten: the interval says how little that is."""
    words = np.full(10, 100.0)
    spread, lumped = np.full(10, 10.0), np.zeros(10)
    lumped[3] = 100
    assert interval(spread, words) == [10.0, 10.0]
    low, high = interval(lumped, words)
    assert (low, high) == (0.0, 30.0)


def test_a_difference_without_a_difference_is_nothing():
    told = percent(floats(0, 0, 0), floats(5, 6, 7))
    assert told == {"percent": 0.0, "interval_95": [0.0, 0.0]}


def test_draws_without_a_word_say_nothing():
    assert interval(floats(2, 0), floats(0, 4), resamples=200) == [0.0, 50.0]
    assert interval(floats(2), floats(0)) == [0.0, 0.0]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=30))
def test_the_interval_lies_between_the_extremes(pairs):
    errors, words = (np.array(column, float) for column in zip(*pairs, strict=True))
    low, high = interval(errors, words, resamples=50)
    extremes = 100 * errors / words
    assert extremes.min() - 0.01 <= low <= high <= extremes.max() + 0.01
