"""Samples as a WAV file: how audio goes from one rtc-stt to another. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["to_wav", "wav_pieces"]

BYTES_PER_SAMPLE = 2
FORMAT_PCM = 1
MAX_SIZE = 2**32 - 1
"""Sizes have 32 bits."""

PIECE = 4 * SAMPLE_RATE


def to_wav(samples: Samples) -> bytes:
    """RIFF/WAVE, PCM16, 16 kHz mono; ``samples`` of shape ``(n,)`` in [-1, 1], what is beyond is clipped.

    As of the Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).

    Raises:
        ValueError: another shape, values that are no numbers, or over 37 hours of them.
    """
    return b"".join(wav_pieces(samples))


def wav_pieces(samples: Samples) -> Iterator[bytes]:
    """The same in pieces of seconds: no step is so long that others notice. Raises as :func:`to_wav`."""
    if samples.ndim != 1:
        raise ValueError(f"audio is one row of samples, not an array of shape {samples.shape}")
    size = len(samples) * BYTES_PER_SAMPLE
    rate = SAMPLE_RATE * BYTES_PER_SAMPLE
    form = struct.pack("<HHIIHH", FORMAT_PCM, 1, SAMPLE_RATE, rate, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE)
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", size & MAX_SIZE)
    whole = 4 + len(chunks) + size
    if whole > MAX_SIZE:
        raise ValueError("so much audio has no place in a WAV file")
    yield struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + chunks
    for start in range(0, len(samples), PIECE):
        piece = samples[start : start + PIECE]
        if not np.isfinite(piece).all():
            raise ValueError("some of the samples are no finite numbers")
        yield np.rint(np.clip(piece, -1, 1) * 32767).astype("<i2").tobytes()
