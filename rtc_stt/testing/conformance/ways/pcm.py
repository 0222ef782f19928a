"""Bytes of audio as samples."""

from __future__ import annotations

import numpy as np

from rtc_stt.audio import Samples

__all__ = ["samples"]


def samples(pcm: bytes) -> Samples:
    """s16le of whole samples, in [-1, 1], shape ``(n,)``."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
