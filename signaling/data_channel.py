"""The data channel ``rtc-stt``: events out, commands in, and nothing that could harm the connection."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from rtc_stt.errors import trace
from rtc_stt.events import Event
from rtc_stt.token_bucket import TokenBucket
from rtc_stt.wire import encode_event

__all__ = ["LABEL", "EventChannel"]

log = logging.getLogger(__name__)

LABEL = "rtc-stt"

MAX_WAITING = 1_024
"""Events kept until the client has opened its channel; a channel opens within a second or never."""

MAX_BUFFERED_BYTES = 1024 * 1024
"""Sent and not yet taken by the transport. A client that is so far behind does not read any more."""

MESSAGE_RATE, MESSAGE_BURST = 20, 40
"""Messages a second that a client may send; an honest one sends a ping every few seconds."""


class EventChannel:
    """Holds events until the channel is there, then sends each at once.

    Args:
        receive: takes each message of the client.
        complain: takes ``(code, message)`` where the client does something wrong.
        give_up: called once with a reason where the client cannot be reached by this channel any more.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        receive: Callable[[str | bytes], None],
        complain: Callable[[str, str], None],
        give_up: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._receive = receive
        self._complain = complain
        self._give_up = give_up
        self._clock = clock
        self._channel: Any = None
        self._waiting: deque[str] = deque()
        self._messages = TokenBucket(MESSAGE_RATE, MESSAGE_BURST)
        self._complaints = TokenBucket(1, 1)

    @property
    def is_attached(self) -> bool:
        """Whether the client has opened its channel."""
        return self._channel is not None

    @property
    def buffered_bytes(self) -> int:
        """Bytes that the transport has not taken yet."""
        return self._channel.bufferedAmount if self._is_open() else 0

    def attach(self, channel: Any) -> None:
        """Take the channel that the client made; others are closed."""
        if channel.label != LABEL or self._channel is not None:
            log.info("closing a data channel that is none of ours, or a second one")
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", self._on_close)
        self._flush()

    def send(self, event: Event) -> None:
        """Send an event, or keep it until the channel is there."""
        self._waiting.append(encode_event(event))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self._give_up("no_data_channel")
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self._is_open():
            if self._channel.bufferedAmount > MAX_BUFFERED_BYTES:
                self._waiting.clear()
                self._give_up("client_does_not_read")
                return
            try:
                self._channel.send(self._waiting.popleft())
            except Exception:  # aiortc raises several kinds while it closes
                log.info("the data channel closed under an event")
                return

    def _is_open(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    def _on_message(self, message: str | bytes) -> None:
        """Never raises: an exception here would tear the whole connection down, audio included."""
        try:
            if self._messages.take(self._clock()):
                self._receive(message)
            elif self._complaints.take(self._clock()):
                self._complain("rate_limited", f"at most {MESSAGE_RATE} messages a second; some were skipped")
        except Exception as error:
            log.error("a message of the client could not be handled: %s", trace(error))

    def _on_close(self) -> None:
        self._give_up("data_channel_closed")
