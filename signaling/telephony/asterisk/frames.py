"""AudioSocket's frames: ``kind u8 | length u16, big-endian | payload``. Pure.

Source: https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/ and Asterisk's
``res_audiosocket.c``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HANG_UP", "ID_BYTES", "MAX_PAYLOAD", "RATES", "Frame", "FrameReader", "Kind"]

HEADER_BYTES = 3
ID_BYTES = 16
"""Of a UUID."""

MAX_PAYLOAD = 16_384
"""40 ms at the highest rate take 15,360 bytes; Asterisk sends 20 ms."""


class Kind(enum.IntEnum):
    """What a frame is, apart from audio, whose kinds are those of :data:`RATES`."""

    HANG_UP = 0x00
    ID = 0x01
    DTMF = 0x03
    ERROR = 0xFF


RATES: Mapping[int, int] = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Kinds of audio, all of it signed linear, 16 bit, little-endian, mono: its rate in Hz."""

HANG_UP = bytes([Kind.HANG_UP, 0, 0])
"""The whole frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. Its kind may be one that nobody knows."""

    kind: int
    payload: bytes


class FrameReader:
    """Cuts a stream into frames: how it arrives makes no difference. Once all frames have been taken it holds
    less than one.

    Args:
        limit: of the next payload, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.is_broken = False
        """A frame was longer than the limit: what comes behind it means nothing."""
        self._data = b""
        self._at = 0

    def receive(self, data: bytes) -> None:
        """Some more of the stream."""
        if not self.is_broken:
            self._data, self._at = self._data[self._at :] + data, 0

    def next_frame(self) -> Frame | None:
        """The next one; None: it is not whole yet."""
        payload_at = self._at + HEADER_BYTES
        if len(self._data) < payload_at:
            return None
        length = int.from_bytes(self._data[self._at + 1 : payload_at], "big")
        if length > self.limit:
            self.is_broken, self._data, self._at = True, b"", 0
            return None
        if len(self._data) < payload_at + length:
            return None
        frame = Frame(self._data[self._at], self._data[payload_at : payload_at + length])
        self._at = payload_at + length
        return frame

    def flush(self) -> Frame | None:
        """At the end of the stream: what there is of a frame that was cut off."""
        rest, self._data, self._at = self._data[self._at :], b"", 0
        return Frame(rest[0], rest[HEADER_BYTES:]) if len(rest) > HEADER_BYTES else None
