"""The adapter for OpenAI's Realtime API against a server that speaks it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from rtc_stt.bench.turns.targets import openai_realtime
from rtc_stt.bench.turns.targets.openai_realtime import OpenAIRealtimeTarget
from rtc_stt.bench.turns.told import Endpoint, Failed, Final, Partial
from rtc_stt.errors import TargetFailed
from tests.bench.turns.targets.scripted_server import FRAME, Ear, serving, until_closed, upgraded

KEY = "sk-secret"


class Server:
    """Agrees to the session, and answers half a second of sound with a turn."""

    def __init__(self, *, agree: bool = True, then: tuple[Any, ...] = ()) -> None:
        self.agree, self.then = agree, then
        self.requests: list[web.Request] = []
        self.session: dict[str, Any] = {}
        self.pcm = b""

    async def __call__(self, request: web.Request) -> web.WebSocketResponse:
        self.requests.append(request)
        ws = await upgraded(request)
        await ws.send_json({"type": "session.created", "session": {"id": "sess_1"}})
        self.session = await ws.receive_json()
        if not self.agree:
            error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": f"key {KEY}"}
            await ws.send_json({"type": "error", "error": error})
        else:
            await ws.send_json({"type": self.session["type"] + "d", "session": {}})
            await self._listen(ws)
        await until_closed(ws)
        return ws

    async def _listen(self, ws: web.WebSocketResponse) -> None:
        while len(self.pcm) < 2 * 12_000:
            told = await ws.receive_json()
            assert told["type"] == "input_audio_buffer.append"
            self.pcm += base64.b64decode(told["audio"])
        for message in self.then:
            await (ws.send_json(message) if isinstance(message, dict) else ws.send_str(message))


def transcription(kind: str, **fields: str) -> dict[str, str]:
    return {"type": f"conversation.item.input_audio_transcription.{kind}", "item_id": "item_1", **fields}


TURN = (
    transcription("delta", delta="two words"),
    {"type": "input_audio_buffer.speech_stopped", "item_id": "item_1", "audio_end_ms": 500},
    transcription("completed", transcript="Two words."),
)


async def played(server: Server, told: int, *, language: str | None = "en", **options: Any) -> Ear:
    """600 ms of sound, until so much was told."""
    async with serving(server) as url:
        target = OpenAIRealtimeTarget(url=url, key=KEY, hangover_ms=300, **options)
        await target.start()
        ear = Ear()
        try:
            line = await target.connect(ear, language)
            for _ in range(30):
                line.send(FRAME)
            await ear.count(told)
            await line.close()
        finally:
            await target.close()
    return ear


@pytest.mark.parametrize("form", ["ga", "beta"])
async def test_a_turn(form: Any) -> None:
    server = Server(then=TURN)
    ear = await played(server, 3, form=form)
    assert ear.told == [
        Partial("two words", utterance="item_1"),
        Endpoint("item_1"),
        Final("Two words.", "item_1"),
    ]
    [request] = server.requests
    assert request.query["intent"] == "transcription"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers.get("OpenAI-Beta") == ("realtime=v1" if form == "beta" else None)
    assert server.session["type"] == ("session.update" if form == "ga" else "transcription_session.update")
    heard = np.frombuffer(server.pcm, "<i2")[2_000:]
    assert np.allclose(heard / 32767, FRAME[0], atol=0.01)


async def test_who_refuses_the_session_is_told_of_without_the_key() -> None:
    with pytest.raises(TargetFailed, match=r"refused \(invalid_api_key\); look at the key") as failed:
        await played(Server(agree=False), 0)
    assert KEY not in str(failed.value)


async def test_who_never_agrees_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: web.Request) -> web.WebSocketResponse:
        ws = await upgraded(request)
        await until_closed(ws)
        return ws

    monkeypatch.setattr(openai_realtime, "SESSION_TIMEOUT_S", 0.1)
    async with serving(silent) as url:
        target = OpenAIRealtimeTarget(url=url)
        await target.start()
        with pytest.raises(TargetFailed, match="not confirmed"):
            await target.connect(Ear(), None)
        await target.close()


async def test_who_hangs_up_before_the_session() -> None:
    async def rude(request: web.Request) -> web.WebSocketResponse:
        ws = await upgraded(request)
        await ws.close()
        return ws

    async with serving(rude) as url:
        target = OpenAIRealtimeTarget(url=url)
        await target.start()
        with pytest.raises(TargetFailed, match="ended before the session began"):
            await target.connect(Ear(), None)
        await target.close()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no json", "a message is not JSON"),
        (
            {"type": "error", "error": {"code": "session_expired"}},
            "the server told an error (session_expired)",
        ),
        (transcription("delta", delta="x" * 20_001), "delta is not a text of at most 20000 characters"),
    ],
)
async def test_what_cannot_be_read_ends_the_line(message: Any, reason: str) -> None:
    ear = await played(Server(then=(message, *TURN)), 1)
    assert ear.told == [Failed(reason)]


async def test_the_key_is_nowhere_but_in_its_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    target = OpenAIRealtimeTarget(url=f"wss://user:{KEY}@127.0.0.1:1/v1/realtime?api-key={KEY}", key=KEY)
    facts = json.dumps(dict(target.facts))
    assert KEY not in facts
    assert "wss://127.0.0.1:1/v1/realtime" in facts
    await target.start()
    with pytest.raises(TargetFailed, match=r"wss://127\.0\.0\.1:1/v1/realtime cannot be reached") as failed:
        await target.connect(Ear(), None)
    await target.close()
    assert KEY not in str(failed.value) + caplog.text


async def test_an_address_that_is_none() -> None:
    for url in ("api.openai.com", "ftp://host/", "wss://", "wss://host:port"):
        with pytest.raises(TargetFailed, match="has to be like wss://"):
            await OpenAIRealtimeTarget(url=url).start()


async def test_lines_are_each_their_own() -> None:
    server = Server(then=TURN)
    async with serving(server) as url:
        target = OpenAIRealtimeTarget(url=url)
        await target.start()
        lines = await asyncio.gather(*(target.connect(Ear(), None) for _ in range(4)))
        await asyncio.gather(*(line.close() for line in lines))
        await target.close()
    assert len(server.requests) == 4
