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
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from aiohttp import WSMsgType, web

from rtc_stt.errors import ClientError, QuotaExceeded, Unavailable
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from rtc_stt.logs import IdLog
from signaling.live_socket import LiveSocket
from signaling.stream_protocol import close_code
from signaling.telephony.call import Call
from signaling.telephony.leg import Leg
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

MAX_MESSAGE_BYTES = 160 * 1024
"""Of one message: the worst is read in 3 ms. Exotel's largest, 100 KB of audio, is 137 KB as base64."""

MAX_BAD = 50
"""Messages of a call that cannot be understood; at the next one the connection is closed."""

MANY_BAD = 10
"""Payloads of a leg that cannot be decoded, until whoever listens is told."""

MAX_LABELS = 8
"""Of legs that a dialect has named; who has no place by then has none."""

IDLE_S, FILL_S = 1.0, 0.5
"""Who has sent nothing for so long sends silence (Asterisk does, for a party that is on hold), which is put
on the legs so often."""

Starter = Callable[[Begin, "MediaSocket"], Awaitable[Call]]
"""Opens the call that a message began, without legs. Raises :class:`ClientError` or :class:`Unavailable`
where none may begin."""


@dataclass(slots=True)
class _Heard:
    """A party that is heard."""

    leg: Leg
    audio: LegAudio = field(default_factory=LegAudio)
    has_begun: bool = False
    is_stamped: bool = False
    """Whether its audio says itself where it belongs."""
    is_warned: bool = False


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
        self._heard: dict[str, _Heard | None] = {}
        """By the label that the dialect gives; None: there was no place for it."""
        self._bad = 0
        self._leaving: Leave | None = None
        self._idle_since: float | None = None  # while no message is being worked on
        self._after("begin", BEGIN_TIMEOUT_S, self._late)

    async def run(self) -> None:
        """Carry the call to its end, until the connection is closed."""
        out = asyncio.get_running_loop().create_task(self._see_out(), name="media-socket")
        try:
            await self.read()
        finally:
            await out

    def leave(self, reason: str) -> None:
        """Close the connection, and end the call if there is one. What follows from it happens later."""
        self._lose(reason)

    # ── What the call does (see CallSource) ───────────────────────────────────────────

    def tell(self, leg: str, event: Event) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        self._say_all(self._dialect.tell(leg, event))

    def play_out(self) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        for act in self._dialect.play_out():
            heard = self._heard.get(act.leg) if isinstance(act, Hear) else None
            if heard and isinstance(act, Hear):
                for piece, _ in heard.audio.cut(act.form, act.data):
                    self._put(heard, piece, act)

    def hang_up(self, reason: str) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        self._lose(reason)

    async def _see_out(self) -> None:
        reason = await self._gone
        self._be_still()
        if self._call:
            self._call.end(reason)
            reason = await self._call.ended
        self._say_all(self._dialect.end(reason))
        code, words = self._dialect.farewell(reason)
        if self._leaving:
            code, words = self._leaving.code, self._leaving.words
        await self._shut(code, words, flush=not self._ws.closed)

    # ── What comes in ────────────────────────────────────────────────────────────

    async def _take_text(self, message: str) -> None:
        await self._take_message(message)

    async def _take_bytes(self, message: bytes) -> None:
        await self._take_message(message)

    async def _take_message(self, message: str | bytes) -> None:
        self._idle_since = None
        await self._hold_back()
        if self._is_over:
            return
        for act in self._dialect.receive(message):
            if isinstance(act, Hear):
                await self._hear(act)
            elif isinstance(act, Begin):
                if self._call is None:
                    await self._begin(act)
            else:
                self._do(act)
            if self._is_over:
                return
        self._idle_since = time.monotonic()

    def _fill(self) -> None:
        """Silence in place of what is not sent, so that legs without stamps stay on the call's clock."""
        since = self._idle_since
        if since is not None and time.monotonic() - since >= IDLE_S and not self._is_over:
            for heard in self._heard.values():
                if heard and heard.has_begun and not heard.is_stamped:
                    heard.leg.begin_now()
        self._after("fill", FILL_S, self._fill)

    @property
    def _is_over(self) -> bool:
        return self._gone.done() or (self._call is not None and self._call.is_over)

    async def _hear(self, act: Hear) -> None:
        """Hand audio on, at the pace that is allowed."""
        heard = self._place(act.leg)
        if heard is None:
            return
        for number, (piece, seconds) in enumerate(heard.audio.cut(act.form, act.data)):
            await self._await_turn(seconds, lambda: heard.leg.backlog_s, further=number > 0)
            if self._is_over:
                return
            self._put(heard, piece, act if number == 0 else replace(act, at_ms=None))
        if heard.audio.bad >= MANY_BAD and not heard.is_warned:
            heard.is_warned = True
            self._warn("audio_undecodable", "some audio is not of the form that was stated", heard.leg.label)

    def _put(self, heard: _Heard, piece: bytes, act: Hear) -> None:
        """Decode a piece, and put it where it belongs."""
        samples = heard.audio.decode(piece)
        if samples is None:
            return
        if act.at_ms is not None:
            heard.leg.receive_at(act.at_ms, samples, lost=act.lost)
        else:
            if not heard.has_begun:
                heard.leg.begin_now()
            heard.leg.receive_audio(samples)
        if not heard.has_begun:
            heard.has_begun = True
            heard.leg.update_stats({"codec": heard.audio.codec})
        heard.is_stamped |= act.at_ms is not None

    def _place(self, label: str) -> _Heard | None:
        """Who is meant; somebody new gets a leg, if there is a place."""
        if label not in self._heard and self._call and len(self._heard) < MAX_LABELS:
            try:
                self._add(label)
            except (ClientError, Unavailable) as error:
                self._heard[label] = None
                self._warn("leg_refused", str(error))
        return self._heard.get(label)

    def _add(self, label: str) -> None:
        assert self._call
        self._heard[label] = _Heard(self._call.add_leg(label))

    # ── Acts ────────────────────────────────────────────────────────────

    def _do(self, act: Act) -> None:
        match act:
            case Digit():
                if self._call:
                    self._call.digit(act.leg, act.digit, duration_ms=act.duration_ms, at_ms=act.at_ms)
            case Hold(leg, on):
                if self._call:
                    self._call.hold(leg, on)
            case Note(parameters):
                if self._call:
                    self._call.note(parameters)
            case Warn(code, message, leg):
                self._warn(code, message, leg)
            case Bad(reason, words):
                self._count_bad(reason, words)
            case Say():
                self._say_all((act,))
            case HangUp(reason):
                self._hang_up_there(reason)
            case Leave():
                self._leaving = act
                self._lose("malformed")

    async def _begin(self, act: Begin) -> None:
        try:
            call = await self._start(act, self)
        except (ClientError, Unavailable) as error:
            self._lose(error.type)
            return
        if self._gone.done():  # meanwhile
            call.end(self._gone.result())
            return
        self._call = call
        self._log = IdLog(log, call_id=self._call.id)
        self._timers.pop("begin").cancel()
        self._after("fill", FILL_S, self._fill)
        try:
            for label in act.legs:
                self._add(label)
        except (ClientError, Unavailable) as error:
            self._call.end(error.type if isinstance(error, QuotaExceeded) else "no_room")

    def _hang_up_there(self, reason: str) -> None:
        """The other side says that it is over: its connection stays until every final is told."""
        if self._call:
            self._call.end(reason)
        else:
            self._lose(reason)

    def _count_bad(self, reason: str, words: str) -> None:
        self._bad += 1
        self._instrument.message_refused(reason)
        if self._call is None or self._bad > MAX_BAD:
            self._leaving = Leave(close_code("abuse"), words)
            self._lose("abuse" if self._call else "malformed")

    def _say_all(self, acts: Iterable[Act]) -> None:
        for act in acts:
            if isinstance(act, Say) and not self._closed.is_set():
                binary = isinstance(act.message, bytes)
                self._outbox.put(act.message, WSMsgType.BINARY if binary else WSMsgType.TEXT)

    def _warn(self, code: str, message: str, leg: str = "") -> None:
        if self._call:
            self._call.warn(code, message, leg=leg)

    def _late(self) -> None:
        self._instrument.phone_refused("no_start")
        self._lose("configure_timeout")
