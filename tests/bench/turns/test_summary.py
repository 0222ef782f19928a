"""From rows to figures."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.summary import pause_of, summarise
from tests.bench.turns.made_rows import ROWS, made


def test_the_figures_of_a_few_turns():
    rows = [
        made(),
        made(ttfs_ms=600.0, eou_ms=None, endpoint_to_final_ms=None, wel_ms=(100.0,), word_errors=1),
        made(
            ttfs_ms=10_000.0, is_timed_out=True, heard="", finals=0, shown_words=0, wel_ms=(), word_errors=3
        ),
        made(ttfp_ms=None, erased_words=2, revised_words=1, retractions=1, char_errors=5, degraded_finals=1),
        made(ttfp_ms=None, has_partials=False),
    ]
    told = summarise(rows, hangover_ms=500, extra_finals=2)
    assert told["turns"] == 5
    assert told["timed_out"] == 1
    assert told["ttfs_ms"] == {"p50": 540.5, "p95": 10_000, "p99": 10_000, "n": 5}
    assert told["ttfs_less_hangover_ms"] == {"p50": 40.5, "p95": 9_500, "p99": 9_500, "n": 5}
    assert told["eou_ms"] == {"p50": 500, "p95": 500, "p99": 500, "n": 4}
    assert told["endpoint_to_final_ms"]["n"] == 4
    assert told["ttfp_ms"] == {"p50": 400, "p95": 400, "p99": 400, "n": 3}
    assert told["wel_ms"] == {"p50": 150, "p95": 200, "p99": 200, "n": 7}
    assert told["partial_lag_ms"]["n"] == 5
    assert told["turns_without_right_partial"] == 1  # who shows no partials shows no wrong ones
    assert told["normalized_erasure"] == round(2 / 12, 4)
    assert told["unstable_word_ratio"] == round(1 / 12, 4)
    assert told["unstable_turn_ratio"] == 0.2
    assert told["retractions"] == 1
    assert told["word_error_rate_percent"] == round(100 * 4 / 15, 2)
    assert told["char_error_rate_percent"] == 10.0
    assert (told["extra_finals"], told["degraded_finals"]) == (2, 1)


@pytest.mark.parametrize(
    ("pause", "length"),
    [(0, 0), (140, 0), (150, 0), (151, 300), (300, 300), (450, 300), (451, 600), (600, 600), (2_000, 600)],
)
def test_a_turn_counts_to_the_nearest_length_of_pause(pause, length):
    assert pause_of(made(pause_ms=pause)) == length


def test_cut_offs_are_told_by_length_of_pause():
    rows = [
        made(),
        made(pause_ms=290),
        made(pause_ms=310, is_cut_off=True),
        made(pause_ms=300),
    ]
    assert summarise(rows, hangover_ms=500)["false_cut_offs"] == {
        "0": {"turns": 1, "cut_off": 0, "percent": 0.0},
        "300": {"turns": 3, "cut_off": 1, "percent": 33.33},
        "600": {"turns": 0, "cut_off": 0, "percent": None},
    }


def test_shares_of_nothing_are_none():
    told = summarise([], hangover_ms=500)
    assert (told["turns"], told["ttfs_ms"]) == (0, {"n": 0})
    for name in (
        "normalized_erasure",
        "unstable_word_ratio",
        "unstable_turn_ratio",
        "word_error_rate_percent",
        "char_error_rate_percent",
    ):
        assert told[name] is None
    cost_only = summarise([made(words=0, chars=0)], hangover_ms=500)
    assert cost_only["word_error_rate_percent"] is None


@given(st.lists(ROWS, max_size=6), st.integers(0, 1_000))
def test_any_rows_have_figures_that_fit_into_json(rows, hangover_ms):
    told = summarise(rows, hangover_ms=hangover_ms)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert sum(group["turns"] for group in told["false_cut_offs"].values()) == len(rows)
    assert told["ttfs_ms"]["n"] == len(rows)
    for row in rows[:1]:  # the same turns twice have the same percentiles and shares
        assert row in rows
        twice = summarise(rows * 2, hangover_ms=hangover_ms)
        assert {**twice["ttfs_ms"], "n": 0} == {**told["ttfs_ms"], "n": 0}
        assert twice["normalized_erasure"] == told["normalized_erasure"]
