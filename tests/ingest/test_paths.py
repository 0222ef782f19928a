"""The lab's two receive paths get the same packets, and differ as they do in life."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, Origin
from rtc_stt.bench.link import Conditions
from tools.ingest import opus, paths

SECONDS = 6


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 110 * k * time) / k for k in range(1, 12))
    return opus.encode((0.1 * hum * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32))


def test_packets_are_twenty_milliseconds_each(packets: list[bytes]) -> None:
    assert SECONDS * 50 <= len(packets) <= SECONDS * 50 + 1
    rate = sum(map(len, packets)) * 8 / SECONDS
    assert 16_000 < rate < 32_000


def test_without_loss_both_deliver_the_same_sound(packets: list[bytes]) -> None:
    came = paths.arrivals(packets, Conditions())
    audio, origins = paths.ours(came)
    stock = paths.stock(came)
    assert origins == {Origin.RECEIVED: len(packets) * 320, Origin.CONCEALED: 0, Origin.LOST: 0}
    assert len(packets) * 320 - len(stock) <= 5 * 320, "stock holds four packets back"
    middle = slice(SAMPLE_RATE, 4 * SAMPLE_RATE)
    shift = max(range(-40, 41), key=lambda n: float(np.dot(audio[middle], np.roll(stock, n)[middle])))
    other = np.roll(stock, shift)[middle]
    likeness = np.dot(audio[middle], other) / np.linalg.norm(audio[middle]) / np.linalg.norm(other)
    assert likeness > 0.95


def test_under_loss_ours_keeps_the_time_and_stock_does_not(packets: list[bytes]) -> None:
    came = paths.arrivals(packets, Conditions(loss=0.05, seed=3))
    audio, origins = paths.ours(came)
    sent = len(packets) * 320
    assert len(audio) >= 0.99 * sent
    assert origins[Origin.CONCEALED] < 0.05 * sent
    assert len(paths.stock(came)) < 0.9 * sent
