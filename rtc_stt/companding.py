"""G.711: the two laws by which telephony puts a sample into eight bits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import Samples

__all__ = ["Law", "compress", "expand"]

Law = Literal["mulaw", "alaw"]


def _mu_law() -> Samples:
    """ITU-T G.711 table 2, as float."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = ((mantissa * 2 + 33) << exponent) - 33
    return np.asarray(np.where(code & 0x80, -magnitude, magnitude) / 8192, np.float32)


def _a_law() -> Samples:
    """ITU-T G.711 table 1, as float."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = np.where(exponent == 0, mantissa * 2 + 1, (mantissa * 2 + 33) << np.maximum(exponent - 1, 0))
    return np.asarray(np.where(code & 0x80, magnitude, -magnitude) / 4096, np.float32)


_LEVELS: Mapping[Law, Samples] = {"mulaw": _mu_law(), "alaw": _a_law()}
_ORDER = {law: np.argsort(levels, kind="stable") for law, levels in _LEVELS.items()}
_EDGES = {law: np.convolve(levels[_ORDER[law]], [0.5, 0.5], "valid") for law, levels in _LEVELS.items()}
"""Halfway between one level and the next: from there on the next one is nearer."""


def expand(payload: bytes, law: Law) -> Samples:
    """Bytes to samples in [-1, 1], shape ``(n,)``."""
    return _LEVELS[law].take(np.frombuffer(payload, np.uint8))


def compress(samples: npt.ArrayLike, law: Law) -> bytes:
    """Samples in [-1, 1] to bytes: each to the level that is nearest; what is louder to the loudest."""
    nearest = np.searchsorted(_EDGES[law], np.asarray(samples, np.float32), side="right")
    return _ORDER[law][nearest].astype(np.uint8).tobytes()
