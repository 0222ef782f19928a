"""Samples of a user to bytes as ``GET /v1/stream`` takes them. Pure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from rtc_stt.companding import compress

__all__ = ["Encoding", "encode"]

Encoding = Literal["pcm_s16le", "mulaw", "alaw"]


def encode(samples: npt.ArrayLike, encoding: Encoding, channels: int) -> bytes:
    """Float samples in [-1, 1], shape ``(n,)``, or ``(n, channels)``; louder ones are clipped.

    Raises:
        ValueError: of another shape.
    """
    data = np.asarray(samples, np.float32)
    if data.shape[1:] != (() if channels == 1 and data.ndim == 1 else (channels,)):
        raise ValueError(f"samples have shape (n, {channels}), not {data.shape}")
    flat = np.nan_to_num(data.reshape(-1), nan=0.0, posinf=1.0, neginf=-1.0)
    if encoding != "pcm_s16le":
        return compress(flat, encoding)
    return np.clip(np.round(flat * 32767), -32768, 32767).astype("<i2").tobytes()
