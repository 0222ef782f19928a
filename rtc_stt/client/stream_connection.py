"""One WebSocket of the client: the upgrade, what is sent, what is heard. It is lost once, and then closed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from rtc_stt.client.reconnect import Answer
from rtc_stt.client.replay import answer_of
from rtc_stt.client.whip import read_answer
from rtc_stt.commands import Command
from rtc_stt.wire import encode_command

__all__ = ["StreamConnection"]

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
"""For the server's good-bye; a dead line says none."""

MAX_MESSAGE = 4 * 1024 * 1024
"""Longer than any event."""


class _Refused(Exception):
    """The server did not upgrade."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def _refuse(response: aiohttp.ClientResponse) -> None:
    if response.status != 101:
        answer = await read_answer(response)
        response.close()
        raise _Refused(answer)


async def _stop_redirect(_session: Any, _context: Any, told: aiohttp.TraceRequestRedirectParams) -> None:
    """Redirects are followed by who knows how often that was done; and aiohttp would leave out the key."""
    await _refuse(told.response)


class StreamConnection:
    """See above.

    Args:
        http: whose it is; closed by its owner.
        receive: takes each text message.
        lose: called once when the connection is of no use any more; not by :meth:`close`.
        next_up: gives what to send next, a command or audio; None where there is nothing. Asked again after
            :meth:`wake`.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        receive: Callable[[str], None],
        lose: Callable[[], None],
        next_up: Callable[[], bytes | Command | None],
    ) -> None:
        self._http = http
        self._receive: Callable[[str], None] | None = receive
        self._lose: Callable[[], None] | None = lose
        self._next_up = next_up
        self._urgent: deque[str] = deque()
        self._news = asyncio.Event()
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._code = 1001  # to close with: whoever is lost comes back
        self._last_words = ""

    @staticmethod
    def make_http(secret: str | None) -> aiohttp.ClientSession:
        """For all connections of one client."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_stop_redirect)
        return aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {secret}"} if secret else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=OPEN_TIMEOUT_S),
            trace_configs=[trace],
            raise_for_status=_refuse,
        )

    @property
    def answer(self) -> Answer | None:
        """Why the server has closed it, as far as that tells what to do."""
        return answer_of(self._ws.close_code, self._last_words) if self._ws else None

    async def open(self, url: str, first: str) -> Answer:
        """Connect and say the first message; gives what the server answered, 201 where it is good.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: there is no answer.
        """
        timeout = aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                self._ws = await self._http.ws_connect(
                    url, timeout=timeout, max_msg_size=MAX_MESSAGE, compress=0
                )
                await self._ws.send_str(first)
        except _Refused as refused:
            return refused.answer
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read(self._ws)), loop.create_task(self._write(self._ws))]
        return Answer(201)

    def send(self, command: Command) -> None:
        """Send a command at once, before audio that waits."""
        self._urgent.append(encode_command(command))
        self._news.set()

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    def say_goodbye(self) -> None:
        """When it is closed, the session need not wait for anyone."""
        self._code = 1000

    def close(self) -> Coroutine[Any, Any, None]:
        """Say nothing more from now on; the coroutine lets go of everything within bounded time."""
        self._lose = self._receive = None
        return self._close()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ws:
            try:
                async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                    await self._ws.close(code=self._code)
            except (TimeoutError, OSError, aiohttp.ClientError) as error:
                log.info("a connection did not close: %s", type(error).__name__)

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in ws:
                if message.type is aiohttp.WSMsgType.TEXT and self._receive:
                    self._last_words = message.data
                    self._receive(message.data)
        finally:
            self._on_lost()

    async def _write(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                self._news.clear()
                while self._urgent:
                    await ws.send_str(self._urgent.popleft())
                match self._next_up():
                    case None:
                        await self._news.wait()
                    case bytes(audio):
                        await ws.send_bytes(audio)
                    case command:
                        await ws.send_str(encode_command(command))
        except (OSError, aiohttp.ClientError):
            self._on_lost()

    def _on_lost(self) -> None:
        lose, self._lose = self._lose, None
        if lose:
            lose()
