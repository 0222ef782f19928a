"""Which messages of a client reach its session: how many a second, and how long. Pure.

What is not let through is skipped with a ``warning`` and harms nothing: an honest client never gets there.
"""

from __future__ import annotations

from collections.abc import Callable

from rtc_stt.token_bucket import TokenBucket

__all__ = ["ACK_BURST", "MAX_MESSAGE_BYTES", "MESSAGE_BURST", "MessageGate"]

MAX_MESSAGE_BYTES = 16 * 1024

MESSAGE_RATE, MESSAGE_BURST = 20, 40
"""Messages a second that a client may send; an honest one sends a ping every few seconds."""

ACK_RATE, ACK_BURST = 50, 200
"""Likewise of ``ack``, which may follow every event."""


class MessageGate:
    """Of one connection.

    Args:
        receive: takes each message that is let through.
        complain: takes ``(code, message)`` where the client does something wrong.
        refuse: told the reason of each message that is not taken.
    """

    def __init__(
        self,
        receive: Callable[[str | bytes], None],
        complain: Callable[[str, str], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._receive = receive
        self._complain = complain
        self._refuse = refuse
        self._messages = TokenBucket(MESSAGE_RATE, MESSAGE_BURST)
        self._acks = TokenBucket(ACK_RATE, ACK_BURST)
        self._complaints = TokenBucket(1, 1)

    def take(self, message: str | bytes, now: float) -> None:
        """Hand a message on, or say why not. ``now``: monotonic seconds."""
        is_ack = len(message) < 64 and isinstance(message, str) and '"ack"' in message
        if not (self._acks if is_ack else self._messages).take(now):
            self._refuse("rate")
            if self._complaints.take(now):
                self._complain("rate_limited", f"at most {MESSAGE_RATE} messages a second; some were skipped")
        elif _is_too_long(message):
            self._refuse("size")
            self._complain("message_too_long", f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        else:
            self._receive(message)


def _is_too_long(message: str | bytes) -> bool:
    if len(message) > MAX_MESSAGE_BYTES:
        return True
    return isinstance(message, str) and len(message.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES
