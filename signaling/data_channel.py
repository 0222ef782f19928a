"""The data channel ``rtc-stt``: events out, commands in, and nothing that could harm the connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from rtc_stt.errors import trace
from rtc_stt.events import Event, Finalized, SessionEnded, TranscriptFinal, UtteranceDropped
from rtc_stt.wire import encode_event
from signaling.message_gate import MessageGate

__all__ = ["LABEL", "LASTING", "MAX_OUTSTANDING_BYTES", "TICK", "EventChannel"]

log = logging.getLogger(__name__)

LABEL = "rtc-stt"

MAX_WAITING = 1_024
"""Events kept until the client has opened its channel; a channel opens within a second or never."""

MAX_OUTSTANDING_BYTES = 1024 * 1024
"""Sent and not yet received by the client, as far as is known. One so far behind does not read any more.
Several times what a session keeps for a client that comes back, which is sent at once."""

TICK = '{"type":"tick"}'
"""No event: a client ignores it. SCTP sends a lost message again once three later ones have arrived (RFC 9260
§7.2.4); with nothing behind it, it would wait for a second."""

TICKS, TICK_INTERVAL_S = 3, 0.02

LASTING = (TranscriptFinal, UtteranceDropped, Finalized, SessionEnded)
"""Events that nothing later replaces, and after which there is often silence."""


class EventChannel:
    """Holds events until the channel is there, then sends each at once.

    Args:
        receive: takes each message of the client.
        complain: takes ``(code, message)`` where the client does something wrong.
        give_up: called with a reason where the client cannot be reached by this channel any more.
        refuse: told the reason of each message that is not taken.
        outstanding: bytes that the transport has taken and the client's has not acknowledged.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        receive: Callable[[str | bytes], None],
        complain: Callable[[str, str], None],
        give_up: Callable[[str], None],
        refuse: Callable[[str], None],
        outstanding: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._gate = MessageGate(receive, complain, refuse)
        self._give_up = give_up
        self._refuse = refuse
        self._outstanding = outstanding
        self._clock = clock
        self._channel: Any = None
        self._waiting: deque[str] = deque()
        self._ticks_due = 0
        self._tick_timer: asyncio.TimerHandle | None = None
        self.last_message_at: float | None = None
        """When the client last said anything."""

    @property
    def is_attached(self) -> bool:
        """Whether the client has opened its channel."""
        return self._channel is not None

    def attach(self, channel: Any) -> bool:
        """Take the channel that the client made; others are closed. Whether it was taken."""
        if channel.label != LABEL or self._channel is not None:
            self._refuse("channel")
            channel.close()
            return False
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._give_up("data_channel_closed"))
        self._flush()
        return True

    def send(self, event: Event) -> None:
        """Send an event, or keep it until the channel is there."""
        self._waiting.append(encode_event(event))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.clear()
            self._give_up("no_data_channel")
        self._flush()
        if isinstance(event, LASTING):
            self._ticks_due = TICKS
            if self._tick_timer is None:
                self._set_tick_timer()
        else:
            self._ticks_due -= 1  # it serves as one

    def close(self) -> None:
        """No timer is left. The channel itself goes with its connection."""
        if self._tick_timer:
            self._tick_timer.cancel()
            self._tick_timer = None

    def _flush(self) -> None:
        while self._waiting and self._is_open():
            if self._outstanding() > MAX_OUTSTANDING_BYTES:
                self._waiting.clear()
                self._give_up("client_does_not_read")
                return
            self._put(self._waiting.popleft())

    def _put(self, text: str) -> None:
        try:
            self._channel.send(text)
        except Exception as error:  # aiortc raises several kinds while it closes
            log.info("the data channel closed under an event: %s", type(error).__name__)

    def _is_open(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    # ── Ticks ────────────────────────────────────────────────────────────

    def _set_tick_timer(self) -> None:
        self._tick_timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        if self._ticks_due <= 0 or not self._is_open():
            return
        self._put(TICK)
        self._ticks_due -= 1
        if self._ticks_due > 0:
            self._set_tick_timer()

    # ── What comes in ────────────────────────────────────────────────────────────

    def _on_message(self, message: str | bytes) -> None:
        """Never raises: an exception here would tear the whole connection down, audio included."""
        try:
            now = self._clock()
            self.last_message_at = now
            self._gate.take(message, now)
        except Exception as error:
            log.error("a message of the client could not be handled: %s", trace(error))
