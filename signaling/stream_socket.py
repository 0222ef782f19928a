"""One WebSocket that carries a session in our own protocol, ``rtc-stt.v1``."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from rtc_stt.commands import Configure
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from rtc_stt.wire import encode_event
from signaling.data_channel import LASTING
from signaling.line import Line
from signaling.message_gate import MessageGate
from signaling.socket_carrier import SocketCarrier
from signaling.stream_protocol import Opening, close_code, received

__all__ = ["StreamSocket"]

RECEIVED_S = 0.2
"""Between two messages that tell how much audio has come."""

PATIENCE_S = 15.0
"""How long audio may stop in an utterance of a client that sends again what did not arrive. Such a client
takes 11 s to notice that its connection is dead: no word is cut in two by that."""


class StreamSocket(SocketCarrier):
    """A :class:`~signaling.line.ResumingCarrier`.

    Args:
        socket_id, ws, transport, instrument: see :class:`~signaling.socket_carrier.SocketCarrier`; nothing
            but the first message has been read of ``ws``.
        line: what it carries: from the start where the first message resumes nothing, else from
            :meth:`take_over` on.
        opening: the first message.
    """

    def __init__(
        self,
        socket_id: str,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        line: Line,
        opening: Opening,
        instrument: Instrument,
    ) -> None:
        super().__init__(socket_id, ws, transport, line, instrument, is_live=opening.resume is None)
        self._opening = opening
        self._gate = MessageGate(self._receive_message, self._session.warn, self._refuse)
        if self._is_live:
            self._begin_audio(opening.audio)

    # ── What its owner does ────────────────────────────────────────────────────────────

    def take_over(self, last_seq: int) -> None:
        """See :class:`~signaling.line.ResumingCarrier`."""
        earlier, opening = self._line.audio, self._opening
        goes_on = opening.replay and earlier is not None and earlier.form == opening.audio
        moved_to, self._line.moved_to = self._line.moved_to, None
        if opening.replay and moved_to is not None:
            # Its count goes on, as media time does: it sends from there.
            goes_on = True
            self._begin_audio(opening.audio, opening.audio.count_at(moved_to))
        elif not goes_on:
            self._begin_audio(opening.audio)
        self._is_live = True
        self._session.attach(self.send, last_seq, replays=goes_on)

    def begin(self) -> None:
        """Do as the first message says; the session has greeted its client."""
        if self._opening.replay:
            self._session.expect_audio(PATIENCE_S)
        if self._opening.options:
            self._session.receive_command(Configure(self._opening.options))
        self._tell_received()

    def send(self, event: Event) -> None:
        """See :class:`~signaling.line.Carrier`."""
        if isinstance(event, LASTING) and "received" in self._timers:
            # Who has the final has to know that its audio arrived: a new session is not to hear it again.
            self._timers["received"].cancel()
            self._tell_received()
        self._outbox.put(encode_event(event))

    def _part(self) -> None:
        if self._opening.replay:  # the audio that is missing will come
            self._session.expect_audio(None)

    def _farewell(self, reason: str) -> tuple[int, str]:
        return close_code(reason), reason

    def _let_go(self) -> None:
        super()._let_go()
        del self._gate

    # ── What comes in ────────────────────────────────────────────────────────────

    async def _take_live_text(self, message: str) -> None:
        self._gate.take(message, time.monotonic())

    async def _take_bytes(self, message: bytes) -> None:
        await self._hold_back()
        await self._hear(self._opening.audio, message)

    def _note_audio(self) -> None:
        if "received" not in self._timers:
            self._after("received", RECEIVED_S, self._tell_received)

    def _receive_message(self, message: str | bytes) -> None:
        self._session.update_stats(
            self._line.figures.with_connection({"codec": self._opening.audio.encoding})
        )
        self._session.receive_message(message)

    def _tell_received(self) -> None:
        self._timers.pop("received", None)
        assert self._line.audio
        self._outbox.put(received(self._line.audio.received))
