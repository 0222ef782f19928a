"""What the soak sends, and how it judges."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from tools.ingest.watch import Holdings
from tools.services import soak


def look(requests: int, rss: float, descriptors: int = 20, tasks: int = 9) -> soak.Look:
    return soak.Look(requests, Holdings(0.0, rss, descriptors, 12, 1, 0.0), tasks)


def test_growth_after_the_warm_up_is_told_per_thousand_requests() -> None:
    warming = [look(500 * n, 100 + 20 * n) for n in range(1, 5)]
    steady = [look(500 * n, 200 + n, descriptors=20 + n // 4, tasks=9 - n % 2) for n in range(5, 21)]
    marks = {mark.name: mark for mark in soak._marks("primary", warming + steady)}
    assert marks["primary_memory_slope_mib_per_1000_requests"].value == pytest.approx(2.0, abs=0.1)
    assert not marks["primary_memory_slope_mib_per_1000_requests"].met
    assert marks["primary_more_descriptors"].value == 3
    assert marks["primary_more_threads"].met
    assert marks["primary_more_tasks"].value == 0


def test_it_sends_the_same_each_time_and_some_of_everything() -> None:
    plan = list(islice(soak._plan(400), 400))
    again = list(islice(soak._plan(400), 400))
    assert [(way, what.name) for way, what, _ in plan] == [(way, what.name) for way, what, _ in again]
    ways = Counter(way for way, _, _ in plan)
    assert ways["good"] > 300
    assert min(ways["bad"], ways["broken off"]) > 5
    endings = {what.name.rpartition(".")[2] for way, what, _ in plan if way == "good"}
    assert endings == {"wav", "flac", "mp3", "ogg", "webm", "m4a"}


def test_batches_are_all_requests() -> None:
    assert sum(soak._batches(1_003)) == 1_003
    assert sum(soak._batches(7)) == 7
