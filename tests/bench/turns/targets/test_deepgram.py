"""The adapter for Deepgram's live transcription, and what all adapters behind a WebSocket have in common."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from aiohttp import web

from rtc_stt.bench.turns.targets import foreign_socket
from rtc_stt.bench.turns.targets.deepgram import DeepgramTarget
from rtc_stt.bench.turns.targets.pcm import pcm16
from rtc_stt.bench.turns.told import Endpoint, Failed, Final, Partial
from rtc_stt.errors import TargetFailed
from tests.bench.turns.targets.scripted_server import FRAME, Ear, serving, until_closed, upgraded

KEY = "dg-secret"


def results(transcript: str, **flags: bool) -> dict[str, Any]:
    channel = {"alternatives": [{"transcript": transcript, "confidence": 0.9, "words": []}]}
    return {"type": "Results", "start": 0, "duration": 0.2, "channel": channel, "is_final": False, **flags}


class Server:
    """Answers the first sound, and keeps what it hears."""

    def __init__(self, *messages: Any, then: Any = until_closed) -> None:
        self.messages, self.then = messages, then
        self.requests: list[web.Request] = []
        self.heard: list[str | bytes] = []

    async def __call__(self, request: web.Request) -> web.WebSocketResponse:
        self.requests.append(request)
        ws = await upgraded(request)
        self.heard.append((await ws.receive()).data)
        for message in self.messages:
            send = ws.send_bytes if isinstance(message, bytes) else ws.send_str
            await send(message if isinstance(message, str | bytes) else json.dumps(message))
        self.heard += await self.then(ws) or []
        return ws


async def played(server: Server, told: int, *, frames: int = 3, **options: Any) -> Ear:
    async with serving(server) as url:
        target = DeepgramTarget(url=url + "?tag=mine&endpointing=9", key=KEY, hangover_ms=300, **options)
        await target.start()
        ear = Ear()
        line = await target.connect(ear, None)
        for _ in range(frames):
            line.send(FRAME)
        await ear.count(told)
        line.send(FRAME)  # a line that is over takes it, and does nothing
        await line.close()
        await target.close()
    return ear


async def test_a_turn() -> None:
    server = Server(results("hello"), results("hello you", is_final=True, speech_final=True))
    ear = await played(server, 3, model="nova-3")
    assert ear.told == [Partial("hello", audio_end_ms=200), Endpoint(), Final("hello you")]
    [request] = server.requests
    assert request.headers["Authorization"] == f"Token {KEY}"
    assert request.query["tag"] == "mine"
    assert request.query.getall("endpointing") == ["300"]
    assert request.query["model"] == "nova-3"


async def test_the_end_of_the_stream_is_said_when_the_line_is_closed_and_not_before() -> None:
    server = Server(results("hello"))
    await played(server, 1)
    sound = [heard for heard in server.heard if isinstance(heard, bytes)]
    assert set(sound) == {pcm16(FRAME)}
    assert [heard for heard in server.heard if isinstance(heard, str)] == ['{"type": "CloseStream"}']
    assert server.heard[-1] == '{"type": "CloseStream"}'


async def test_without_sound_the_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_socket, "QUIET_S", 0.02)
    kept = asyncio.Event()

    async def wait(ws: web.WebSocketResponse) -> None:
        while (await ws.receive()).data != '{"type": "KeepAlive"}':
            pass
        kept.set()
        await until_closed(ws)

    async with serving(Server(then=wait)) as url:
        target = DeepgramTarget(url=url)
        await target.start()
        line = await target.connect(Ear(), None)
        line.send(FRAME)
        async with asyncio.timeout(5):
            assert await kept.wait()
        await line.close()
        await target.close()


async def closes(ws: web.WebSocketResponse) -> None:
    await ws.close(code=1011, message=f"NET-0001 no sound from {KEY}".encode())


async def breaks(ws: web.WebSocketResponse) -> None:
    assert ws._req is not None
    assert ws._req.transport is not None
    ws._req.transport.abort()


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(then=closes), r"the server closed the connection \(code 1011, NET-0001\)"),
        (Server(then=breaks), "the connection (broke|is closed)|the server closed the connection.*"),
        (Server("{"), "a message is not JSON"),
        (Server(b"bytes"), "the server sent bytes where text was due"),
        (Server({"type": "Error", "variant": KEY}), r"the server told an error \(without a code\)"),
        (Server("x" * (foreign_socket.MAX_MESSAGE + 1)), "the connection broke"),
        (Server(*["{}" + " " * 1_000_000] * 12), "the server says more than anybody can read"),
    ],
    ids=["closes", "breaks", "no JSON", "bytes", "error", "too long", "flood"],
)
async def test_a_server_of_no_more_use(server: Server, reason: str) -> None:
    ear = await played(server, 1)
    [failed] = ear.told
    assert isinstance(failed, Failed)
    assert re.fullmatch(reason, failed.reason)


async def test_who_takes_no_sound_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_socket, "MAX_WAITING_S", 1)

    async def deaf(request: web.Request) -> web.WebSocketResponse:
        ws = await upgraded(request)
        await ws.receive()
        assert request.transport is not None
        request.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        return ws

    async with serving(deaf) as url:
        target = DeepgramTarget(url=url)
        await target.start()
        ear = Ear()
        line = await target.connect(ear, None)
        for _ in range(51):
            line.send(FRAME)
        assert ear.told == [Failed("the server takes no sound: 1 s of it wait")]
        await line.close()
        await target.close()


@pytest.mark.parametrize(
    ("status", "words"), [(401, "status 401: look at the key"), (503, "status 503"), (302, "a redirect")]
)
async def test_who_refuses_the_connection(status: int, words: str) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text=KEY, headers={"Location": "http://127.0.0.1:1/"})

    with pytest.raises(TargetFailed, match=words) as failed:
        await _connect(refuse)
    assert KEY not in str(failed.value)


async def _connect(handler: Any) -> None:
    async with serving(handler) as url:
        target = DeepgramTarget(url=url, key=KEY)
        await target.start()
        try:
            await target.connect(Ear(), None)
        finally:
            await target.close()
