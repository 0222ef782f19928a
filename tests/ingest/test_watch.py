"""Figures of a server over time."""

from __future__ import annotations

import os
import time

import pytest

from tools.ingest.watch import Holdings, LoopLag, slope


def test_the_slope_is_that_of_the_best_line() -> None:
    assert slope([(0, 5.0), (10, 25.0), (20, 45.0)]) == pytest.approx(2.0)
    assert slope([(0, 1.0), (1, -1.0), (2, 1.0), (3, -1.0), (4, 1.0)]) == pytest.approx(0.0)
    assert slope([(3, 7.0)]) == 0.0


def test_a_process_holds_memory_descriptors_and_threads() -> None:
    before = Holdings.of(os.getpid(), time.monotonic())
    with open(os.devnull), open(os.devnull):
        during = Holdings.of(os.getpid(), time.monotonic())
    assert during.descriptors == before.descriptors + 2
    assert during.rss_mib > 10
    assert during.threads >= 1


def test_the_lag_of_a_time_is_what_came_in_it() -> None:
    before = LoopLag(10, {0.01: 9, 0.05: 10, float("inf"): 10})
    after = LoopLag(20, {0.01: 18, 0.05: 19, float("inf"): 20})
    assert after.since(before).over(0.05) == 1
    assert after.since(before).over(0.01) == 1
