"""Bad input of every kind, against a gateway in this process with the real models.

After each test the gateway must still serve, nothing may have been logged as an error, and no task, thread,
file, socket or connection object may be left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import os
import random
import re
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aioice.ice
import numpy as np
import psutil
import pytest
import pytest_asyncio
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtc_stt.audio import SAMPLE_RATE, samples_to_ms
from rtc_stt.commands import Configure, Ping, Stop
from rtc_stt.events import Event, SessionEnded, SpeechStarted, SpeechStopped
from rtc_stt.hypothesis import DecodeRequest, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session
from signaling import peer
from signaling.keys import HOST
from signaling.settings import WebRtc
from tests.e2e import support
from tests.e2e.support import Clip, Gateway, Voice, assert_whole, give_voice, silence, until
from tools.ingest.attacks import mutated
from tools.live_line.client import LiveClient

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

KEY = "a key for tests only, 0123456789"
NOWHERE = "198.51.100.7"
"""An address of documentation (RFC 5737): packets to it reach nobody."""


# ── The gateway, and what it must not leave behind ────────────────────────────


class Watcher(Instrument):
    """Notes what the sessions tell and what the models are asked."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.asked: list[DecodeRequest] = []

    def event_sent(self, event: Event) -> None:
        self.told.append(event)

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        self.asked.append(request)

    @property
    def end_reasons(self) -> list[str]:
        return [event.reason for event in self.told if isinstance(event, SessionEnded)]


@dataclass(frozen=True)
class Holdings:
    """What this process holds."""

    tasks: frozenset[asyncio.Task[Any]]
    threads: frozenset[threading.Thread]
    files: int
    sockets: int
    connections: int

    @classmethod
    def now(cls) -> Holdings:
        gc.collect()
        process = psutil.Process()
        # The pools start their threads when these are first needed, and keep them; their number is bounded.
        pools = ("vad", "decode-", "asyncio_")
        return cls(
            tasks=frozenset(asyncio.all_tasks()) - {asyncio.current_task()},
            threads=frozenset(t for t in threading.enumerate() if not t.name.startswith(pools)),
            files=process.num_fds(),
            sockets=len(process.net_connections()),
            connections=sum(
                issubclass(type(o), RTCPeerConnection | peer.Peer | Session) for o in gc.get_objects()
            ),
        )

    def more_than(self, before: Holdings) -> str:
        """What is held now and was not before; empty where nothing is."""
        return " ".join(
            [
                *(f"task {task}" for task in self.tasks - before.tasks),
                *(f"thread {thread}" for thread in self.threads - before.threads),
                *(
                    f"{name}: {now} after {then}"
                    for name in ("files", "sockets", "connections")
                    if (now := getattr(self, name)) > (then := getattr(before, name))
                ),
            ]
        )


class Alarms(logging.Handler):
    """Collects what was logged as an error, by anyone."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter("%(name)s: %(message)s").format(record)
        if record.levelno >= logging.ERROR:
            self._messages.append(text)
        # pytest keeps the records. Their tracebacks would keep the frames, and so every connection alive.
        record.exc_info = None

    def take(self) -> list[str]:
        """What there is; it is forgotten here."""
        messages, self._messages = self._messages, []
        return messages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(sentences: list[Clip]) -> AsyncIterator[Gateway]:
    speech = support.demo_speech(Watcher())
    # Nobody here comes back, and nothing is to be left after each test.
    async with support.run_gateway(speech, webrtc=WebRtc(resume_seconds=0)) as running:
        await assert_serves(running.url, sentences[2])
        gc.collect()
        gc.freeze()  # hundreds of thousands of objects that were there before need no look after each test
        yield running
        gc.unfreeze()
    await speech.aclose()


@pytest.fixture
def watcher(gateway: Gateway) -> Watcher:
    instrument = gateway.speech.instrument
    assert isinstance(instrument, Watcher)
    instrument.told.clear()
    instrument.asked.clear()
    return instrument


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def alarms(
    request: pytest.FixtureRequest, gateway: Gateway, sentences: list[Clip]
) -> AsyncIterator[Alarms]:
    """Around every test: see the top of this file."""
    alarms = Alarms()
    logging.getLogger().addHandler(alarms)
    before = Holdings.now()
    yield alarms
    try:
        if hasattr(request.node, "callspec"):  # one of many cases: to speak after each would take minutes
            await assert_answers(gateway.url)
        else:
            await assert_serves(gateway.url, sentences[2])
        as_before = await until(lambda: not Holdings.now().more_than(before), 10)
        assert as_before, Holdings.now().more_than(before)
        assert await until(lambda: not gateway.app[HOST].health().sessions), "a session has not ended"
    finally:
        logging.getLogger().removeHandler(alarms)
    assert not alarms.take()


async def assert_answers(url: str) -> None:
    """One session without a word."""
    async with LiveClient(url) as client:
        client.send(Ping("1"))
        await client.wait_for("pong")
        client.send(Stop())
        await client.wait_for("session.ended")
        assert_whole(client)


async def assert_serves(url: str, clip: Clip, dialect: str = "whip") -> None:
    """One session as it should be, three times as fast as anybody speaks."""
    client = LiveClient(url, dialect)
    give_voice(client, Voice(np.concatenate([silence(0.3), clip.audio]), pace=3))
    async with client:
        final = await client.wait_for("transcript.final")
        assert final.text == clip.text
        client.send(Stop())
        await client.wait_for("session.ended")
        assert_whole(client)


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(gateway.url) as session:
        yield session


async def assert_refused(response: aiohttp.ClientResponse, status: int, kind: str | None = None) -> str:
    """Refused in the form of the contract; returns what is said."""
    text = await response.text()
    assert response.status == status, text
    error = json.loads(text)["error"]
    assert set(error) == {"type", "message", "request_id"}
    assert error["request_id"] == response.headers["X-Req-Id"]
    assert error["message"]
    assert kind is None or error["type"] == kind
    return str(error["message"])


@contextlib.asynccontextmanager
async def caller(
    *, audio: int = 1, video: int = 0, label: str | None = "rtc-stt"
) -> AsyncIterator[RTCPeerConnection]:
    """A connection with an offer of these."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        for kind in ["audio"] * audio + ["video"] * video:
            connection.addTransceiver(kind, direction="sendonly")
        if label:
            connection.createDataChannel(label)
        await connection.setLocalDescription(await connection.createOffer())
        yield connection
    finally:
        await connection.close()


async def offer_of(**what: Any) -> str:
    async with caller(**what) as connection:
        return connection.localDescription.sdp


def whip(http: aiohttp.ClientSession, offer: str | bytes, kind: str = "application/sdp") -> Any:
    return http.post("/whip", data=offer, headers={"Content-Type": kind})


# ── Requests that are refused ────────────────────────────


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        pytest.param("/whip", "application/sdp", b"", 400, id="empty"),
        pytest.param("/whip", "application/sdp", b"hello\r\n", 400, id="no SDP"),
        pytest.param("/whip", "application/sdp", b"v=0\r\n" + b"a=x\r\n" * 100, 422, id="SDP of nothing"),
        pytest.param("/whip", "application/sdp", b"v=0\r\nm=audio 9 X 96\r\n", 422, id="no codec"),
        pytest.param("/whip", "application/sdp", os.urandom(2_000) + b"\xff", 400, id="random bytes"),
        pytest.param("/whip", "application/sdp", b"v=0\r\n" + b"a" * 1_000_000, 413, id="a megabyte"),
        pytest.param("/whip", "application/sdp", b"v=0\r\n" + b"a=x\r\n" * 5_000, 400, id="5,000 lines"),
        pytest.param("/whip", "text/plain", b"v=0\r\n", 415, id="wrong type"),
        pytest.param("/api/offer", "application/json", b"", 400, id="empty JSON"),
        pytest.param("/api/offer", "application/json", b"[" * 50_000, 400, id="deep JSON"),
        pytest.param("/api/offer", "application/json", b'{"type": "offer"}', 400, id="no sdp"),
        pytest.param("/api/offer", "application/json", b'{"sdp": 7, "type": "offer"}', 400, id="sdp 7"),
        pytest.param(
            "/api/offer", "application/json", b'{"sdp": "\\ud800", "type": "offer"}', 400, id="surrogate"
        ),
        pytest.param("/api/offer", "application/json", b" " * 1_000_000, 413, id="a megabyte of JSON"),
        pytest.param("/api/offer", "application/sdp", b"v=0\r\n", 415, id="SDP where JSON is asked"),
    ],
)
async def test_a_body_that_is_no_offer_is_refused(
    http: aiohttp.ClientSession, path: str, kind: str, body: bytes, status: int
) -> None:
    async with http.post(path, data=body, headers={"Content-Type": kind}) as response:
        await assert_refused(response, status)


@pytest.mark.parametrize("dialect", ["whip", "offer"])
@pytest.mark.parametrize(
    "what",
    [
        pytest.param({"audio": 0}, id="no audio"),
        pytest.param({"audio": 0, "video": 1}, id="only video"),
        pytest.param({"audio": 2}, id="two audio tracks"),
    ],
)
async def test_an_offer_of_something_else_is_refused(
    http: aiohttp.ClientSession, dialect: str, what: dict[str, Any]
) -> None:
    offer = await offer_of(**what)
    if dialect == "whip":
        async with whip(http, offer) as response:
            said = await assert_refused(response, 422, "unprocessable")
    else:
        async with http.post("/api/offer", json={"sdp": offer, "type": "offer"}) as response:
            said = await assert_refused(response, 422, "unprocessable")
    assert "audio" in said


async def test_the_video_that_comes_with_audio_is_turned_down_in_the_dialect_that_always_offers_it(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.5)
    offer = await offer_of(video=1)
    async with whip(http, offer) as response:
        assert "audio" in await assert_refused(response, 422, "unprocessable")
    async with http.post("/api/offer", json={"sdp": offer, "type": "offer"}) as response:
        assert response.status == 200
        assert "m=video 0 " in (await response.json())["sdp"]


async def test_mutilated_offers_are_refused_or_answered_and_never_an_error_of_ours(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.5)
    chance = random.Random(20)
    good = await offer_of()
    statuses = []
    for _ in range(80):
        async with whip(http, mutated(good, chance)) as response:
            statuses.append(response.status)
            if response.status != 201:
                await assert_refused(response, response.status)
                continue
            location = response.headers["Location"]
        async with http.delete(location) as response:
            assert response.status in (200, 404)
    assert set(statuses) <= {201, 400, 422}, statuses
    assert {201, 400} <= set(statuses), "the mutations are too weak, or too strong"


@pytest.mark.parametrize("line", ["a=mid:0", "a=mid:1", "m=application"])
async def test_a_bundle_without_its_sections_is_refused_before_it_does_harm(
    http: aiohttp.ClientSession, alarms: Alarms, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.5)
    offer = await offer_of()
    assert f"\r\n{line}" in offer
    async with whip(http, re.sub(rf"(?m)^{line}.*\r\n", "", offer)) as response:
        await assert_refused(response, 400)
    gc.collect()
    await asyncio.sleep(0)
    assert not alarms.take()


async def test_deleting_what_is_not_there(http: aiohttp.ClientSession, gateway: Gateway) -> None:
    async with http.delete("/whip/nobody-has-this-id") as response:
        await assert_refused(response, 404, "not_found")
    async with whip(http, await offer_of()) as response:
        assert response.status == 201
        location = response.headers["Location"]
    async with http.delete(location) as response:
        assert response.status == 200
    assert await until(lambda: not gateway.app[HOST].health().sessions)
    async with http.delete(location) as response:
        assert response.status == 200, "it is gone, as it should be"


async def test_other_methods_and_paths(http: aiohttp.ClientSession) -> None:
    async with http.put("/whip", data=b"") as response:
        await assert_refused(response, 405)
        assert "POST" in response.headers["Allow"]
    async with http.get("/nothing/here") as response:
        await assert_refused(response, 404)
    async with http.options("/whip") as response:
        assert response.headers["Accept-Post"] == "application/sdp"


# ── Who may come in, and how many ────────────────────────────


async def test_a_full_server_refuses_at_the_door(gateway: Gateway, sentences: list[Clip]) -> None:
    async with (
        support.run_gateway(gateway.speech, max_sessions=1) as small,
        aiohttp.ClientSession(small.url) as http,
    ):
        async with LiveClient(small.url) as client:
            async with whip(http, await offer_of()) as response:
                await assert_refused(response, 503, "unavailable")
                assert int(response.headers["Retry-After"]) >= 1
            client.send(Ping("1"))
            await client.wait_for("pong")
        assert await until(lambda: not small.app[HOST].health().sessions)
        await assert_serves(small.url, sentences[2])


async def test_a_draining_server_admits_nobody_and_ends_what_is_open(gateway: Gateway) -> None:
    async with (
        support.run_gateway(gateway.speech) as leaving,
        aiohttp.ClientSession(leaving.url) as http,
        LiveClient(leaving.url) as client,
    ):
        await leaving.app[HOST].drain(5)
        ended = await client.wait_for("session.ended")
        assert ended.reason == "drained"
        assert [warning.code for warning in client.events("warning")] == ["draining"]
        async with whip(http, await offer_of()) as response:
            await assert_refused(response, 503, "unavailable")
            assert int(response.headers["Retry-After"]) >= 1
        async with http.get("/v1/ready") as response:
            await assert_refused(response, 503)
        async with http.get("/v1/health") as response:
            assert (await response.json())["ok"] is True


async def test_without_the_right_key_nobody_comes_in(gateway: Gateway) -> None:
    async with (
        support.run_gateway(gateway.speech, api_keys=(KEY,)) as guarded,
        aiohttp.ClientSession(guarded.url) as http,
    ):
        offer = await offer_of()
        wrong = [None, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer ключ"]
        for authorization in wrong:
            headers = {"Content-Type": "application/sdp"}
            if authorization is not None:
                headers["Authorization"] = authorization
            for path in ("/whip", f"/whip?access_token={KEY}"):
                async with http.post(path, data=offer, headers=headers) as response:
                    said = await assert_refused(response, 401, "unauthorized")
                    assert "Bearer" in response.headers["WWW-Authenticate"]
                    assert KEY not in said
        async with http.get("/metrics") as response:
            await assert_refused(response, 401, "unauthorized")
        for path in ("/", "/web/about.json", "/v1/health", "/v1/ready"):
            async with http.get(path) as response:
                assert response.status == 200, path
        async with LiveClient(guarded.url, key=KEY) as client:
            client.send(Ping("1"))
            await client.wait_for("pong")


@pytest.mark.parametrize(
    "target",
    [
        "/web/../pyproject.toml",
        "/web/../../pyproject.toml",
        "/web/js/../../pyproject.toml",
        "/web/js/..%2f..%2fpyproject.toml",
        "/web/js/%2e%2e/%2e%2e/pyproject.toml",
        "/web/js/%252e%252e/%252e%252e/pyproject.toml",
        "/web/js/..\\..\\pyproject.toml",
        "/web/samples/....//....//pyproject.toml",
        "/web/js//etc/passwd",
        "/web/js/%2fetc%2fpasswd",
        "/web/js/main.js%00.py",
        "/web/__init__.py",
        "/web/js/../__init__.py",
        "/web/samples/%2e%2e/__init__.py",
        "/web/index.html/../__init__.py",
        "/web/js/",
        "/web/",
    ],
)
async def test_only_the_page_is_served(gateway: Gateway, target: str) -> None:
    """Sent as it stands: every HTTP client would tidy these up first."""
    port = int(gateway.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()
    assert answer.split()[1] in ("400", "403", "404"), answer
    for secret in ("[project]", "Path(__file__)", "root:"):
        assert secret not in answer


# ── Connections that go wrong ────────────────────────────


@pytest.mark.parametrize("way", ["to nowhere", "without candidates"])
async def test_a_client_that_never_connects_is_given_up(
    http: aiohttp.ClientSession,
    gateway: Gateway,
    watcher: Watcher,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 1.0)
    offer = await offer_of()
    if way == "to nowhere":
        offer = re.sub(r"(a=candidate:\S+ \d \w+ \d+) \S+", rf"\1 {NOWHERE}", offer)
    else:
        offer = re.sub(r"a=candidate:.*\r\n", "", offer)
    async with whip(http, offer) as response:
        assert response.status == 201
    assert gateway.app[HOST].health().sessions == 1
    assert await until(lambda: watcher.end_reasons == ["connect_timeout"], 5), watcher.end_reasons


@pytest.mark.parametrize("label", [None, "something else"])
async def test_a_client_without_our_data_channel_is_given_up(
    http: aiohttp.ClientSession, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, label: str | None
) -> None:
    monkeypatch.setattr(peer, "DATA_CHANNEL_TIMEOUT_S", 0.5)
    async with caller(label=label) as connection:
        async with whip(http, connection.localDescription.sdp) as response:
            assert response.status == 201
            answer = await response.text()
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        assert await until(lambda: watcher.end_reasons == ["no_data_channel"], 10), watcher.end_reasons


async def test_a_client_that_vanishes_in_the_middle_of_a_word(
    gateway: Gateway,
    watcher: Watcher,
    sentences: list[Clip],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # aioice gives a silent peer up after half a minute; here it asks more often.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.5)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    np.save(tmp_path / "clip.npy", sentences[0].audio)
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.e2e.vanishing_client", gateway.url, str(tmp_path / "clip.npy"),
        cwd=support.ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert client.stdout
        async with asyncio.timeout(30):
            assert await client.stdout.readline() == b"speaking\n"
    finally:
        client.kill()
        await client.communicate()
    assert await until(lambda: watcher.end_reasons, 20) == ["connection_lost"]
    started = [event.utterance_id for event in watcher.told if isinstance(event, SpeechStarted)]
    assert started
    assert support.conclusions(watcher.told) == started, "what was open is concluded"


async def test_two_offers_at_once_both_work(gateway: Gateway, sentences: list[Clip]) -> None:
    await asyncio.gather(
        assert_serves(gateway.url, sentences[0], "whip"), assert_serves(gateway.url, sentences[1], "offer")
    )


async def test_a_second_channel_and_a_wrong_one_are_closed_and_the_first_goes_on(gateway: Gateway) -> None:
    async with LiveClient(gateway.url) as client:
        others = [client.connection.createDataChannel(label) for label in ("rtc-stt", "something else")]
        assert await until(lambda: all(other.readyState == "closed" for other in others))
        client.send(Ping("1"))
        await client.wait_for("pong")


# ── Messages ────────────────────────────


@pytest.mark.alone
async def test_a_flood_of_messages_is_limited_and_the_session_goes_on(
    gateway: Gateway, sentences: list[Clip]
) -> None:
    client = LiveClient(gateway.url)
    # It speaks when the flood is on its way: to make that costs this process a second of its own.
    voice = give_voice(client, Voice(np.concatenate([silence(2.0), sentences[0].audio])))
    async with client:
        for number in range(2_000):
            client.send(Ping(f"flood {number}"))
        await client.wait_until(lambda: [w for w in client.events("warning") if w.code == "rate_limited"], 10)
        final = await client.wait_for("transcript.final", timeout=20)
        assert final.text == sentences[0].text, "the flood has harmed what was said meanwhile"
        assert voice.said.is_set()
        answered = len(client.events("pong"))
        assert answered < 300, f"{answered} of 2,000 were answered"

        async def ask() -> None:
            while not any(pong.id == "after" for pong in client.events("pong")):
                client.send(Ping("after"))
                await asyncio.sleep(0.2)

        await asyncio.wait_for(ask(), 10)
        client.send(Stop())
        await client.wait_for("session.ended")
        assert_whole(client)


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param("", "not_json", id="empty"),
        pytest.param("{", "not_json", id="half"),
        pytest.param("null", "not_json", id="null"),
        pytest.param("[" * 10_000, "not_json", id="deep"),
        pytest.param("7" * 10_000, "not_json", id="a number of 10,000 digits"),
        pytest.param("x" * 20_000, "message_too_long", id="20 kB"),
        pytest.param("x" * 200_000, "message_too_long", id="200 kB"),
        pytest.param(b"\x00\xff\xfe", "not_json", id="bytes"),
        pytest.param(b"\xff" * 20_000, "message_too_long", id="many bytes"),
        pytest.param('{"type": ["ping"]}', "unknown_type", id="type is a list"),
        pytest.param('{"type": "ping", "id": "\\ud800"}', "bad_field", id="id is half a character"),
        pytest.param('{"type": "mute", "on": 1}', "bad_field", id="mute 1"),
        pytest.param('{"type": "configure", "language": "xx"}', "configure", id="unknown language"),
        pytest.param('{"type": "configure", "language": ["en"]}', "configure", id="language is a list"),
        pytest.param('{"type": "configure", "language": {"a": 1}}', "configure", id="language is an object"),
        pytest.param('{"type": "configure", "prompt": "\\ud800"}', "configure", id="prompt is half a letter"),
        pytest.param('{"type": "configure", "hotwords": "\\udfff"}', "configure", id="hotwords likewise"),
        pytest.param(f'{{"type": "configure", "prompt": "{"x" * 1_500}"}}', "configure", id="long prompt"),
        pytest.param(
            f'{{"type": "configure", "endpointing": {{"min_silence_ms": {HUGE}}}}}', "configure", id="huge"
        ),
        pytest.param('{"type": "configure", "endpointing": {"preroll_ms": true}}', "configure", id="true ms"),
        pytest.param('{"type": "configure", "endpointing": {"max_utterance_s": NaN}}', "configure", id="NaN"),
        pytest.param('{"type": "configure", "endpointing": []}', "configure", id="endpointing is a list"),
    ],
)
async def test_a_wrong_message_is_answered_by_a_warning(
    gateway: Gateway, alarms: Alarms, message: str | bytes, code: str
) -> None:
    async with LiveClient(gateway.url) as client:
        client.channel.send(message)
        client.send(Ping("after"))
        await client.wait_for("pong")
        client.send(Stop())
        await client.wait_for("session.ended")
        assert_whole(client)
    assert not alarms.take()
    assert [warning.code for warning in client.events("warning")] == [code]


async def test_a_prompt_of_any_letters_leaves_the_words_as_they_are(
    gateway: Gateway, sentences: list[Clip]
) -> None:
    client = LiveClient(gateway.url)
    give_voice(client, Voice(np.concatenate([silence(0.5), sentences[2].audio]), pace=3))
    async with client:
        client.send(Configure({"hotwords": "<|endoftext|> <|transcribe|> \u0000 😀 مرحبا"}))
        final = await client.wait_for("transcript.final")
        assert final.text


# ── Audio ────────────────────────────


async def test_three_minutes_of_silence_leave_nothing(gateway: Gateway) -> None:
    kept = []

    def watch(session: Session) -> None:
        buffer = session._recognizer._buffer
        kept.append(buffer.end - buffer.start)

    told = await support.hear(gateway.speech, silence(180), watch=watch)
    assert [event.type for event in told] == ["session.started", "session.ended"]
    assert told[-1].stats["audio_ms"] == 180_000
    assert max(kept) < 2 * SAMPLE_RATE, "silence is kept"


async def test_two_minutes_without_a_pause_are_cut_without_loss(
    gateway: Gateway, watcher: Watcher, sentences: list[Clip]
) -> None:
    without_pause = np.concatenate(list(itertools.islice(
        itertools.cycle([clip.audio for clip in sentences]), 70
    )))[: 120 * SAMPLE_RATE]  # fmt: skip
    told = await support.hear(gateway.speech, np.concatenate([silence(0.5), without_pause, silence(1)]))
    starts = {e.utterance_id: e.audio_start_ms for e in told if isinstance(e, SpeechStarted)}
    ends = {e.utterance_id: e.audio_end_ms for e in told if isinstance(e, SpeechStopped)}
    assert list(starts) == list(ends) == list(range(1, len(starts) + 1))
    assert support.conclusions(told) == list(starts), "one final or drop each, in the order of speech"
    longest = gateway.speech.options.endpointing.max_utterance_s * 1000
    assert len(starts) >= 120_000 / longest
    assert max(ends[i] - starts[i] for i in starts) <= longest
    assert starts[1] < 800
    assert ends[len(ends)] > 119_500
    # What the models were given for the finals: one after the other, nothing twice, nothing spoken left out.
    asked = [r for r in watcher.asked if r.urgency is not Urgency.PARTIAL]
    given = {(r.utterance_id, r.audio_start): r for r in asked}  # a segment's last request is its final
    assert sorted({utterance for utterance, _ in given}) == list(starts)
    for before, after in itertools.pairwise(given[key] for key in sorted(given)):
        assert before.audio_end <= after.audio_start, "heard twice"
        missing = samples_to_ms(after.audio_start - before.audio_end)
        assert missing <= 300, f"{missing} ms between utterances {before.utterance_id} and the next are lost"
    heard = support.text_of(told)
    assert len(heard.split()) > 150, heard
