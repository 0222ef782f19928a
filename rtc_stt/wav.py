"""Samples as a WAV file: how audio goes from one rtc-stt to another. Pure."""

from __future__ import annotations

import struct

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["to_wav"]

BYTES_PER_SAMPLE = 2
FORMAT_PCM = 1


def to_wav(samples: Samples) -> bytes:
    """RIFF/WAVE, PCM16, 16 kHz mono; ``samples`` of shape ``(n,)`` in [-1, 1], what is beyond is clipped.

    As of the Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).

    Raises:
        ValueError: another shape, or values that are no numbers.
    """
    if samples.ndim != 1:
        raise ValueError(f"audio is one row of samples, not an array of shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("some of the samples are no finite numbers")
    pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    rate = SAMPLE_RATE * BYTES_PER_SAMPLE
    form = struct.pack("<HHIIHH", FORMAT_PCM, 1, SAMPLE_RATE, rate, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE)
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", len(pcm))
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + len(pcm), b"WAVE") + chunks + pcm
