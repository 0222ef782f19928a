"""``/v1/listen``: who may come in, what is refused before the upgrade, and what a session says. Real sockets,
a script for models."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import BadAudio
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.hypothesis import Tier
from rtc_stt.service.transcript import Dropped, Options
from rtc_stt.session import Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import VadBatcher
from signaling.app import create_app
from signaling.keys import GATE
from signaling.metrics import Metrics
from signaling.page import About
from signaling.registry import Registry
from signaling.settings import Access, Server, WebRtc
from tests.line import until
from tests.signaling.service import FakeTranscriber, Service, segment, serving, transcript

KEY = "a-key-of-sixteen-chars"
QUERY = "?encoding=linear16&sample_rate=16000&interim_results=true&vad_events=true"
SCRIPT = (Said(400, 700, "turn"), Said(700, 1_000, "it"), Said(1_000, 1_400, "on"))

Ws = aiohttp.ClientWebSocketResponse


def pcm(*, duration_ms: int) -> bytes:
    return (render(SCRIPT, duration_ms) * 32_767).astype("<i2").tobytes()


class Gateway:
    """The gateway, a script behind it, and a client."""

    def __init__(self, access: dict[str, Any], server: Server) -> None:
        self.metrics = Metrics()
        self.engine = ScriptedEngine(SCRIPT)
        self.speech = Speech(
            VadBatcher(ScriptedVad(SCRIPT)),
            DecodePool({Tier.FAST: self.engine}, concurrency=1, instrument=self.metrics),
            instrument=self.metrics,
        )
        self.registry = Registry(self.speech, server, WebRtc())
        about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
        access = {"rate_limit_burst": 1000} | access
        self.app = create_app(
            self.registry, server, Access(**access), WebRtc(), about, self.metrics, streams=self.registry
        )
        self.client = TestClient(TestServer(self.app))

    def connect(self, query: str = QUERY, **how: Any) -> Any:
        return self.client.ws_connect("/v1/listen" + query, **how)

    async def refusal(self, query: str = QUERY, **headers: str) -> tuple[int, dict[str, str]]:
        """Status and body of an upgrade that is refused."""
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        async with self.client.get("/v1/listen" + query, headers=upgrade | key | headers) as response:
            body = await response.json()
            assert set(body) == {"err_code", "err_msg", "request_id"}
            assert body["request_id"] == response.headers["X-Req-Id"]
            return response.status, body


@contextlib.asynccontextmanager
async def a_gateway(*, access: dict[str, Any] | None = None, **server: Any) -> AsyncIterator[Gateway]:
    gateway = Gateway(access or {}, Server(**server))
    async with gateway.client:
        yield gateway
        door = gateway.app[GATE].door
        await gateway.registry.drain(1.0)
        await until(lambda: not door.half_open and not door.sessions)
    assert not gateway.registry._tasks
    await gateway.speech.aclose()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with a_gateway() as made:
        yield made


async def rest(ws: Ws) -> list[dict[str, Any]]:
    """All that is told until the end."""
    async with asyncio.timeout(10):
        return [json.loads(message.data) async for message in ws]


def text(message: dict[str, Any]) -> str:
    return message["channel"]["alternatives"][0]["transcript"]


def finals(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in told if message.get("is_final")]


# ── Who may come in ──


async def test_a_key_is_shown_in_one_of_four_ways():
    async with a_gateway(api_keys=(KEY,)) as gateway:
        for scheme in ("Token", "token", "Bearer"):
            async with gateway.connect(headers={"Authorization": f"{scheme} {KEY}"}) as ws:
                assert ws.protocol is None
        async with gateway.connect(protocols=("token", KEY)) as ws:
            assert ws.protocol == "token", "a browser takes no other answer, and its key is not sent back"


async def test_a_token_begins_one_session():
    async with a_gateway(api_keys=(KEY,)) as gateway:
        for _ in range(2):
            made = await gateway.client.post("/v1/tokens", headers={"Authorization": f"Bearer {KEY}"})
            token = (await made.json())["token"]
            async with gateway.connect(protocols=("bearer", token)) as ws:
                assert ws.protocol == "bearer"
            assert (await gateway.refusal(**{"Sec-WebSocket-Protocol": f"bearer, {token}"}))[0] == 401


async def test_who_shows_no_key_is_refused_in_words_of_the_protocol():
    async with a_gateway(api_keys=(KEY,)) as gateway:
        for headers in (
            {},
            {"Authorization": "Token wrong-key-of-sixteen"},
            {"Authorization": KEY},
            {"Sec-WebSocket-Protocol": "token, wrong-key-of-sixteen"},
            {"Sec-WebSocket-Protocol": f"{KEY}"},
            {"Sec-WebSocket-Protocol": f"token, {KEY}, more"},
        ):
            status, body = await gateway.refusal(**headers)
            assert (status, body["err_code"]) == (401, "INVALID_AUTH")
            assert KEY not in body["err_msg"]
        assert (await gateway.refusal(QUERY + f"&access_token={KEY}"))[0] == 401


async def test_pages_of_other_origins_are_refused():
    async with a_gateway(access={"allowed_origins": ("https://app.example.org",)}) as gateway:
        assert (await gateway.refusal(Origin="https://evil.example.org"))[0] == 403
        async with gateway.connect(headers={"Origin": "https://app.example.org"}):
            pass


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "encoding"),
        (QUERY + "&diarize=true", "diarize"),
        (QUERY + "&language=fr", "'fr'"),
        (QUERY + "&nonsense=1", "'nonsense'"),
        (QUERY + "&channels=1&channels=2", "channels"),
    ],
)
async def test_what_is_not_offered_is_refused_before_the_upgrade(gateway, query, named):
    status, body = await gateway.refusal(query)
    assert (status, body["err_code"]) == (400, "Bad Request")
    assert named in body["err_msg"]
    assert not gateway.app[GATE].door.half_open


async def test_without_an_upgrade_it_is_a_bad_request(gateway):
    response = await gateway.client.get("/v1/listen" + QUERY)
    assert response.status == 400
    assert "Upgrade: websocket" in (await response.json())["err_msg"]
    assert (await gateway.client.post("/v1/listen")).status == 405, "nobody transcribes recordings here"


# ── A session ──


async def test_a_stream_from_its_first_word_to_its_metadata(gateway):
    ws = await gateway.connect(QUERY + "&utterance_end_ms=1000&keyterm=Kafka")
    audio = pcm(duration_ms=3_000)
    await ws.send_json({"type": "KeepAlive"})
    for start in range(0, len(audio), 3_200):
        await ws.send_bytes(audio[start : start + 3_200])
    await asyncio.sleep(0.2)
    await ws.send_bytes(bytes(6_400))
    await ws.send_json({"type": "CloseStream"})
    told = await rest(ws)
    assert ws.close_code == 1000
    kinds = [message["type"] for message in told]
    assert kinds[0] == "SpeechStarted"
    assert kinds[-1] == "Metadata"
    assert kinds.count("UtteranceEnd") == 1
    (final,) = finals(told)
    assert text(final) == "turn it on"
    assert final["speech_final"]
    assert not final["from_finalize"]
    assert told[-1]["duration"] == 3.2
    assert told[-1]["request_id"] == final["metadata"]["request_id"] == ws._response.headers["X-Req-Id"]
    assert told[-1]["sha256"] == hashlib.sha256(audio + bytes(6_400)).hexdigest()
    request = gateway.engine.requests[-1]
    assert request.word_timestamps
    assert request.hotwords == "Kafka"


async def test_a_finalize_is_answered_by_what_it_caused_or_at_once(gateway):
    ws = await gateway.connect()
    await ws.send_json({"type": "Finalize"})
    async with asyncio.timeout(5):
        empty = await ws.receive_json()
    assert (text(empty), empty["from_finalize"]) == ("", True)
    await ws.send_bytes(pcm(duration_ms=1_500))
    await ws.send_json({"type": "Finalize"})
    await ws.send_bytes(b"")
    (final,) = finals(await rest(ws))
    assert (text(final), final["from_finalize"], final["speech_final"]) == ("turn it on", True, True)
    assert ws.close_code == 1000


async def test_telephones_and_halves_of_samples_are_heard(gateway):
    ws = await gateway.connect("?encoding=linear16&sample_rate=16000&channels=2")
    mono = pcm(duration_ms=2_500)
    both = b"".join(mono[i : i + 2] * 2 for i in range(0, len(mono), 2))
    for start in range(0, len(both), 4_001):
        await ws.send_bytes(both[start : start + 4_001])
    await ws.send_json({"type": "CloseStream"})
    told = await rest(ws)
    assert [text(final) for final in finals(told)] == ["turn it on"]
    assert told[-1]["duration"] == 2.5


async def test_silence_that_ends_an_utterance_is_what_was_asked(gateway):
    ws = await gateway.connect("?encoding=linear16&sample_rate=16000&endpointing=1000")
    await ws.send_bytes(pcm(duration_ms=2_200))
    await asyncio.sleep(0.3)
    await ws.send_json({"type": "Finalize"})
    async with asyncio.timeout(5):
        told = await ws.receive_json()
    assert told["from_finalize"], "800 ms of silence have not ended it"
    await ws.close()


async def test_what_is_no_message_is_answered_and_the_stream_goes_on(gateway):
    ws = await gateway.connect()
    for wrong in ("hello", "[1]", '{"type":"Dance"}'):
        await ws.send_str(wrong)
        told = await ws.receive_json()
        assert (told["type"], told["variant"]) == ("Error", "SchemaError")
    await ws.send_json({"type": "Configure", "keyterms": ["Kafka"]})
    assert (await ws.receive_json())["type"] == "ConfigureSuccess"
    await ws.send_json({"type": "CloseStream"})
    assert [message["type"] for message in await rest(ws)] == ["Metadata"]


async def test_who_breaks_the_protocol_is_told_so(gateway):
    ws = await gateway.connect()
    await ws.send_bytes(bytes(1024 * 1024 + 1))
    await rest(ws)
    assert ws.close_code == 1009
    ws = await gateway.connect()
    assert ws._writer is not None
    ws._writer.transport.write(b"\xff\xff\xff\xff")
    await rest(ws)
    assert ws.close_code == 1002


async def test_a_server_that_drains_tells_what_is_open(gateway):
    ws = await gateway.connect()
    await ws.send_bytes(pcm(duration_ms=1_500))
    while (await ws.receive_json())["type"] != "SpeechStarted":
        pass
    await gateway.registry.drain(2.0)
    told = await rest(ws)
    assert [text(final) for final in finals(told)] == ["turn it on"]
    assert told[-1]["type"] == "Metadata"
    assert ws.close_code == 1001
    assert (await gateway.refusal())[0] == 503


async def test_who_goes_leaves_nothing(gateway):
    ws = await gateway.connect()
    await ws.send_bytes(pcm(duration_ms=1_500))
    ws._response.connection.transport.abort()
    await until(lambda: len(gateway.registry) == 0)


# ── Recordings ──


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(FakeTranscriber()) as made:
        yield made


async def post(
    service: Service, query: str = "", body: bytes = b"RIFF....", **headers: str
) -> tuple[int, dict[str, Any], Any]:
    url = f"{service.url}/v1/listen{query}"
    async with service.session.post(url, data=io.BytesIO(body), headers=headers) as response:
        return response.status, await response.json(), response.headers


async def test_a_recording(service):
    status, body, headers = await post(service, "?language=en-US&keyterm=Kafka&model=nova-3&utterances=true")
    assert status == 200
    assert body["results"]["channels"][0]["alternatives"][0]["transcript"] == "turn on the light"
    assert len(body["results"]["utterances"]) == 1
    assert body["metadata"]["request_id"] == headers["X-Req-Id"]
    assert body["metadata"]["sha256"] == hashlib.sha256(b"RIFF....").hexdigest()
    assert headers["X-Primary-Infer-ms"] == "40"
    assert service.transcriber.heard == [b"RIFF...."]
    assert service.transcriber.asked == [Options(language="en", hotwords="Kafka", word_timestamps=True)]
    assert service.count("stt_requests_total", endpoint="/v1/listen") == 1


@pytest.mark.parametrize("kind", ["audio/mpeg", "application/x-www-form-urlencoded", "text/plain"])
async def test_whatever_it_is_called_it_is_a_recording(service, kind):
    long = bytes(range(256)) * 6_000  # more than is kept in memory
    status, body, _ = await post(service, "", long, **{"Content-Type": kind})
    assert status == 200
    assert body["metadata"]["sha256"] == hashlib.sha256(long).hexdigest()
    assert service.transcriber.heard == [long]


@pytest.mark.parametrize(
    ("query", "body", "headers", "status", "named"),
    [
        ("", b'{"url":"http://10.0.0.1/x"}', {"Content-Type": "application/json"}, 400, "url"),
        ("?callback=http://10.0.0.1/x", b"RIFF", {}, 400, "callback"),
        ("?summarize=v2", b"RIFF", {}, 400, "summarize"),
        ("?bogus=1", b"RIFF", {}, 400, "bogus"),
        ("", b"", {"Content-Type": "audio/wav"}, 400, "empty"),
        ("", gzip.compress(b"RIFF"), {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
        ("", b"--x", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "form"),
    ],
)
async def test_what_is_not_offered_is_refused_by_its_name(service, query, body, headers, status, named):
    answered, told, answer = await post(service, query, body, **headers)
    assert answered == status
    assert named in told["err_msg"]
    assert answer["X-Error-Message"] == told["err_msg"]
    assert not service.transcriber.heard


async def test_a_recording_that_is_none(service):
    service.transcriber.says = BadAudio("this is no audio")
    status, told, _ = await post(service)
    assert (status, told["err_code"], told["err_msg"]) == (400, "Bad Request", "this is no audio")


async def test_too_much_is_refused_by_what_is_announced_and_by_what_comes():
    async with serving(FakeTranscriber(), recordings={"max_upload_mb": 0.25}) as service:
        assert (await post(service, body=bytes(262_144)))[0] == 200
        assert (await post(service, body=bytes(262_145)))[0] == 413

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(8):
                yield bytes(65_536)

        async with service.session.post(f"{service.url}/v1/listen", data=endless()) as response:
            assert response.status == 413


async def test_a_recording_needs_a_key():
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        assert (await post(service))[0] == 401
        assert (await post(service, Authorization="Token wrong-key-of-sixteen"))[0] == 401
        assert (await post(service, f"?access_token={KEY}"))[0] == 401
        assert (await post(service, Authorization=f"Token {KEY}"))[0] == 200
        assert (await post(service, Authorization=f"Bearer {KEY}"))[0] == 200


async def test_a_degraded_text_stands_and_a_lost_one_does_not(service):
    doubted = segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.LOW_LOGPROB,))
    service.transcriber.says = transcript(doubted, fallback_error="no answer")
    status, told, headers = await post(service)
    assert status == 200
    assert told["metadata"]["warnings"][0]["type"] == "degraded"
    assert headers["X-Fallback-Error"] == "no answer"
    lost = Dropped(0, 900, DropReason.DECODE_FAILED, Decision.REDECODE_FAILED)
    service.transcriber.says = transcript(dropped=(lost,), fallback_error="no answer")
    status, told, _ = await post(service)
    assert status == 502
    assert "no answer" in told["err_msg"]
