"""A data channel: events out, commands in, and nothing that could harm the connection.

The client makes it, and its label says which dialect it speaks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rtc_stt.commands import Command, Stop
from rtc_stt.errors import trace
from rtc_stt.events import Event, Finalized, SessionEnded, TranscriptFinal, UtteranceDropped
from rtc_stt.logs import IdLog
from signaling.dialects.dialect import Act, Ask, Beginning, Dialect, Leave, Relay, Say
from signaling.dialects.labels import LABELS
from signaling.message_gate import MessageGate

__all__ = ["LASTING", "MAX_OUTSTANDING_BYTES", "EventChannel", "Listener"]

MAX_WAITING = 1_024
"""Events kept until the client has opened its channel; a channel opens within a second or never."""

MAX_OUTSTANDING_BYTES = 1024 * 1024
"""Sent and not yet received by the client, as far as is known. One so far behind does not read any more.
Several times what a session keeps for a client that comes back, which is sent at once."""

TICKS, TICK_INTERVAL_S = 3, 0.02
"""Messages that a client ignores. SCTP sends a lost message again once three later ones have arrived (RFC
9260 §7.2.4); with nothing behind it, it would wait for a second."""

LASTING = (TranscriptFinal, UtteranceDropped, Finalized, SessionEnded)
"""Events that nothing later replaces, and after which there is often silence."""


class Listener(Protocol):
    """Whose channel it is."""

    def receive_message(self, message: str | bytes) -> None:
        """A message of ``rtc-stt.v1``."""

    def receive_command(self, command: Command) -> None:
        """What a message of another dialect comes to."""

    def complain(self, code: str, message: str) -> None:
        """The client does something wrong, and is to be told."""

    def give_up(self, reason: str) -> None:
        """The client cannot be reached by this channel any more."""

    def refuse_message(self, reason: str) -> None:
        """A message is not taken."""


class EventChannel:
    """Holds events until the channel is there, then sends each at once.

    Args:
        listener: takes what comes of the client's messages.
        outstanding: bytes that the transport has taken and the client's has not acknowledged.
        clock: monotonic seconds.
        beginning: what the client has said about the session before.
        log: of whose it is.
    """

    def __init__(
        self,
        listener: Listener,
        outstanding: Callable[[], int],
        clock: Callable[[], float],
        beginning: Beginning | None = None,
        log: IdLog | None = None,
    ) -> None:
        self._log = (log or IdLog(logging.getLogger())).at(__name__)
        self._gate = MessageGate(self._translate, listener.complain, listener.refuse_message)
        self._listener = listener
        self._outstanding = outstanding
        self._clock = clock
        self._beginning = beginning or Beginning()
        self._channel: Any = None
        self._dialect: Dialect | None = None
        self._events: deque[Event] = deque()  # until the channel is there
        self._texts: deque[str] = deque()  # until it is open
        self._ticks_due = 0
        self._tick_timer: asyncio.TimerHandle | None = None
        self.last_message_at: float | None = None
        """When the client last said anything."""

    @property
    def is_attached(self) -> bool:
        """Whether the client has opened its channel."""
        return self._channel is not None

    @property
    def resumes(self) -> bool:
        """Whether it knows by now how to come back to its session."""
        return self._dialect is not None and self._dialect.resumes

    def attach(self, channel: Any) -> bool:
        """Take the channel that the client made; others are closed. Whether it was taken."""
        speak = LABELS.get(channel.label)
        if speak is None or self._channel is not None:
            self._listener.refuse_message("channel")
            channel.close()
            return False
        self._channel, self._dialect = channel, speak(self._beginning)
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._listener.give_up("data_channel_closed"))
        self._do(self._dialect.begin())
        while self._events:
            self._do(self._dialect.tell(self._events.popleft()))
        self._flush()
        return True

    def send(self, event: Event) -> None:
        """Send an event, or keep it until the channel is there."""
        if self._dialect is None:
            self._events.append(event)
        else:
            self._do(self._dialect.tell(event))
        if len(self._events) + len(self._texts) > MAX_WAITING:
            self._events.clear()
            self._texts.clear()
            self._listener.give_up("no_data_channel")
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

    def _do(self, acts: Sequence[Act]) -> None:
        for act in acts:
            match act:
                case Say(text):
                    self._texts.append(text)
                case Relay(message):
                    self._listener.receive_message(message)
                case Ask(command):
                    self._listener.receive_command(command)
                case Leave():  # the session's end sees that all arrives
                    self._listener.receive_command(Stop())
                case _:  # audio comes as a track
                    self._listener.refuse_message("binary")

    def _flush(self) -> None:
        while self._texts and self._is_open():
            if self._outstanding() > MAX_OUTSTANDING_BYTES:
                self._texts.clear()
                self._listener.give_up("client_does_not_read")
                return
            self._put(self._texts.popleft())

    def _put(self, text: str) -> None:
        try:
            self._channel.send(text)
        except Exception as error:  # aiortc raises several kinds while it closes
            self._log.info("the data channel closed under an event: %s", type(error).__name__)

    def _is_open(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    # ── Ticks ────────────────────────────────────────────────────────────

    def _set_tick_timer(self) -> None:
        self._tick_timer = asyncio.get_running_loop().call_later(TICK_INTERVAL_S, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        tick = self._dialect.tick if self._dialect else None
        if tick is None or self._ticks_due <= 0 or not self._is_open():
            return
        self._put(tick)
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
            self._log.error("a message of the client could not be handled: %s", trace(error))

    def _translate(self, message: str | bytes) -> None:
        assert self._dialect
        self._do(self._dialect.receive(message))
        self._flush()
