"""The gateway with real sockets and a script for models, for tests of what goes over WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.session import Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad
from rtc_stt.vad import VadBatcher
from signaling.app import create_app
from signaling.keys import GATE
from signaling.metrics import Metrics
from signaling.page import About
from signaling.registry import Registry
from signaling.settings import Access, Server, WebRtc
from signaling.telephony.settings import Phones
from tests.line import until

KEY = "a-key-of-sixteen-chars"
PCM = {"encoding": "pcm_s16le", "sample_rate": 16_000}
SECOND = bytes(32_000)

Ws = aiohttp.ClientWebSocketResponse


class Gateway:
    """The gateway, and what is behind it."""

    def __init__(
        self,
        access: dict[str, Any],
        resume_seconds: float,
        server: dict[str, Any],
        path: str = "/v1/stream",
        script: Sequence[Said] = (),
        phones: Phones | None = None,
    ) -> None:
        self.path = path
        self.metrics = Metrics()
        self.speech = Speech(
            VadBatcher(ScriptedVad(script)),
            DecodePool({Tier.FAST: ScriptedEngine(script)}, concurrency=1, instrument=self.metrics),
            instrument=self.metrics,
        )
        settings, webrtc = Server(**server), WebRtc(resume_seconds=resume_seconds)
        self.registry = Registry(self.speech, settings, webrtc)
        about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
        access = {"rate_limit_burst": 1000} | access
        self.app = create_app(
            self.registry,
            settings,
            Access(**access),
            webrtc,
            about,
            self.metrics,
            streams=self.registry,
            phones=phones,
        )
        self.client = TestClient(TestServer(self.app))

    def connect(self, query: str = "", **how: Any) -> Any:
        return self.client.ws_connect(self.path + query, **how)

    async def begin(self, **more: Any) -> tuple[Ws, dict[str, Any]]:
        """A session; gives the socket and its first event."""
        resumes = "?resume=1" if "resume_token" in more else ""
        ws = await self.connect(resumes)
        await ws.send_json({"type": "configure", "audio": PCM} | more)
        return ws, await ws.receive_json()

    async def refusal(self, query: str = "", **headers: str) -> tuple[int, str]:
        """Status and type of an upgrade that is refused."""
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        async with self.client.get(self.path + query, headers=upgrade | key | headers) as response:
            error = (await response.json())["error"]
            assert error["request_id"] == response.headers["X-Req-Id"]
            return response.status, error["type"]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def refused(self, reason: str) -> float:
        return self.count("rtc_stt_rejected_total", reason=reason)


@contextlib.asynccontextmanager
async def a_gateway(
    *,
    access: dict[str, Any] | None = None,
    resume_seconds: float = 30.0,
    path: str = "/v1/stream",
    script: Sequence[Said] = (),
    add_routes: Callable[[web.Application], None] = lambda _: None,
    phones: Phones | None = None,
    **server: Any,
) -> AsyncIterator[Gateway]:
    """One that leaves nothing behind.

    Args:
        path: where its sockets are opened.
        script: what is heard, whatever is said.
        add_routes: adds more of them.
        phones: how phone calls are taken; None: none are.
    """
    gateway = Gateway(access or {}, resume_seconds, server, path, script, phones)
    add_routes(gateway.app)
    async with gateway.client:
        yield gateway
        door = gateway.app[GATE].door
        await gateway.registry.drain(1.0)
        await until(lambda: not door.half_open and not door.sessions)
    assert not gateway.registry._tasks
    assert len(gateway.registry) == 0
    await gateway.speech.aclose()


async def rest(ws: Ws) -> list[dict[str, Any]]:
    """All that is told until the end."""
    async with asyncio.timeout(10):
        return [json.loads(message.data) async for message in ws]
