"""The log of a server that has a hard day, at level debug: what is in each line, and what is in none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.companding import compress
from tests.e2e import support
from tests.e2e.support import Clip, resample, silence, until
from tools.live_line.client import LiveClient
from tools.services.sounds import encode

pytestmark = pytest.mark.e2e

KEY = "canary-key-of-the-clients"
AUTH = {"Authorization": f"Bearer {KEY}"}
CANARY = "canary"
"""In all that a client can say: keys, tokens, paths, queries, headers, prompts, names of files, numbers."""
PCM = {"encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}
PIECE = SAMPLE_RATE // 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    process = support.Process(
        tmp_path_factory.mktemp("logs") / "server.log",
        *("demo", "--port", "0", "--log-format", "json", "--log-level", "debug"),
        API_KEYS=KEY,
        MEDIA_WORKERS="1",
    )
    try:
        process.url()
        yield process
        process.stop()
    finally:
        process.kill()


def lines(process: support.Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def spoken(clip: Clip) -> Samples:
    return np.concatenate([silence(0.3), clip.audio, silence(0.9)])


@contextlib.asynccontextmanager
async def asking(server: support.Process, **headers: str):  # type: ignore[no-untyped-def]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession(server.url(), headers=named) as http:
        yield http


async def speak(server: support.Process, clip: Clip) -> str:
    """Over a WebSocket; gives the id of the session."""
    async with (
        asking(server, **AUTH, X_Request_Id="spoken-1") as http,
        http.ws_connect("/v1/stream?canary=canary") as ws,
    ):
        await ws.send_json({"type": "configure", "audio": PCM, "prompt": CANARY, "hotwords": CANARY})
        await ws.send_json({"type": CANARY, CANARY: CANARY})
        await ws.send_str(f"no JSON but a {CANARY}")
        audio = (spoken(clip) * 32_767).astype("<i2").tobytes()
        for start in range(0, len(audio), 2 * PIECE):
            await ws.send_bytes(audio[start : start + 2 * PIECE])
            await asyncio.sleep(PIECE / SAMPLE_RATE)
        session_id = ""
        async for message in ws:
            event = json.loads(message.data)
            session_id = event.get("session_id", session_id)
            if event["type"] == "transcript.final":
                assert event["text"] == clip.text
                await ws.send_json({"type": "stop"})
    return session_id


async def speak_by_webrtc(server: support.Process, clip: Clip) -> None:
    async with LiveClient(server.url(), key=KEY) as client:
        client.speaker.speak(spoken(clip))
        await client.wait_for("transcript.final", timeout=20)


async def phone(server: support.Process, clip: Clip) -> None:
    payload = compress(resample(spoken(clip), 8_000), "mulaw")
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    numbers = {"from": "+15550100", "to": "+15550199", "name": CANARY}
    start = {"callSid": CANARY, "tracks": ["inbound"], "customParameters": numbers, "mediaFormat": form}
    async with asking(server, **AUTH) as http, http.ws_connect("/v1/media/twilio") as ws:
        await ws.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await ws.send_json({"event": "start", "streamSid": CANARY, "start": start})
        for number, at in enumerate(range(0, len(payload), 800)):
            piece = base64.b64encode(payload[at : at + 800]).decode()
            media = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(100 * number)}
            await ws.send_json({"event": "media", "media": media | {"payload": piece}})
            await asyncio.sleep(0.1)
        await ws.send_json({"event": "dtmf", "dtmf": {"track": "inbound", "digit": "7"}})
        await ws.send_json({"event": CANARY, CANARY: CANARY})
        await ws.send_json({"event": "stop"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await ws.receive()


async def upload(server: support.Process, clip: Clip) -> None:
    for content in (encode(clip.audio, "wav"), CANARY.encode()):
        form = aiohttp.FormData()
        form.add_field("audio", content, filename=f"{CANARY}.wav")
        form.add_field("prompt", CANARY)
        async with asking(server, **AUTH, User_Agent=CANARY) as http:
            await (await http.post("/v1/transcribe", data=form)).read()
        async with asking(server, **AUTH) as http:
            await (await http.post(f"/v1/listen?keyterm={CANARY}", data=content)).read()


async def bother(server: support.Process) -> None:
    """What is refused, by whatever is refused first."""
    async with asking(server, Authorization=f"Bearer a-{CANARY}", X_Request_Id=f"{CANARY} {CANARY}") as http:
        for method, path in (
            ("POST", "/v1/transcribe"),
            ("GET", f"/v1/usage?access_token={CANARY}"),
            ("GET", f"/{CANARY}"),
            ("GET", f"/v1/media/twilio/st_{CANARY}"),
            ("GET", f"/v1/stream?access_token={KEY}"),
            (CANARY.upper(), "/v1/health"),
        ):
            with contextlib.suppress(aiohttp.ClientError):
                await (await http.request(method, path)).read()
    async with asking(server, **AUTH, Content_Type="application/sdp", traceparent=CANARY) as http:
        for offer in (CANARY, f"v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns={CANARY}\r\nt=0 0\r\n"):
            await (await http.post("/whip", data=offer)).read()
        await (await http.delete(f"/whip/{CANARY}")).read()
    port = int(server.url().rpartition(":")[2])
    for text in (
        f"GET /{CANARY} HTTP/9.9\r\n\r\n",
        f"{CANARY}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{CANARY}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text.encode())
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


async def test_a_hard_day(server: support.Process, digits: list[Clip]) -> None:
    """All of it in one test: what follows looks at what it has left."""
    session_id, *_ = await asyncio.gather(
        speak(server, digits[0]),
        speak_by_webrtc(server, digits[0]),
        phone(server, digits[0]),
        upload(server, digits[0]),
        bother(server),
    )
    await until(lambda: sum(line["message"].startswith("ended: ") for line in lines(server)) == 3)
    await until(lambda: [line for line in lines(server) if re.match("call .* ended", line["message"])])

    told = lines(server)
    assert len(told) > 30
    for line in told:
        whole = json.dumps(line).lower()
        for secret in (CANARY, KEY, digits[0].text.lower(), "5550100", "127.0.0.1", "203.0.113.7"):
            assert secret not in whole, line
        words = re.findall(r"[a-z]+", digits[0].text.lower())
        assert not re.search(r"\b" + r"\W+".join(words[:2]) + r"\b", whole), line
    _assert_ids(told, session_id)


def _assert_ids(told: list[dict[str, Any]], session_id: str) -> None:
    by_session: dict[str, list[dict[str, Any]]] = {}
    for line in told:
        assert list(line)[:4] == ["time", "level", "logger", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        if line["logger"] == "rtc_stt.session":
            by_session.setdefault(line["session_id"], []).append(line)
        if line["logger"] == "signaling.telephony.hub":
            assert line["call_id"] in line["message"]
        if line["logger"] == "rtc_stt.access" and "route" in line:
            assert re.fullmatch(r"[\w.:-]{1,64}", line["request_id"])
    assert len(by_session) == 3  # a WebSocket, WebRTC and a phone
    for lines_of_it in by_session.values():
        assert lines_of_it[0]["message"].startswith("started over")
        assert any(line["message"].startswith("ended: ") for line in lines_of_it)
        assert len({line["request_id"] for line in lines_of_it}) == 1
    assert {line["request_id"] for line in by_session[session_id]} == {"spoken-1"}
    # What a worker tells is found by the id of the request that came to the front.
    (worker,) = [ls for ls in by_session.values() if ls[0]["message"] == "started over webrtc"]
    assert {line["process"] for line in worker} == {"w0"}
    (offered,) = [
        line
        for line in told
        if line["logger"] == "rtc_stt.access" and line.get("route") == "/whip" and line["status"] == 201
    ]
    assert worker[0]["request_id"] == offered["request_id"]
    # And of a phone call by the id of the call.
    (phoned,) = [ls for ls in by_session.values() if "call_id" in ls[0]]
    began = [line for line in told if line["logger"] == "signaling.telephony.hub"]
    assert {line["call_id"] for line in began} == {phoned[0]["call_id"]}


async def test_transcripts_are_there_where_they_are_wanted(start_server, digits: list[Clip]) -> None:  # type: ignore[no-untyped-def]
    server = start_server(
        *("demo", "--port", "0", "--log-format", "json", "--log-level", "info"),
        LOG_TRANSCRIPTS="true",
        LOG_ADDRESSES="true",
    )
    await asyncio.to_thread(server.url)
    session_id = await speak(server, digits[0])
    found = await until(lambda: [line for line in lines(server) if digits[0].text in line["message"]])
    assert found[0]["session_id"] == session_id
    assert "WHAT PEOPLE SAY IS WRITTEN TO THE LOG" in server.log
    assert await until(lambda: [line for line in lines(server) if line.get("remote") == "127.0.0.1"])
