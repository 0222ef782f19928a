"""What every WebSocket with live audio does, whatever it carries: audio in at a bounded pace, texts out,
signs of life, and an end within seconds.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import time
from collections.abc import Callable

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from rtc_stt.errors import trace
from rtc_stt.instrument import Instrument
from rtc_stt.token_bucket import TokenBucket
from signaling.outbox import Outbox
from signaling.stream_protocol import Flow

__all__ = ["CLOSE_TIMEOUT_S", "LiveSocket"]

PING_S = 15.0
SILENCE_S = 45.0
"""Without a message or the answer to a ping: two of them unanswered, and time for a third."""

FLUSH_TIMEOUT_S = 1.5
CLOSE_TIMEOUT_S = 2.0
"""For the last events to leave, and for the client to say good-bye too."""

MAX_BACKLOG_S = 4.0
"""Audio that waits for the detector; while there is more, nothing is read. Live audio never gets there."""

LOOK_S = 0.02
"""Between two looks whether there is less."""

PING_RATE, PING_BURST = 5.0, 20.0
"""Pings of the client that are answered."""


class LiveSocket(abc.ABC):
    """See above. What is said over it, and what it carries, its subclass knows.

    Args:
        ws: prepared.
        transport: what is under it.
        log: names what it carries.
    """

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        instrument: Instrument,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._ws = ws
        self._log = log
        self._refuse = instrument.message_refused
        self._pings = TokenBucket(PING_RATE, PING_BURST)
        self._flow = Flow()
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self._outbox = Outbox(ws, transport, self._lose)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._heard_at = time.monotonic()
        self._after("ping", PING_S, self._ping)

    # ── The end ────────────────────────────────────────────────────────────

    def _be_still(self) -> None:
        """Do nothing any more by itself. May be called again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _shut(self, code: int, words: str, *, flush: bool) -> None:
        """Close the connection (RFC 6455 §7.4); with ``flush`` what waits may leave first.

        Args:
            words: take 123 bytes at most.
        """
        try:
            if flush:
                await self._outbox.flush(FLUSH_TIMEOUT_S)
            await self._outbox.close()
            async with asyncio.timeout(CLOSE_TIMEOUT_S * 2):
                await self._ws.close(code=code, message=words.encode())
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
        del self._outbox

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
            self._log.error("a message of the client could not be handled: %s", trace(error))
            reason = "server_error"
        finally:
            self._lose(reason)
        await self._closed.wait()

    async def _take(self, message: WSMessage) -> str | None:
        """Take one message; gives the reason where it is the last."""
        now = self._heard_at = time.monotonic()
        match message.type:
            case WSMsgType.BINARY:
                await self._take_bytes(message.data)
            case WSMsgType.TEXT:
                await self._take_text(message.data)
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

    @abc.abstractmethod
    async def _take_text(self, message: str) -> None:
        """A text of the client."""

    @abc.abstractmethod
    async def _take_bytes(self, message: bytes) -> None:
        """Bytes of the client."""

    async def _hold_back(self) -> None:
        """One more message: where they come too fast, the next is not read for a while."""
        if wait_s := self._flow.wait_s(0.0, time.monotonic(), messages=1):
            await asyncio.sleep(wait_s)

    async def _await_turn(self, seconds: float, backlog_s: Callable[[], float], *, further: bool) -> None:
        """Let audio wait that comes faster than it may: what is not read stays with its sender.

        Args:
            seconds: how long it sounds.
            backlog_s: audio that waits for the detector.
            further: whether some of its message has been taken: between two pieces others have their turn.
        """
        wait_s = self._flow.wait_s(seconds, time.monotonic())
        if wait_s or further:
            await asyncio.sleep(wait_s)
        while backlog_s() > MAX_BACKLOG_S and not self._gone.done():
            await asyncio.sleep(LOOK_S)

    # ── Now and then ────────────────────────────────────────────────────────────

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
