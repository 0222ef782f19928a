"""One WebSocket that carries a session in a dialect (:mod:`signaling.dialects`), and how it is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiohttp import web

from rtc_stt.errors import Unavailable
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from signaling.attempt import STREAMS, prepare
from signaling.auth import Pass
from signaling.dialects.dialect import Act, Ask, Dialect, Hear, Leave, Relay, Say
from signaling.keys import FRONT
from signaling.line import Line
from signaling.socket_carrier import SocketCarrier

__all__ = ["MAX_MESSAGE_BYTES", "DialectSocket", "speak"]

MAX_MESSAGE_BYTES = 1024 * 1024
"""Of one message. As base64 it may hold 16 s of audio at 24 kHz; to read it takes some milliseconds."""


class DialectSocket(SocketCarrier):
    """See above. Its client cannot come back to a session: when the connection is lost, the session ends."""

    has_opened = False

    def __init__(
        self,
        socket_id: str,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        line: Line,
        dialect: Dialect,
        instrument: Instrument,
    ) -> None:
        super().__init__(socket_id, ws, transport, line, instrument, is_live=True)
        self._dialect = dialect
        self._leaving: Leave | None = None
        acts = dialect.begin()
        self._do_all(act for act in acts if not isinstance(act, Ask | Relay))
        self._asked_first = [act for act in acts if isinstance(act, Ask | Relay)]

    # ── What its owner does ────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Ask what the dialect asks first: the session has been started, and can tell what is wrong."""
        self._do_all(self._asked_first)

    def send(self, event: Event) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._do_all(self._dialect.tell(event))

    async def close(self, *, flush: bool) -> None:
        """See :class:`~signaling.line.Carrier`. Before it leaves, it says what is to be said."""
        await super().close(flush=flush or self._leaving is not None)

    def _farewell(self, reason: str) -> tuple[int, str]:
        if self._leaving:
            return self._leaving.code, self._leaving.words
        return self._dialect.farewell(reason)

    # ── What comes in ────────────────────────────────────────────────────────────

    async def _take_live_text(self, message: str) -> None:
        await self._take_message(message)

    async def _take_bytes(self, message: bytes) -> None:
        if self._is_live:
            await self._take_message(message)

    async def _take_message(self, message: str | bytes) -> None:
        await self._hold_back()
        for act in self._dialect.receive(message):
            if isinstance(act, Hear):
                await self._take_audio(act)
            else:
                self._do(act)

    async def _take_audio(self, act: Hear) -> None:
        if self._line.audio is None or self._line.audio.form != act.form:
            self._begin_audio(act.form)
        await self._hear(act.form, act.data)

    # ── Acts ────────────────────────────────────────────────────────────

    def _do_all(self, acts: Iterable[Act]) -> None:
        for act in acts:
            self._do(act)

    def _do(self, act: Act) -> None:
        match act:
            case Say(text):
                self._outbox.put(text)
            case Ask(command):
                self._session.receive_command(command)
            case Relay(message):
                self._session.receive_message(message)
            case Leave():
                self._leaving = self._leaving or act
                self._lose("closed")
            case Hear():
                raise AssertionError("audio comes of messages only")


async def speak(
    request: web.Request, shown: Pass, dialect: Dialect, *, protocols: Sequence[str] = ()
) -> web.WebSocketResponse:
    """Upgrade, and carry a new session in this dialect to its end.

    Args:
        shown: who asks.
        protocols: subprotocols of which one is chosen, where the client offers any.

    Raises:
        BadRequest, TooMany, Unavailable, TokenExpired, TokenReplayed: there is none, before the upgrade.
    """
    front, streams = request.app[FRONT], request.app[STREAMS]
    ws, attempt = await prepare(request, shown, protocols=protocols, max_bytes=MAX_MESSAGE_BYTES)
    transport = request.transport
    if transport is None:  # it has gone already
        attempt.undo()
        return ws

    def make(socket_id: str, line: Line) -> DialectSocket:
        return DialectSocket(socket_id, ws, transport, line, dialect, front.gate.instrument)

    try:
        socket, session = streams.carry(make)
    except Unavailable as error:
        attempt.undo()
        code, words = dialect.farewell(error.type)
        await ws.close(code=code, message=words.encode())
        return ws
    front.resources.add(socket.id, session.id, None, attempt.shown, None)
    front.gate.door.hold(attempt.ticket, session.id)
    socket.begin()
    await socket.read()
    return ws
