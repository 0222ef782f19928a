"""A gateway that a test plays: it refuses as it was told, then greets, and answers what must be answered."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from rtc_stt.events import Event, Finalized, SessionEnded, SessionResumed, SessionStarted
from rtc_stt.wire import encode_event

__all__ = ["Connection", "Gateway", "until"]

TIMEOUT_S = 5.0


async def until(ready: Any) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not ready():
            await asyncio.sleep(0.001)


class Connection:
    """One WebSocket. Events get the next number of the session."""

    def __init__(self, gateway: Gateway, ws: web.WebSocketResponse, first: dict[str, Any]) -> None:
        self.first, self.said = first, list[Any]()
        """The first message; what came after it: commands by their type, audio as bytes joined."""
        self.is_closed = False
        self._gateway, self._ws = gateway, ws

    @property
    def audio(self) -> bytes:
        return b"".join(said for said in self.said if isinstance(said, bytes))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [said for said in self.said if isinstance(said, dict) and said["type"] == kind]

    async def tell(self, *events: Event) -> None:
        for event in events:
            self._gateway.seq += 1
            await self._ws.send_str(encode_event(replace(event, seq=self._gateway.seq)))

    async def serve(self) -> None:
        await self._ws.send_json({"type": "received", "samples": 0})
        async for message in self._ws:
            if message.type is WSMsgType.BINARY:
                self.said.append(message.data)
                continue
            command = json.loads(message.data)
            if command["type"] != "ack":
                self.said.append(command)
            if command["type"] == "finalize" and self._gateway.answers:
                await self.tell(Finalized(at_ms=0, id=command["id"], utterance_id=None))
            elif command["type"] == "stop":
                await self.end("stopped")
        self.is_closed = True

    async def end(self, reason: str) -> None:
        await self.tell(SessionEnded(at_ms=0, reason=reason))
        await self._ws.close(code=1000)

    def cut(self) -> None:
        assert self._ws._req is not None
        assert self._ws._req.transport is not None
        self._ws._req.transport.abort()


class Gateway:
    """See above. ``async with gateway.http:`` it serves."""

    def __init__(self) -> None:
        self.refusals: list[tuple[int, str]] = []
        """Status and message, each for one request; the last one for all after it where ``refuses_all``."""
        self.refuses_all = False
        self.answers = True
        self.connections: list[Connection] = []
        self.requests = 0
        self.headers: list[str] = []
        self.seq = 0
        self._sessions = 0
        app = web.Application()
        app.router.add_get("/v1/stream", self._stream)
        self.http = TestServer(app)

    @property
    def url(self) -> str:
        return str(self.http.make_url(""))

    def restart(self) -> None:
        """Forget the session, as a server does that was killed."""
        self._sessions += 1
        for connection in self.connections:
            connection.cut()

    async def connection(self, count: int) -> Connection:
        await until(lambda: len(self.connections) >= count)
        return self.connections[count - 1]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.headers.append(request.headers.get("Authorization", ""))
        if self.refusals:
            status, message = self.refusals[0] if self.refuses_all else self.refusals.pop(0)
            return web.json_response({"error": {"type": "x", "message": message}}, status=status)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        first = await ws.receive_json()
        connection = Connection(self, ws, first)
        if first.get("resume_token") == f"token-{self._sessions}":
            await connection.tell(
                SessionResumed(at_ms=0, session_id=f"s{self._sessions}", gap_ms=0, resent=0)
            )
        else:
            self._sessions, self.seq = self._sessions + 1, 0
            token = f"token-{self._sessions}"
            await connection.tell(
                SessionStarted(at_ms=0, session_id=f"s{self._sessions}", resume_token=token)
            )
        self.connections.append(connection)
        await connection.serve()
        return ws
