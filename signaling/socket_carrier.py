"""A WebSocket that carries a session, whatever it speaks."""

from __future__ import annotations

import abc
import asyncio

from aiohttp import web

from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from signaling.audio_format import AudioFormat
from signaling.line import Line
from signaling.live_socket import LiveSocket
from signaling.stream_audio import StreamAudio, pieces

__all__ = ["SocketCarrier"]


class SocketCarrier(LiveSocket):
    """A :class:`~signaling.line.Carrier`. What is said over it, its subclass knows.

    Args:
        socket_id: names it.
        ws, transport, instrument: see :class:`~signaling.live_socket.LiveSocket`.
        line: what it carries.
        is_live: whether it carries the session from the start; else from the moment on when it takes over.
    """

    has_opened = True

    def __init__(
        self,
        socket_id: str,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        line: Line,
        instrument: Instrument,
        *,
        is_live: bool,
    ) -> None:
        super().__init__(ws, transport, instrument, line.session.log.at(__name__))
        self.id = socket_id
        self._line, self._session = line, line.session
        self._rest = b""  # a broken frame
        self._is_live = is_live

    # ── What its owner does (see line.Carrier) ───────────────────────────────────────────

    @abc.abstractmethod
    def send(self, event: Event) -> None:
        """See :class:`~signaling.line.Carrier`."""

    def drop(self, reason: str) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._lose(reason)

    def play_out(self) -> None:
        """See :class:`~signaling.line.Carrier`: nothing waits here."""

    async def wait(self) -> str | None:
        """See :class:`~signaling.line.Carrier`."""
        await asyncio.wait([self._gone, self._session.ended], return_when=asyncio.FIRST_COMPLETED)
        return self._gone.result() if self._gone.done() else None

    def stop(self) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._be_still()
        if self._is_live:
            self._is_live = False
            self._line.figures.keep({})
            self._part()

    def _part(self) -> None:
        """It carries the session no longer, which goes on."""

    async def close(self, *, flush: bool) -> None:
        """See :class:`~signaling.line.Carrier`."""
        reason = self._session.ended.result() if self._session.ended.done() else "server_error"
        if self._gone.done():
            reason = self._gone.result()
        code, words = self._farewell(reason)
        await self._shut(code, words, flush=flush)

    @abc.abstractmethod
    def _farewell(self, reason: str) -> tuple[int, str]:
        """With which code and words it is closed (RFC 6455 §7.4); the words take 123 bytes at most."""

    # ── What comes in ────────────────────────────────────────────────────────────

    async def _take_text(self, message: str) -> None:
        if self._is_live:
            await self._take_live_text(message)

    @abc.abstractmethod
    async def _take_live_text(self, message: str) -> None:
        """A text of the client, while it carries the session."""

    async def _hear(self, form: AudioFormat, data: bytes) -> None:
        """Hand audio on, at the pace that is allowed."""
        found, self._rest = pieces(form, self._rest + data)
        for number, piece in enumerate(found):
            await self._await_turn(
                len(piece) / form.bytes_per_second, lambda: self._session.backlog_s, further=number > 0
            )
            if not self._is_live:
                return
            assert self._line.audio
            samples = self._line.audio.push(piece)
            if len(samples):
                self._session.receive_audio(samples)
            self._note_audio()

    def _note_audio(self) -> None:
        """Some more audio has been handed on."""

    def _begin_audio(self, form: AudioFormat, received: int = 0) -> None:
        """From here on audio has this form, and so much of it has come before."""
        self._line.audio, self._rest = StreamAudio(form, received), b""
