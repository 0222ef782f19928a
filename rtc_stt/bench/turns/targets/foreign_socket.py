"""What the targets behind a WebSocket share: opening one, and a line whose words a reader understands."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
import yarl

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.flow import Flow
from rtc_stt.bench.turns.targets.reading import Unreadable, scrub
from rtc_stt.bench.turns.told import Failed, Told
from rtc_stt.errors import TargetFailed

__all__ = ["MAX_MESSAGE", "Opener", "Reader", "SocketLine", "hang_up", "public_url"]

OPEN_TIMEOUT_S = 10.0

CLOSE_TIMEOUT_S = 1.0

QUIET_S = 5.0
"""Without sound for so long, :attr:`keep_alive` is said."""

MAX_MESSAGE = 1 << 20
"""Bytes: any transcript with the times of its words."""

MAX_WAITING_S = 60
"""Sound that the other side does not take. It will not catch up."""

CLOSE_REASON = re.compile(r"[A-Z]{3,5}-[0-9]{4}")
"""Of a good-bye only such a code is repeated: sentences may quote anything."""


class Reader(Protocol):
    """Understands what the other side says; pure."""

    def read(self, message: str) -> Sequence[Told]:
        """What one message tells. Raises Unreadable, after which nothing more is read."""
        ...


def public_url(url: str) -> str:
    """The address without what may be secret: user, password and query."""
    try:
        address = yarl.URL(url)
        return str(address.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "no URL"


class _Refused(Exception):
    """Another status than 101."""


async def _check_status(response: aiohttp.ClientResponse) -> None:
    if response.status != 101:
        response.close()
        raise _Refused(f"status {response.status}")


async def _stop_redirect(_session: Any, _context: Any, told: aiohttp.TraceRequestRedirectParams) -> None:
    told.response.close()
    raise _Refused(f"status {told.response.status}, a redirect: name the address to which it leads")


class Opener:
    """Opens WebSockets to one server; its owner calls :meth:`start` and :meth:`close`.

    Args:
        url: ``ws``, ``wss``, ``http`` or ``https``.
        key: is in no message.
    """

    def __init__(self, url: str, headers: Mapping[str, str], key: str | None) -> None:
        self._url, self._headers, self.key = url, dict(headers), key
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Connects nowhere yet.

        Raises:
            TargetFailed: the URL is none.
        """
        with contextlib.suppress(ValueError):
            address = yarl.URL(self._url)
            if address.scheme in ("ws", "wss", "http", "https") and address.host:
                trace = aiohttp.TraceConfig()
                trace.on_request_redirect.append(_stop_redirect)
                self._http = aiohttp.ClientSession(trace_configs=[trace], raise_for_status=_check_status)
                return
        raise TargetFailed("the address of the target has to be like wss://host/path")

    async def open(self, **query: str) -> aiohttp.ClientWebSocketResponse:
        """A new one; ``query`` goes before what the URL says itself.

        Raises:
            TargetFailed: there is none to be had.
        """
        assert self._http, "start() comes first"
        url, where = yarl.URL(self._url).update_query(query), public_url(self._url)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await self._http.ws_connect(
                    url,
                    headers=self._headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                    max_msg_size=MAX_MESSAGE,
                    compress=0,
                )
        except _Refused as refused:
            raise TargetFailed(f"{where} refused the connection: {_explain(str(refused))}") from None
        except TimeoutError:
            raise TargetFailed(f"{where} did not answer within {OPEN_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their messages may quote headers
            raise TargetFailed(f"{where} cannot be reached ({type(error).__name__})") from None

    async def close(self) -> None:
        """All that were opened are closed before."""
        if self._http:
            await self._http.close()
            self._http = None


async def hang_up(ws: aiohttp.ClientWebSocketResponse, goodbye: str | None = None) -> None:
    """Close it, within bounded time. Never raises."""
    with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            if goodbye:
                await ws.send_str(goodbye)
            await ws.close()


def _explain(status: str) -> str:
    return f"{status}: look at the key" if status in ("status 401", "status 403") else status


class SocketLine:
    """One session: sound goes out as it comes, in order; what comes in is told as it is read.

    Args:
        pack: one frame as a message.
        key: taken out of whatever is told.
        keep_alive: said where there has been no sound for a while.
        goodbye: said when the line is closed, never before.
    """

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        hear: Hear,
        reader: Reader,
        pack: Callable[[Samples], str | bytes],
        *,
        key: str | None = None,
        keep_alive: str | None = None,
        goodbye: str | None = None,
    ) -> None:
        self._ws, self._hear, self._reader, self._pack = ws, hear, reader, pack
        self._key, self._keep_alive, self._goodbye = key, keep_alive, goodbye
        self._waiting: deque[Samples] = deque()
        self._waiting_samples = 0
        self._news = asyncio.Event()
        self._is_over = False
        self._flow = Flow()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._write())]

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        if self._is_over:
            return
        self._waiting.append(frame)
        self._waiting_samples += len(frame)
        if self._waiting_samples > MAX_WAITING_S * SAMPLE_RATE:
            self._fail(f"the server takes no sound: {MAX_WAITING_S} s of it wait")
        self._news.set()

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        was_over, self._is_over = self._is_over, True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await hang_up(self._ws, None if was_over else self._goodbye)

    async def _read(self) -> None:
        while not self._is_over:
            message = await self._ws.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    self._receive(message.data)
                case aiohttp.WSMsgType.BINARY:
                    self._fail("the server sent bytes where text was due")
                case aiohttp.WSMsgType.ERROR:
                    self._fail("the connection broke")
                case aiohttp.WSMsgType.CLOSE:
                    self._fail(f"the server closed the connection ({_close_words(message)})")
                case _:
                    self._fail("the connection is closed")

    def _receive(self, message: str) -> None:
        if not self._flow.take(len(message), time.monotonic()):
            return self._fail("the server says more than anybody can read")
        try:
            told = self._reader.read(message)
        except Unreadable as error:
            return self._fail(str(error))
        for one in told:
            self._hear(one)

    async def _write(self) -> None:
        try:
            while not self._is_over:
                while self._waiting and not self._is_over:
                    frame = self._waiting.popleft()
                    self._waiting_samples -= len(frame)
                    await self._send(self._pack(frame))
                self._news.clear()
                await self._wait()
        except (OSError, aiohttp.ClientError):
            self._fail("the connection broke")

    async def _wait(self) -> None:
        """For more sound; a server that is told nothing for long hangs up."""
        try:
            async with asyncio.timeout(QUIET_S if self._keep_alive else None):
                await self._news.wait()
        except TimeoutError:
            assert self._keep_alive
            await self._send(self._keep_alive)

    async def _send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._ws.send_str(message)
        else:
            await self._ws.send_bytes(message)

    def _fail(self, words: str) -> None:
        """Tell it, once, and nothing after it."""
        if not self._is_over:
            self._is_over = True
            self._waiting.clear()
            self._news.set()
            self._hear(Failed(scrub(words, self._key)))


def _close_words(message: aiohttp.WSMessage) -> str:
    code = message.data if isinstance(message.data, int) else 1005
    said = message.extra if isinstance(message.extra, str) else ""
    found = CLOSE_REASON.search(said)
    return f"code {code}, {found[0]}" if found else f"code {code}"
