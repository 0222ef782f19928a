"""Service times, measured on an engine that takes as long as it says."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench import times
from rtc_stt.hypothesis import Tier
from rtc_stt.simulation import read_times

SPEECH = np.zeros(10 * SAMPLE_RATE, np.float32)


class Sleeper:
    """Takes 4 ms a request."""

    name = "sleeper"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.calls: list[int] = []

    def decode(self, request: object) -> object:
        return self.decode_batch([request])[0]

    def decode_batch(self, requests: list[object]) -> list[object]:
        self.calls.append(len(requests))
        time.sleep(0.004 * len(requests))
        return list(requests)


class Single:
    """Cannot batch."""

    name = "single"
    languages = frozenset({"en"})

    def decode(self, request: object) -> object:
        return request


@pytest.mark.slow
def test_every_kind_of_call_is_timed_by_as_many_threads_as_would_decode():
    engine, ticks = Sleeper(), list[int]()
    told = times.measure({Tier.FAST: engine}, 2, SPEECH, "a test", lambda: ticks.append(1))
    kinds = len(times.BATCHES) * len(times.LENGTHS_S)
    assert len(ticks) == times.steps(1) == kinds
    assert len(engine.calls) == kinds * 2 * (times.CALLS + 1)
    table = read_times(times.as_text(told)).tiers[Tier.FAST]
    assert table.batches == times.BATCHES
    for batch, row in zip(table.batches, table.seconds, strict=True):
        assert all(seconds >= 0.004 * batch for seconds in row)
    assert min(table.spread) <= 1.0 <= max(table.spread)


def test_who_cannot_batch_has_one_row():
    told = times.measure({Tier.FAST: Single()}, 1, SPEECH, "a test", lambda: None)
    assert read_times(times.as_text(told)).tiers[Tier.FAST].batches == (1,)
