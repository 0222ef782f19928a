"""Messages out of a TCP stream (RFC 3261 §18.3), and the keep-alives between them (RFC 5626 §4.4.1). Pure."""

from __future__ import annotations

import re

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.message import BLANK, MAX_MESSAGE

__all__ = ["PONG", "Framer"]

PONG = b"\r\n"
"""The answer to a ping, which is two of them."""

LENGTH = re.compile(rb"(?:^|\n)(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
DIGITS = re.compile(rb"[0-9]{1,9}[ \t]*")


class Framer:
    """Of one connection. Holds no more than one message that is not yet whole."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self.was_pinged = False
        """A keep-alive has come: answer by :data:`PONG`, and set it back."""

    @property
    def is_within(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._held.strip(b"\r\n"))

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now.

        Raises:
            BadRequest: this is no SIP, or a message is too long: nothing can be made of the rest.
        """
        self._held += data
        found = []
        while self._skip_keep_alives():
            message = self._next()
            if message is None:
                break
            found.append(message)
        return found

    def _skip_keep_alives(self) -> bool:
        """Whether there is something besides."""
        rest = self._held.lstrip(b"\r\n")
        skipped = bytes(self._held[: len(self._held) - len(rest)])
        if skipped:
            self._searched = 0
            self.was_pinged |= b"\r\n\r\n" in skipped
            # Half a ping may wait for the other; more is not kept.
            self._held = rest or bytearray(skipped.replace(b"\r\n\r\n", b"")[:3])
        return bool(rest)

    def _next(self) -> bytes | None:
        blank = BLANK.search(self._held, self._searched)
        if blank is None:
            self._searched = max(0, len(self._held) - 3)
            if len(self._held) > MAX_MESSAGE:
                raise BadRequest("a message is too long")
            return None
        self._searched = blank.start()
        head = bytes(self._held[: blank.start()])
        length = LENGTH.search(head)
        if length and not DIGITS.fullmatch(length[1]):
            raise BadRequest("Content-Length cannot be read")
        size = blank.end() + (int(length[1]) if length else 0)
        if size > MAX_MESSAGE:
            raise BadRequest("a message is too long")
        if len(self._held) < size:
            return None
        message = bytes(self._held[:size])
        del self._held[:size]
        self._searched = 0
        return message
