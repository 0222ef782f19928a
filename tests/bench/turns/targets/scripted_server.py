"""Servers that a test plays, on loopback, and what a target told of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.told import Told

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FRAME: Samples = np.full(320, 0.25, np.float32)


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address of ``/v1/listen`` on a server where ``handler`` answers everything."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/v1/listen"))


async def upgraded(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(max_msg_size=1 << 22)
    await ws.prepare(request)
    return ws


async def until_closed(ws: web.WebSocketResponse) -> list[str | bytes]:
    """All that the client says."""
    return [m.data async for m in ws if m.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)]


class Ear:
    """What was told, in order."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._news = asyncio.Event()

    def __call__(self, told: Told) -> None:
        self.told.append(told)
        self._news.set()

    async def count(self, count: int) -> list[Told]:
        """All of it, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()
        return self.told
