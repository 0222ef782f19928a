"""One gateway at a replica: what it says is read with care, what is said to it waits in a bounded line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import aiohttp
from aiohttp import web

from rtc_stt.replicas.door import Waiting
from rtc_stt.replicas.payload import read_batch
from rtc_stt.replicas.reading import BadPayload
from rtc_stt.replicas.replies import MAX_TEXT_BYTES, read_forget, read_gateway_alive, read_message
from rtc_stt.token_bucket import TokenBucket

__all__ = ["ServerLink"]

log = logging.getLogger(__name__)

SILENT_S = 10.0
"""A gateway that has said nothing for so long is gone: it gives a sign of life each second."""

MAX_UNSAID = 1_000
"""Messages that it does not take; then it is gone likewise."""

RATE, BURST = 500.0, 1_000.0
"""Messages a second. A replica decodes tens, and forgets as many."""

LARGE = 2 * 1024 * 1024
"""Bytes of a batch from which it is read in a thread: a minute of audio takes a millisecond or two."""


class ServerLink:
    """See above.

    Args:
        take: is given each batch.
        forget: is told of each batch that is not waited for.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        max_batch: int,
        take: Callable[[Waiting], None],
        forget: Callable[[ServerLink, int], None],
        clock: Callable[[], float],
    ) -> None:
        self.queued_s = 0.0
        """Audio in its queue, as it last told."""
        self._socket = socket
        self._max_batch = max_batch
        self._take = take
        self._forget = forget
        self._clock = clock
        self._bucket = TokenBucket(RATE, BURST)
        self._unsaid: asyncio.Queue[str] = asyncio.Queue(MAX_UNSAID)
        self._is_lost = False

    async def run(self) -> None:
        """Until it goes."""
        writer = asyncio.create_task(self._write())
        try:
            while await self._read_one():
                pass
        finally:
            self._is_lost = True
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            await self.aclose()

    def say(self, text: str) -> None:
        """Soon; never waits."""
        if self._is_lost:
            return
        try:
            self._unsaid.put_nowait(text)
        except asyncio.QueueFull:
            self._lose("does not take what it is told")

    async def aclose(self, code: int = aiohttp.WSCloseCode.OK) -> None:
        """Say goodbye."""
        self._is_lost = True
        with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code=code)

    async def _read_one(self) -> bool:
        try:
            async with asyncio.timeout(SILENT_S):
                message = await self._socket.receive()
        except TimeoutError:
            self._lose("is silent")
            return False
        if message.type is aiohttp.WSMsgType.ERROR:
            self._lose("says what is no WebSocket message, or too large a one")
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY) or self._is_lost:
            return False
        if not self._bucket.take(self._clock()):
            self._lose("says too much")
            return False
        try:
            await self._read(message.data)
        except BadPayload as error:
            self._lose(f"cannot be understood: {error}")
            return False
        return True

    async def _read(self, data: str | bytes) -> None:
        came_at = self._clock()
        if isinstance(data, bytes):
            if len(data) > LARGE:
                batch = await asyncio.to_thread(read_batch, data, self._max_batch)
            else:
                batch = read_batch(data, self._max_batch)
            self._take(Waiting(self, batch, came_at))
            return
        if len(data) > MAX_TEXT_BYTES:
            raise BadPayload("a message is too long")
        message = read_message(data)
        if message["type"] == "alive":
            self.queued_s = read_gateway_alive(message).queued_s
        elif message["type"] == "forget":
            self._forget(self, read_forget(message))
        else:
            raise BadPayload("a message is of no kind that is known")

    def _lose(self, why: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            log.warning("the link to a gateway is ended: it %s", why)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await self._socket.send_str(await self._unsaid.get())
