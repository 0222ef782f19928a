"""One WebSocket that carries a call in a dialect of media streams (:mod:`signaling.telephony.streams`).

::

    upgrade ──10 s without Begin──▶ closed
       │ Begin
    a call, a leg for each party ──▶ audio, digits
       │ stop, close, hang-up, drain
    every final told ──▶ last words, close
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web

from rtc_stt.errors import ClientError, Unavailable, trace
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from signaling.live_socket import LiveSocket
from signaling.stream_protocol import close_code
from signaling.telephony.call import Call, Leg
from signaling.telephony.call_source import CallDetails
from signaling.telephony.streams.leg_audio import LegAudio
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    HangUp,
    Hear,
    Hold,
    Leave,
    Note,
    Say,
    StreamDialect,
    Warn,
)

__all__ = ["BEGIN_TIMEOUT_S", "MAX_MESSAGE_BYTES", "MediaSocket"]

log = logging.getLogger(__name__)

BEGIN_TIMEOUT_S = 10.0
"""From the upgrade to a call."""

MAX_MESSAGE_BYTES = 256 * 1024
"""Of one message. Exotel's largest, 100 KB of audio, is 134 KB as base64."""

MAX_BAD = 50
"""Messages of a call that cannot be understood; at the next one the connection is closed."""

Starter = Callable[[Begin, "MediaSocket"], Call]
"""Opens the call that a message began, without legs. Raises :class:`ClientError` or :class:`Unavailable`
where none may begin."""


class MediaSocket(LiveSocket):
    """A :class:`~signaling.telephony.call_source.CallSource`.

    Args:
        ws, transport: see :class:`~signaling.live_socket.LiveSocket`; nothing has been read yet.
        dialect: what is spoken.
        start: opens the call.
    """

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        dialect: StreamDialect,
        start: Starter,
        instrument: Instrument,
    ) -> None:
        super().__init__(ws, transport, instrument, log)
        self._dialect = dialect
        self._start = start
        self._instrument = instrument
        self._call: Call | None = None
        self._legs: dict[str, tuple[Leg, LegAudio] | None] = {}
        """By the label that the dialect gives; None: there was no place for it."""
        self._bad = 0
        self._leaving: Leave | None = None
        self._after("begin", BEGIN_TIMEOUT_S, self._late)

    async def run(self) -> None:
        """Carry the call to its end, until the connection is closed."""
        out = asyncio.get_running_loop().create_task(self._see_out(), name="media-socket")
        try:
            await self.read()
        finally:
            await out

    # ── What the call does (see CallSource) ───────────────────────────────────────────

    def tell(self, leg: str, event: Event) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        self._say_all(self._dialect.tell(leg, event))

    def play_out(self) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        for act in self._dialect.play_out():
            if isinstance(act, Hear):
                self._hear_at_once(act)

    def hang_up(self, reason: str) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        self._lose(reason)
