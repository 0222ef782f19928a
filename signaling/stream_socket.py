"""One WebSocket that carries a session: audio and commands in, events out, and nothing without a bound."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from rtc_stt.commands import Configure
from rtc_stt.errors import trace
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from rtc_stt.token_bucket import TokenBucket
from rtc_stt.wire import encode_event
from signaling.data_channel import LASTING, MAX_OUTSTANDING_BYTES
from signaling.line import Line
from signaling.message_gate import MessageGate
from signaling.stream_audio import StreamAudio, pieces
from signaling.stream_protocol import Flow, Opening, close_code, received

__all__ = ["CLOSE_TIMEOUT_S", "StreamSocket"]

PING_S = 15.0
SILENCE_S = 45.0
"""Without a message or the answer to a ping: two of them unanswered, and time for a third."""

FLUSH_TIMEOUT_S = 1.5
CLOSE_TIMEOUT_S = 2.0
"""For the last events to leave, and for the client to say good-bye too."""

RECEIVED_S = 0.2
"""Between two messages that tell how much audio has come."""

MAX_BACKLOG_S = 4.0
"""Audio that waits for the detector; while there is more, nothing is read. Live audio never gets there."""

LOOK_S = 0.02
"""Between two looks whether there is less."""

PATIENCE_S = 15.0
"""How long audio may stop in an utterance of a client that sends again what did not arrive. Such a client
takes 11 s to notice that its connection is dead: no word is cut in two by that."""

PING_RATE, PING_BURST = 5.0, 20.0
"""Pings of the client that are answered."""


class StreamSocket:
    """A :class:`~signaling.line.Carrier`.

    Args:
        socket_id: names it.
        ws: prepared, with nothing but its first message read.
        transport: what is under it.
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
        self.id = socket_id
        self.has_opened = True
        self._ws = ws
        self._line, self._session = line, line.session
        self._opening = opening
        self._refuse = instrument.message_refused
        self._gate = MessageGate(self._receive_message, self._session.warn, self._refuse)
        self._pings = TokenBucket(PING_RATE, PING_BURST)
        self._flow = Flow()
        self._rest = b""  # a broken frame
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._outbox = _Outbox(ws, transport, self._lose)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard_at = time.monotonic()
        self._is_live = opening.resume is None
        if self._is_live:
            line.audio = StreamAudio(opening.audio)
        self._after("ping", PING_S, self._ping)

    # ── What its owner does (see line.Carrier) ───────────────────────────────────────────

    def take_over(self, last_seq: int) -> None:
        """See :class:`~signaling.line.Carrier`."""
        earlier, opening = self._line.audio, self._opening
        goes_on = opening.replay and earlier is not None and earlier.form == opening.audio
        if not goes_on:
            self._line.audio = StreamAudio(opening.audio)
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
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._is_live:
            self._is_live = False
            self._line.figures.keep({})
            if self._opening.replay:  # the audio that is missing will come
                self._session.expect_audio(None)

    async def close(self, *, flush: bool) -> None:
        """See :class:`~signaling.line.Carrier`."""
        reason = self._session.ended.result() if self._session.ended.done() else "server_error"
        if self._gone.done():
            reason = self._gone.result()
        try:
            if flush:
                await self._outbox.flush(FLUSH_TIMEOUT_S)
            await self._outbox.close()
            async with asyncio.timeout(CLOSE_TIMEOUT_S * 2):
                await self._ws.close(code=close_code(reason), message=reason.encode())
        except TimeoutError:
            self._outbox.abort()
        finally:
            self._closed.set()
            self._let_go()

    def _let_go(self) -> None:
        """Of what refers back here: else its buffers, a megabyte, wait for the collector, and that has little
        reason to come for so few objects."""
        if error := self._ws.exception():
            error.__traceback__ = None  # its frames hold the socket
        del self._gate, self._outbox

    # ── What comes in ────────────────────────────────────────────────────────────

    async def read(self) -> None:
        """Take what the client sends, until the connection is closed."""
        reason = "connection_lost"
        try:
            while not self._ws.closed:
                message = await self._ws.receive()
                if (ending := await self._take(message)) is not None:
                    reason = ending
                    break
        except Exception as error:
            self._session.log.error("a message of the client could not be handled: %s", trace(error))
            reason = "server_error"
        finally:
            self._lose(reason)
        await self._closed.wait()

    async def _take(self, message: WSMessage) -> str | None:
        """Take one message; gives the reason where it is the last."""
        now = self._heard_at = time.monotonic()
        match message.type:
            case WSMsgType.BINARY:
                await self._take_audio(message.data)
            case WSMsgType.TEXT if self._is_live:
                self._gate.take(message.data, now)
            case WSMsgType.PING if self._pings.take(now):
                self._outbox.put(message.data, WSMsgType.PONG)
            case WSMsgType.CLOSE:
                # Who says that all is done does not come back; a page that is left says 1001.
                return "closed" if message.data in (WSCloseCode.OK, 0, None) else "connection_lost"
            case WSMsgType.CLOSING | WSMsgType.CLOSED:
                return "connection_lost"
            case WSMsgType.ERROR:
                if not isinstance(message.data, WebSocketError):
                    return "connection_lost"
                self._refuse("protocol")
                return "abuse"
        return None

    async def _take_audio(self, message: bytes) -> None:
        """Hand audio on, at the pace that is allowed: what is not read stays with its sender."""
        form = self._opening.audio
        found, self._rest = pieces(form, self._rest + message)
        if wait_s := self._flow.wait_s(0.0, time.monotonic(), messages=1):
            await asyncio.sleep(wait_s)
        for number, piece in enumerate(found):
            wait_s = self._flow.wait_s(len(piece) / form.bytes_per_second, time.monotonic())
            if wait_s or number:  # between two pieces others have their turn
                await asyncio.sleep(wait_s)
            while self._session.backlog_s > MAX_BACKLOG_S and not self._gone.done():
                await asyncio.sleep(LOOK_S)
            if not self._is_live:
                return
            self._hear(piece)

    def _hear(self, piece: bytes) -> None:
        assert self._line.audio
        samples = self._line.audio.push(piece)
        if len(samples):
            self._session.receive_audio(samples)
        if "received" not in self._timers:
            self._after("received", RECEIVED_S, self._tell_received)

    def _receive_message(self, message: str | bytes) -> None:
        self._session.update_stats(
            self._line.figures.with_connection({"codec": self._opening.audio.encoding})
        )
        self._session.receive_message(message)

    # ── Now and then ────────────────────────────────────────────────────────────

    def _tell_received(self) -> None:
        self._timers.pop("received", None)
        assert self._line.audio
        self._outbox.put(received(self._line.audio.received))

    def _ping(self) -> None:
        if time.monotonic() - self._heard_at > SILENCE_S:
            self._lose("connection_lost")
            return
        self._outbox.put(b"", WSMsgType.PING)
        self._after("ping", PING_S, self._ping)

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)

    def _lose(self, reason: str) -> None:
        """What follows from it happens later: the cause may be an event that the session is just telling."""
        if not self._gone.done():
            self._gone.set_result(reason)


class _Outbox:
    """What is on its way to a client: in order, and never more than it may be behind.

    Args:
        give_up: called where the client does not read.
    """

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.WriteTransport, give_up: Callable[[str], None]
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._give_up = give_up
        self._waiting: deque[tuple[bytes, WSMsgType]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._is_over = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="outbox")

    def put(self, message: str | bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        """Send it, after what waits."""
        if self._is_over:
            return
        data = message.encode() if isinstance(message, str) else message
        self._waiting.append((data, kind))
        self._bytes += len(data)
        self._news.set()
        if self._bytes + self._transport.get_write_buffer_size() > MAX_OUTSTANDING_BYTES:
            self._is_over = True
            self._give_up("client_does_not_read")

    async def flush(self, seconds: float) -> None:
        """Until all has left, or so long."""
        deadline = time.monotonic() + seconds
        while (self._waiting or self._transport.get_write_buffer_size()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Send nothing more. A client that has not read what was sent is cut off."""
        self._is_over = True
        self._task.cancel()
        await asyncio.wait([self._task])
        del self._task  # that it was cancelled is told with frames that hold this
        if self._transport.get_write_buffer_size():
            self.abort()

    def abort(self) -> None:
        """Let go of the connection, whatever it still holds."""
        self._transport.abort()

    async def _run(self) -> None:
        try:
            while True:
                while self._waiting:
                    data, kind = self._waiting.popleft()
                    self._bytes -= len(data)
                    await self._ws.send_frame(data, kind)
                self._news.clear()
                await self._news.wait()
        except ConnectionError:  # the reader learns of it too
            self._is_over = True
