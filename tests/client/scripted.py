"""A server over TCP that answers as it is told, whatever that is, and notes what it was asked."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web
from aiohttp.test_utils import TestServer, unused_port

from rtc_stt.events import Decision, Reason, Route
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.service.formats import Form, render
from rtc_stt.service.transcript import Segment, Spent, Transcript

__all__ = [
    "ScriptedServer", "breaks_off", "dies", "hangs", "refuses", "says", "serving", "slowly", "transcript",
    "without_reading",
]  # fmt: skip

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]


def transcript(text: str = "hello there", words: bool = False) -> Transcript:
    """One segment that was doubted and decoded again."""
    segment = Segment(
        id=0,
        start_ms=100,
        end_ms=900,
        text=text,
        language="en",
        language_probability=0.98,
        avg_logprob=-0.25,
        no_speech_prob=0.01,
        compression_ratio=1.1,
        model="medium",
        tier=Tier.ACCURATE,
        route=Route(Decision.REDECODED, (Reason.FEW_WORDS,)),
        words=(Word("hello", 100, 400, 0.9),) if words else (),
    )
    return Transcript(1_000, (segment,), (), Spent(3, 40, 120), "medium")


FIGURES = {
    "X-Queue-Wait-ms": "3",
    "X-Primary-Infer-ms": "40.5",
    "X-Fallback-Infer-ms": "120",
    "X-Total-ms": "170",
    "X-Fallback-Used": "true",
    "X-Final-Model": "medium",
    "X-Conf-Below": "true",
}


def says(text: str = "hello there", *, degraded: bool = False, **headers: str) -> Step:
    """Transcribes, whatever it gets."""

    async def step(request: web.Request) -> web.Response:
        body, kind = render(
            transcript(text), Form.VERBOSE_JSON, request_id="r1", degraded=degraded, words=False
        )
        told = (
            FIGURES | {"X-Req-Id": "r1"} | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return web.Response(text=body, content_type=kind, headers=told)

    return step


def refuses(
    status: int, type_: str = "", message: str = "", *, body: str | None = None, **headers: str
) -> Step:
    """An error in our form, or any ``body``."""

    async def step(request: web.Request) -> web.Response:
        told = {"X-Req-Id": "r0"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            return web.Response(status=status, text=body, content_type="text/html", headers=told)
        error = {"type": type_, "message": message, "request_id": "r0"}
        return web.json_response({"error": error}, status=status, headers=told)

    return step


async def dies(request: web.Request) -> web.Response:
    """The connection is cut before there is an answer."""
    assert request.transport
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """The connection is cut in the midst of an answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"text": "hel')
    assert request.transport
    request.transport.close()
    return response


async def hangs(request: web.Request) -> web.Response:
    """Never answers."""
    await asyncio.sleep(60)
    return web.Response()


def slowly(seconds: float, step: Step) -> Step:
    """After a while."""

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await step(request)

    return slow


def without_reading(step: Step) -> Step:
    """Before the body is read, as a server refuses what is too big, or a wrong key."""

    async def early(request: web.Request) -> web.StreamResponse:
        return await step(request)

    early.is_early = True  # type: ignore[attr-defined]
    return early


@dataclass
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str] = field(default_factory=dict)
    audio: bytes = b""
    """The first 64 KiB."""
    size: int = 0
    digest: str = ""


class ScriptedServer:
    """``steps`` are taken one a request of a recording; when there are none left ``then`` goes on."""

    def __init__(self, *steps: Step, then: Step | None = None) -> None:
        self.steps = deque(steps)
        self.then = then or says()
        self.asked: list[Asked] = []
        self.under_way = 0
        self.most_under_way = 0
        self.is_ready = True
        self.is_away = False
        """Cuts every connection; softer than :meth:`stop`, which aiohttp does not bear often under load."""
        self.ready_asked = 0
        self.port = unused_port()
        self._server: TestServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, always on the same port."""
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/transcribe", self._transcribe)
        app.router.add_get("/v1/ready", self._ready)
        app.router.add_get("/v1/health", self._ready)
        app.router.add_get("/v1/metrics", self._get)
        app.router.add_get("/v1/usage", self._get)
        self._server = TestServer(app, host="127.0.0.1", port=self.port)
        await self._server.start_server(shutdown_timeout=0.01)

    async def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._server:
            await self._server.close()
            self._server = None

    async def _ready(self, request: web.Request) -> web.Response:
        self.ready_asked += 1
        if self.is_away:
            return await dies(request)
        return web.json_response({"ok": self.is_ready}, status=200 if self.is_ready else 503)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.path, dict(request.headers)))
        if self.steps:
            return await self.steps.popleft()(request)
        return web.json_response({"path": request.path})

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        if self.is_away:
            return await dies(request)
        step = self.steps.popleft() if self.steps else self.then
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            asked = Asked(request.path, dict(request.headers))
            self.asked.append(asked)
            if not hasattr(step, "is_early"):
                await _read(request, asked)
            return await step(request)
        finally:
            self.under_way -= 1


async def _read(request: web.Request, asked: Asked) -> None:
    digest = hashlib.sha256()
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        assert part.name
        if part.name != "audio":
            asked.fields[part.name] = (await part.read()).decode()
            continue
        assert part.filename, "a field without a file name is none of a file"
        while chunk := await part.read_chunk(2**16):
            digest.update(chunk)
            asked.size += len(chunk)
            asked.audio = asked.audio or bytes(chunk)
    asked.digest = digest.hexdigest()


@asynccontextmanager
async def serving(*servers: ScriptedServer) -> AsyncIterator[None]:
    """While the block runs."""
    try:
        for server in servers:
            await server.start()
        yield
    finally:
        for server in servers:
            await server.stop()
