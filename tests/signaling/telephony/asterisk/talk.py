"""What Asterisk says over AudioSocket, as bytes."""

from __future__ import annotations

import itertools
import uuid

import numpy as np
from hypothesis import strategies as st

from rtc_stt.audio import Samples

CALL_ID = uuid.UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")


def frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


def name(id: uuid.UUID = CALL_ID) -> bytes:
    return frame(0x01, id.bytes)


def audio(data: bytes, size: int = 320, kind: int = 0x10) -> bytes:
    """Data in frames of this size; the last one may be shorter."""
    return b"".join(frame(kind, data[at : at + size]) for at in range(0, len(data), size))


def linear(samples: Samples) -> bytes:
    return np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes()


def voice(seconds: float, rate: int = 8_000) -> Samples:
    """Something like a vowel: a low tone with overtones, smooth and not loud."""
    at = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 12))
    return (0.05 * tones).astype(np.float32)


def cuts(stream: bytes) -> st.SearchStrategy[list[bytes]]:
    """The stream in pieces, some of them empty."""
    points = st.lists(st.integers(0, len(stream)), max_size=12)
    return points.map(
        lambda found: [stream[a:b] for a, b in itertools.pairwise([0, *sorted(found), len(stream)])]
    )
