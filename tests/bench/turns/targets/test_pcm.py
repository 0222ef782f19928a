"""What other recognisers are given is the same sound."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.targets.pcm import Upsampler, pcm16


def tone(hertz: float, seconds: float = 1.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 16_000)) / 16_000)).astype(np.float32)


def test_samples_as_integers() -> None:
    samples = np.array([0, 0.5, 1, -1, 2, -2], np.float32)
    assert np.frombuffer(pcm16(samples), "<i2").tolist() == [0, 16384, 32767, -32767, 32767, -32768]


@pytest.mark.parametrize("hertz", [200, 1_000, 3_400])
def test_the_higher_rate_has_the_same_tone(hertz: float) -> None:
    up = Upsampler(24_000)
    samples = tone(hertz)
    out = b"".join(up.push(samples[at : at + 320]) for at in range(0, len(samples), 320))
    heard = np.frombuffer(out, "<i2") / 32767
    assert abs(len(heard) - 24_000) <= 48  # what the filter holds back is under 2 ms
    spectrum = np.abs(np.fft.rfft(heard[1_000:23_000] * np.hanning(22_000)))
    assert np.argmax(spectrum) * 24_000 / 22_000 == pytest.approx(hertz, abs=1.1)
    assert np.std(heard[1_000:23_000]) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_the_borders_of_frames_leave_no_trace() -> None:
    whole, pieces, samples = Upsampler(24_000), Upsampler(24_000), tone(440)
    at_once = whole.push(samples)
    in_frames = b"".join(pieces.push(samples[at : at + 320]) for at in range(0, len(samples), 320))
    length = min(len(at_once), len(in_frames))
    assert length > 0.99 * len(at_once)
    first, second = (np.frombuffer(data[:length], "<i2").astype(int) for data in (at_once, in_frames))
    assert np.max(np.abs(first - second)) <= 2
