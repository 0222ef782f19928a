"""Counts since the start, and percentiles over the last requests."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.tally import Tally, Window

TIMES = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(TIMES, max_size=60), st.integers(1, 20))
def test_a_window_keeps_the_last(values, size):
    window = Window(size)
    for value in values:
        window.add(value)
    kept = values[-size:]
    assert len(window) == len(kept)
    assert window.percentiles((0, 100)) == ([min(kept), max(kept)] if kept else [None, None])


@given(st.lists(TIMES, min_size=1, max_size=60), st.floats(0.1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, per_cent):
    window = Window(100)
    for value in values:
        window.add(value)
    (found,) = window.percentiles((per_cent,))
    assert found in values
    needed = math.ceil(len(values) * per_cent / 100 - 1e-9)
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


@pytest.mark.parametrize(("count", "p50", "p95", "p99"), [(1, 1, 1, 1), (2, 1, 2, 2), (100, 50, 95, 99)])
def test_percentiles_by_nearest_rank(count, p50, p95, p99):
    window = Window()
    for value in range(count, 0, -1):
        window.add(value)
    assert window.percentiles((50, 95, 99)) == [p50, p95, p99]


def test_what_is_told():
    tally = Tally()
    for _ in range(3):
        tally.begun("/v1/transcribe")
    tally.answered(200)
    tally.answered(400)
    tally.answered(502)
    tally.failed("bad_audio")
    tally.failed("fallback_failed")
    tally.fallback("failed")
    tally.took({"total": 0.2, "queue_wait": 0.0})
    tally.took({"total": 0.4, "queue_wait": 0.01, "fallback_infer": 0.3})
    assert tally.snapshot() == {
        "requests": {
            "total": 3,
            "by_endpoint": {"/v1/transcribe": 3},
            "by_status": {"2xx": 1, "4xx": 1, "5xx": 1},
            "exceptions": {"bad_audio": 1, "fallback_failed": 1},
            "fallback": {"used": 0, "skipped": 0, "failed": 1},
        },
        "latency_ms": {
            "total": {"count": 2, "p50": 200.0, "p95": 400.0, "p99": 400.0},
            "queue_wait": {"count": 2, "p50": 0.0, "p95": 10.0, "p99": 10.0},
            "fallback_infer": {"count": 1, "p50": 300.0, "p95": 300.0, "p99": 300.0},
        },
    }


def test_kinds_of_errors_cannot_grow_without_end():
    tally = Tally()
    for n in range(1_000):
        tally.failed(f"kind-{n}")
    told = tally.snapshot()["requests"]["exceptions"]
    assert len(told) <= 65
    assert sum(told.values()) == 1_000
