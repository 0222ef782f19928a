"""Hands what is meant for another gateway to it: one hop, marked, and bounded in every way.

Where it goes to comes from that gateway's own sign of life, and never from a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp import WSMessage, WSMsgType, web

from rtc_stt.errors import Unavailable
from rtc_stt.events import PROTOCOL
from signaling.shared.nodes import Node

__all__ = ["MARK", "Relay"]

log = logging.getLogger(__name__)

MARK = "X-Rtc-Stt-Forwarded"
"""Who bears it came by another gateway, and is not handed on: no two can hand a request back and forth."""

PROBE_TIMEOUT_S = 0.3
"""For a gateway to say that it lives. Its client waits, and says again what it has said meanwhile."""

CONNECT_TIMEOUT_S, TIMEOUT_S = 1.0, 10.0

MAX_UNDER_WAY = 64
"""Requests; one takes as long as an answer to an offer."""

MAX_BRIDGES = 256
"""WebSockets. A balancer that leads clients back to their own gateway needs none."""

MAX_ANSWER = 256 * 1024
MAX_MESSAGE = 4 * 1024 * 1024
CLOSE_TIMEOUT_S = 2.0

ASKED = ("Authorization", "Content-Type", "If-Match", "Resume-Token", "Resume-From")
ANSWERED = ("Content-Type", "Location", "ETag", "Retry-After", "X-Error-Type", "X-Error-Message")
"""Headers that are handed on; the others are of a connection and not of what is asked."""


class Relay:
    """See above. Make it, then :meth:`start` it in the loop that it is used in.

    Args:
        name: gives the name of this gateway.
    """

    def __init__(self, name: Callable[[], str]) -> None:
        self._name = name
        self._http: aiohttp.ClientSession | None = None
        self._under_way = self._bridges = 0

    def start(self) -> None:
        """From here on it may be used."""
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http:
            await self._http.close()

    async def lives(self, node: Node) -> bool:
        """Whether a gateway answers at once."""
        assert self._http
        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        try:
            async with self._http.get(
                _at(node, "/v1/health"), timeout=timeout, allow_redirects=False
            ) as told:
                return told.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def pass_on(
        self, request: web.Request, node: Node, address: str, body: bytes = b""
    ) -> web.Response:
        """Ask another gateway what was asked here; gives its answer.

        Args:
            address: of the client.
            body: of the request, read.

        Raises:
            Unavailable: it does not answer, or too much is on its way.
        """
        assert self._http
        if self._under_way >= MAX_UNDER_WAY:
            raise Unavailable("too many requests are on their way to other gateways; try again in a moment")
        self._under_way += 1
        try:
            async with self._http.request(
                request.method,
                _at(node, request.path),
                data=body or None,
                headers=self._headers(request, address),
                allow_redirects=False,
            ) as answer:
                told = await _read(answer)
                headers = {name: answer.headers[name] for name in ANSWERED if name in answer.headers}
                response = web.Response(status=answer.status, body=told, headers=headers)
                for link in answer.headers.getall("Link", ()):
                    response.headers.add("Link", link)
                return response
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("the gateway %s does not answer: %s", node.name, type(error).__name__)
            raise Unavailable("the gateway of this session does not answer; try again in a moment") from error
        finally:
            self._under_way -= 1

    async def bridge(
        self, ws: web.WebSocketResponse, request: web.Request, node: Node, address: str, first: str
    ) -> None:
        """Let a WebSocket that stands go on to another gateway, until either end closes it.

        Args:
            address: of the client.
            first: what its client has said so far.

        Raises:
            Unavailable: it cannot.
        """
        assert self._http
        if self._bridges >= MAX_BRIDGES:
            raise Unavailable("too many connections go on to other gateways; try again in a moment")
        self._bridges += 1
        try:
            there = await self._http.ws_connect(
                _at(node, request.path) + (f"?{request.query_string}" if request.query_string else ""),
                headers=self._headers(request, address),
                protocols=(PROTOCOL,),
                autoping=False,
                max_msg_size=MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                compress=0,
            )
            async with there:
                await there.send_str(first)
                await _pump_both(ws, there)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("a WebSocket to the gateway %s ended: %s", node.name, type(error).__name__)
            raise Unavailable("the gateway of this session does not answer; try again in a moment") from error
        finally:
            self._bridges -= 1

    def _headers(self, request: web.Request, address: str) -> Mapping[str, str]:
        found = {name: request.headers[name] for name in ASKED if name in request.headers}
        return {**found, MARK: self._name(), "X-Forwarded-For": address}


def _at(node: Node, path: str) -> str:
    return node.url.rstrip("/") + path


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            raise ValueError("an answer is too long")
    return body


async def _pump_both(here: web.WebSocketResponse, there: aiohttp.ClientWebSocketResponse) -> None:
    """Both ways, each no faster than the other side takes it."""
    loop = asyncio.get_running_loop()
    ways = [loop.create_task(_pump(here, there)), loop.create_task(_pump(there, here))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    code = there.close_code if there.closed else here.close_code
    with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            await there.close(code=_told(code))
            await here.close(code=_told(code))


def _told(code: int | None) -> int:
    """One that may be said; a connection that broke says none (RFC 6455 §7.4.1)."""
    return code if code and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code < 5000) else 1012


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        while True:
            message: WSMessage = await source.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case WSMsgType.PING:
                    await sink.ping(message.data)
                case WSMsgType.PONG:
                    await sink.pong(message.data)
                case _:
                    return
