"""What an Opus packet says of itself before it is decoded (RFC 6716 §3 and §4.2). Pure."""

from __future__ import annotations

__all__ = ["duration", "frame_duration", "recoverable"]

MAX_DURATION = 5760
"""Ticks at 48 kHz: 120 ms (§3.2.5, R5)."""

# By the configuration in the upper five bits of the first byte (§3.1, table 2), in ticks at 48 kHz.
_FRAME = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4

_FIRST_CELT_ONLY = 16
"""From this configuration on there is no SILK layer, and no forward error correction."""


def frame_duration(payload: bytes) -> int:
    """Ticks at 48 kHz of each frame in a payload of at least one byte."""
    return _FRAME[payload[0] >> 3]


def duration(payload: bytes) -> int:
    """Ticks at 48 kHz in a payload; 0 where it is malformed."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code == 3:
        if len(payload) < 2:
            return 0
        frames = payload[1] & 0x3F
    else:
        frames = 2 if code else 1
        if code == 1 and not len(payload) & 1:
            return 0  # two frames of equal size behind one byte (§3.2.3, R3)
    ticks = frames * _FRAME[payload[0] >> 3]
    return ticks if ticks <= MAX_DURATION else 0


def recoverable(payload: bytes) -> int:
    """Ticks at 48 kHz just before a payload that its first frame can restore; 0 without an LBRR frame.

    The flags stand at the very beginning of a SILK frame: one bit of voice activity for each 20 ms, then the
    one that says whether a low bit-rate copy of the time before is there (§4.2.3).
    """
    if not payload or payload[0] >> 3 >= _FIRST_CELT_ONLY:
        return 0
    ticks = _FRAME[payload[0] >> 3]
    at = _first_frame(payload)
    if at is None or at >= len(payload):
        return 0
    flag = max(1, ticks // 960)
    return ticks if payload[at] << flag & 0x80 else 0


def _first_frame(payload: bytes) -> int | None:
    """Where the bytes of the first frame begin (§3.2); None where it is empty or not there."""
    code = payload[0] & 3
    if code < 2:
        return 1
    if code == 2:
        at, variable = 1, True
    else:
        if len(payload) < 2:
            return None
        at, variable = 2, bool(payload[1] & 0x80)
        frames = payload[1] & 0x3F
        if payload[1] & 0x40:  # padding: its length is told in bytes of up to 255
            while at < len(payload) and payload[at] == 255:
                at += 1
            at += 1
        if variable:  # the lengths of all frames but the last
            lengths = at
            for _ in range(frames - 1):
                if at >= len(payload):
                    return None
                at += 1 if payload[at] < 252 else 2
            return at if frames == 1 or payload[lengths] else None
        return at
    if at >= len(payload) or payload[at] == 0:
        return None
    return at + (1 if payload[at] < 252 else 2)
