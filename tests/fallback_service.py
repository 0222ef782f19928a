"""A fallback service that does as it is told, on loopback."""

from __future__ import annotations

import asyncio
import io
import socket
import wave
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from aiohttp import web

from rtc_stt.audio import SAMPLE_RATE, Samples

Behaviour = Callable[["Service", web.Request], Awaitable[web.StreamResponse]]


def verbose(
    text: str, *, words: Sequence[tuple[str, int, int]] = (), model: str = "medium", **figures: Any
) -> dict[str, Any]:
    """``verbose_json`` of one stretch."""
    segment = {
        "id": 0,
        "start_ms": 0,
        "end_ms": 1_000,
        "text": text,
        "language": "en",
        "language_probability": 0.98,
        "confidence": 0.9,
        "avg_logprob": -0.1,
        "no_speech_prob": 0.02,
        "compression_ratio": 1.1,
        "model": model,
        "tier": "fast",
        "route": {"decision": "accepted", "reasons": [], "fast": None},
        "words": [{"word": w, "start_ms": s, "end_ms": e, "probability": 0.9} for w, s, e in words],
    }
    return {
        "text": text,
        "language": "en",
        "duration_ms": 1_000,
        "model": model,
        "degraded": False,
        "request_id": "r",
        "segments": [segment | figures],
        "dropped": [],
        "spent": {"queue_ms": 0, "primary_infer_ms": 5, "fallback_infer_ms": 0},
    }


# ── What it may do ────────────────────────────────────────────────────────────


async def answer(service: Service, _request: web.Request) -> web.StreamResponse:
    return web.json_response(verbose(service.text, words=service.words, **service.figures))


def status(code: int, **headers: str) -> Behaviour:
    async def behave(_service: Service, _request: web.Request) -> web.StreamResponse:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(
            {"error": {"type": "x", "message": "secret words"}}, status=code, headers=told
        )

    return behave


def body(content: bytes, **headers: str) -> Behaviour:
    async def behave(_service: Service, _request: web.Request) -> web.StreamResponse:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=content, headers={"Content-Type": "application/json"} | told)

    return behave


async def hang(service: Service, _request: web.Request) -> web.StreamResponse:
    """Answers when the gate opens."""
    await service.gate.wait()
    return await answer(service, _request)


async def reset(_service: Service, request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def flood(_service: Service, request: web.Request) -> web.StreamResponse:
    """An answer without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


async def trickle(_service: Service, request: web.Request) -> web.StreamResponse:
    """An answer of which a byte comes now and then."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)


async def stop_short(_service: Service, request: web.Request) -> web.StreamResponse:
    """Half of an answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"segments": [')
    assert request.transport is not None
    request.transport.close()
    return response


class Service:
    """Does what ``script`` says, one entry a request, then goes on with ``otherwise``."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = []
        self.otherwise: Behaviour = answer
        self.text = "better words"
        self.words: Sequence[tuple[str, int, int]] = ()
        self.figures: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        """Fields of the requests, without their audio."""
        self.heard: list[Samples] = []
        self.headers: list[dict[str, str]] = []
        self.gate = asyncio.Event()
        self.running = self.most = 0
        self._runner: web.AppRunner | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Service:
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_post("/v1/transcribe", self._transcribe)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        self.gate.clear()
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def stop(self) -> None:
        self.gate.set()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self._read(request)
            behave = self.script.pop(0) if self.script else self.otherwise
            return await behave(self, request)
        finally:
            self.running -= 1

    async def _read(self, request: web.Request) -> None:
        form = await request.post()
        audio = form["audio"]
        assert isinstance(audio, web.FileField)
        with audio.file:
            sent = audio.file.read()
        with wave.open(io.BytesIO(sent)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        self.heard.append((pcm / 32_767).astype(np.float32))
        self.asked.append({name: str(value) for name, value in form.items() if name != "audio"})
        self.headers.append(dict(request.headers))

    async def _elsewhere(self, _request: web.Request) -> web.StreamResponse:
        raise AssertionError("a redirect was followed")
