"""Samples as other recognisers want them."""

from __future__ import annotations

from typing import Any

import av
import av.audio.resampler
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["Upsampler", "pcm16"]


def pcm16(samples: Samples) -> bytes:
    """As s16le; what is beyond [-1, 1] is clipped."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes()


class Upsampler:
    """16 kHz to a higher rate, across the borders of frames. Its filter holds back about a millisecond."""

    def __init__(self, rate: int) -> None:
        self._resampler: Any = av.audio.resampler.AudioResampler("s16", "mono", rate)

    def push(self, samples: Samples) -> bytes:
        """Shape ``(n,)`` in [-1, 1]; gives s16le at the other rate."""
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        return b"".join(out.to_ndarray().astype("<i2").tobytes() for out in self._resampler.resample(frame))
