"""Messages between the front and its workers on a stream socket: a JSON header and a raw body each.

::

    0        4               8             12
    +--------+---------------+-------------+--------------+-----------+
    | "rsw1" | header length | body length | JSON header  | body      |
    +--------+---------------+-------------+--------------+-----------+

Lengths are unsigned and big endian. The header is an object with a ``type``. No pickle: who can write to the
socket can send messages, and no code. The name of the protocol changes with every change that the other side
would not understand; both sides are of one release.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_BODY", "MAX_HEADER", "BadFrame", "Frame", "FrameReader", "encode"]

NAME = b"rsw1"
PREFIX = struct.Struct("!4sII")

MAX_HEADER = 256 * 1024
"""Bytes. An offer has at most 32 KiB, and each of its characters takes at most six in JSON."""

MAX_BODY = 8 * 1024 * 1024
"""Bytes: two minutes of audio, four times the longest that a model is ever asked to decode."""


class BadFrame(ValueError):
    """What came is no message of this protocol. The stream cannot be read any further."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    header: dict[str, Any]
    body: bytes | bytearray = b""

    @property
    def type(self) -> str:
        """What it is."""
        kind: str = self.header["type"]
        return kind


def encode(header: dict[str, Any], body_length: int = 0) -> bytes:
    """What goes before the body, which is sent as it is.

    Raises:
        BadFrame: it is larger than the other side would take.
    """
    text = json.dumps(header, separators=(",", ":"), default=_plain).encode()
    if len(text) > MAX_HEADER or body_length > MAX_BODY:
        raise BadFrame(f"a message of {len(text)} + {body_length} bytes is too large")
    return PREFIX.pack(NAME, len(text), body_length) + text


def _plain(value: Any) -> Any:
    """Figures of a model may be numpy's."""
    return value.item()


class FrameReader:
    """Cuts a stream into messages. A body that is still to come is received where it will stay, uncopied.

    Usage: receive into :meth:`get_buffer`, then tell :meth:`received` how much it was.
    """

    def __init__(self) -> None:
        self._scratch = bytearray(PREFIX.size + MAX_HEADER)
        self._filled = 0  # of the scratch
        self._header: dict[str, Any] | None = None  # of the body that is being received
        self._body = bytearray()
        self._body_filled = 0

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self._header is not None:
            return memoryview(self._body)[self._body_filled :]
        return memoryview(self._scratch)[self._filled :]

    def received(self, count: int) -> list[Frame]:
        """So many bytes have come: the messages that they complete.

        Raises:
            BadFrame: see there.
        """
        if self._header is None:
            self._filled += count
            return self._cut()
        self._body_filled += count
        if self._body_filled < len(self._body):
            return []
        frame = Frame(self._header, self._body)
        self._header, self._body = None, bytearray()
        return [frame]

    def _cut(self) -> list[Frame]:
        frames: list[Frame] = []
        at = 0
        while self._filled - at >= PREFIX.size:
            name, header_length, body_length = PREFIX.unpack_from(self._scratch, at)
            if name != NAME or header_length > MAX_HEADER or body_length > MAX_BODY:
                raise BadFrame("the other side speaks another protocol")
            start = at + PREFIX.size + header_length
            if start > self._filled:
                break
            header = _read_header(self._scratch[at + PREFIX.size : start])
            end = start + body_length
            if end > self._filled:
                self._begin_body(header, body_length, start)
                return frames
            frames.append(Frame(header, self._scratch[start:end]))
            at = end
        self._scratch[: self._filled - at] = self._scratch[at : self._filled]
        self._filled -= at
        return frames

    def _begin_body(self, header: dict[str, Any], length: int, start: int) -> None:
        self._header, self._body = header, bytearray(length)
        self._body_filled = self._filled - start
        self._body[: self._body_filled] = self._scratch[start : self._filled]
        self._filled = 0


def _read_header(text: bytearray) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise BadFrame("a header is no JSON") from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise BadFrame("a header is no object with a type")
    return header
