"""A telephone line in little: what it takes away, and when it comes out."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.polyphase import Upsampler
from tools.telephony.line import PACKET_BYTES, heard_over, payloads


def tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_a_voice_comes_through_late_by_the_filter_and_nothing_above_it_does(law):
    said = tone(1_000)
    heard = heard_over(said, law)
    assert np.abs(heard[1_000:-1_000] - np.roll(said, Upsampler.DELAY)[1_000:-1_000]).max() < 0.02
    assert np.abs(heard_over(tone(6_000), law)[1_000:-1_000]).max() < 0.01


def test_packets_are_whole():
    assert [len(payload) for payload in payloads(tone(500)[: 16 * 50])] == [PACKET_BYTES] * 3
