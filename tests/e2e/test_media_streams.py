"""Phone calls over media streams against ``rtc-stt demo``: a real server, a real client, a person who says
digits, in the words of every carrier and PBX."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.companding import compress
from tests import rtp
from tests.e2e import support
from tests.e2e.support import Clip, resample, silence, until

pytestmark = pytest.mark.e2e

KEY = "a-key-of-sixteen-chars"
AUTH = {"Authorization": f"Bearer {KEY}"}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"phones:{KEY}".encode()).decode()}
AUTH_TOKEN = "0123456789abcdef"
PUBLIC_URL = "https://stt.example"
STEP_S = 0.02

Message = dict[str, Any] | str | bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that asks for a key. No key, token, number or word of a call is in its log."""
    started = support.Process(
        tmp_path_factory.mktemp("media") / "server.log",
        *("demo", "--port", "0", "--log-level", "debug"),
        API_KEYS=KEY,
        PUBLIC_URL=PUBLIC_URL,
        TWILIO_AUTH_TOKEN=AUTH_TOKEN,
    )
    try:
        yield started.url()
        started.stop()
        for secret in (KEY, AUTH_TOKEN, "st_", "+15550100", "transcript"):
            assert secret not in started.log
    finally:
        started.kill()


# ── What is said ────────────────────────────────────────────────────────────


def spoken(clip: Clip) -> Samples:
    return np.concatenate([silence(0.3), clip.audio, silence(0.9)])


def pcm(audio: Samples, rate: int = 8_000) -> bytes:
    samples = audio if rate == 16_000 else resample(audio, rate)
    return np.clip(np.round(samples * 32_767), -32_768, 32_767).astype("<i2").tobytes()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


CODECS: Mapping[str, Callable[[Samples], list[bytes]]] = {
    "PCMU": lambda audio: cut(compress(resample(audio, 8_000), "mulaw"), 160),
    "PCMA": lambda audio: cut(compress(resample(audio, 8_000), "alaw"), 160),
    "L16": lambda audio: cut(pcm(audio), 320),
    "L16-16": lambda audio: cut(pcm(audio, 16_000), 640),
    "G722": lambda audio: rtp.encode(audio, codec="g722"),
    "OPUS": lambda audio: rtp.encode(audio, codec="libopus"),
}
"""Payloads of 20 ms."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class Stream:
    """One call: how it is connected, and what is said, a message every 20 ms (or several)."""

    path: str
    messages: list[list[Message]]
    headers: Mapping[str, str] = field(default_factory=lambda: AUTH)
    closes: bool = False
    """Whether the client says that it is over by closing."""


def twilio(
    codec: str,
    audio: Samples,
    encoding: str,
    *,
    name: str = "twilio",
    other: Samples | None = None,
    **how: Any,
) -> Stream:
    """``both_tracks`` where somebody else is heard too."""
    form = {"encoding": encoding, "sampleRate": 8000, "channels": 1}
    tracks = ["inbound"] if other is None else ["inbound", "outbound"]
    parameters = {"from": "+15550100", "language": "en-US"}
    start = {
        "event": "start",
        "streamSid": "MZ1",
        "start": {"callSid": "CA1", "tracks": tracks, "customParameters": parameters, "mediaFormat": form},
    }
    says = {"inbound": CODECS[codec](audio)}
    if other is not None:
        says["outbound"] = CODECS[codec](other)
    hello = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    spoken: list[list[Message]] = [
        [
            {
                "event": "media",
                "media": {"track": track, "chunk": str(n + 1), "timestamp": str(20 * n)} | payload,
            }
            for track, said in says.items()
            for payload in ([{"payload": b64(said[n])}] if n < len(said) else [])
        ]
        for n in range(max(map(len, says.values())))
    ]
    end: list[Message] = [{"event": "dtmf", "dtmf": {"track": "inbound", "digit": "5"}}, {"event": "stop"}]
    steps: list[list[Message]] = [[hello, start], *spoken, end]
    return Stream(f"/v1/media/{name}", steps, **how)


def telnyx(codec: str, audio: Samples) -> Stream:
    """Its order is not the true one."""
    form = {"encoding": codec, "sample_rate": 8000, "channels": 1}
    start = {"event": "start", "stream_id": "32de", "start": {"call_control_id": "v2", "media_format": form}}
    media: list[Message] = [
        {
            "event": "media",
            "media": {
                "track": "inbound",
                "chunk": str(n + 1),
                "timestamp": str(20 * n),
                "payload": b64(said),
            },
        }
        for n, said in enumerate(CODECS[codec](audio))
    ]
    draw = random.Random(1)
    order = sorted(range(len(media)), key=lambda n: n + draw.uniform(0, 4))
    return Stream("/v1/media/telnyx", [[start], *([media[n]] for n in order), [{"event": "stop"}]])


def plivo(audio: Samples) -> Stream:
    form = {"encoding": "audio/x-l16", "sampleRate": 16000}
    start = {"event": "start", "start": {"callId": "12", "tracks": ["inbound"], "mediaFormat": form}}
    began = time.time_ns() // 1_000_000
    media: list[list[Message]] = [
        [
            {
                "event": "media",
                "media": {
                    "track": "inbound",
                    "chunk": n + 1,
                    "timestamp": str(began + 20 * n),
                    "payload": b64(said),
                },
            }
        ]
        for n, said in enumerate(CODECS["L16-16"](audio))
    ]
    return Stream("/v1/media/plivo", [[start], *media], closes=True)


def exotel(audio: Samples) -> Stream:
    form = {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"}
    start = {"event": "start", "start": {"call_sid": "CA", "from": "+91", "media_format": form}}
    steps: list[list[Message]] = [[{"event": "connected"}, start]]
    for n, said in enumerate(cut(pcm(audio), 1_600)):
        media = {"chunk": str(n + 1), "timestamp": str(100 * n), "payload": b64(said)}
        steps += [[{"event": "media", "media": media}], *([[]] * 4)]
    return Stream("/v1/media/exotel", [*steps, [{"event": "stop"}]], BASIC)


def vonage(audio: Samples) -> Stream:
    first = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "language": "en-GB"}
    frames: list[list[Message]] = [[said] for said in CODECS["L16-16"](audio)]
    return Stream("/v1/media/vonage", [[first], *frames], closes=True)


def freeswitch(audio: Samples, other: Samples) -> Stream:
    """Two channels at 16 kHz."""
    length = min(len(audio), len(other))
    left, right = (np.frombuffer(pcm(side[:length], 16_000), "<i2") for side in (audio, other))
    both = np.stack([left, right], axis=1).tobytes()
    steps: list[list[Message]] = [["queue sales"], *([said] for said in cut(both, 1_280))]
    return Stream("/v1/media/freeswitch?rate=16000&channels=2", steps, closes=True)


def jambonz(audio: Samples) -> Stream:
    first = {"callSid": "9fb3", "from": "1617", "to": "1508", "sampleRate": 8000, "mixType": "mono"}
    frames: list[list[Message]] = [[said] for said in CODECS["L16"](audio)]
    return Stream("/v1/media/jambonz", [[first], *frames], closes=True)


def jambonz_stt(audio: Samples) -> Stream:
    form = {"format": "raw", "encoding": "LINEAR16", "sampleRateHz": 8000}
    start = {"type": "start", "language": "en-US", "interimResults": True} | form
    frames: list[list[Message]] = [[said] for said in CODECS["L16"](audio)]
    return Stream("/v1/media/jambonz-stt", [[start], *frames, [{"type": "stop"}]])


# ── A call ────────────────────────────────────────────────────────────


@dataclass
class Heard:
    """What was told of one call, and on its own socket."""

    events: list[dict[str, Any]] = field(default_factory=list)
    back: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None

    def text(self, leg: str = "caller") -> str:
        return " ".join(self.finals(leg))

    def finals(self, leg: str) -> list[str]:
        return [e["text"] for e in self.events if e["type"] == "transcript.final" and e["leg"] == leg]

    def only(self, kind: str) -> dict[str, Any]:
        (found,) = [event for event in self.events if event["type"] == kind]
        return found


@contextlib.asynccontextmanager
async def listening(http: aiohttp.ClientSession) -> AsyncIterator[list[dict[str, Any]]]:
    """Events of all calls, as a subscriber gets them."""
    told: list[dict[str, Any]] = []

    async def listen(ws: aiohttp.ClientWebSocketResponse) -> None:
        nonlocal told
        async for message in ws:
            told += [json.loads(message.data)]

    async with http.ws_connect("/v1/calls/events", headers=AUTH) as ws:
        task = asyncio.create_task(listen(ws))
        yield told
        await ws.close()
        await task


async def call(http: aiohttp.ClientSession, stream: Stream) -> Heard:
    """Say it all at its pace, and stay until the server closes."""
    heard = Heard()
    async with http.ws_connect(stream.path, headers=stream.headers) as ws:

        async def read() -> None:
            async for message in ws:
                heard.back.append(json.loads(message.data))

        reader = asyncio.create_task(read())
        begun = time.monotonic()
        for number, step in enumerate(stream.messages):
            for message in step:
                if isinstance(message, bytes):
                    await ws.send_bytes(message)
                else:
                    await ws.send_str(message if isinstance(message, str) else json.dumps(message))
            await asyncio.sleep(max(0.0, begun + number * STEP_S - time.monotonic()))
        if stream.closes:
            await ws.close()
        async with asyncio.timeout(20):
            await reader
        heard.close_code = ws.close_code
    return heard


async def hold(server: str, streams: Iterable[Stream]) -> list[Heard]:
    """Calls one beside the other; what was told of each, in their order."""
    streams = list(streams)
    async with aiohttp.ClientSession(server) as http, listening(http) as told:
        calls = []
        for stream in streams:
            known = {event["call_id"] for event in told}
            calls.append(asyncio.create_task(call(http, stream)))

            def news(known: set[str] = known) -> list[str]:
                return [event["call_id"] for event in told if event["call_id"] not in known]

            assert await until(news), f"no call came of {stream.path}"
        heard = await asyncio.gather(*calls)
        ids = list(dict.fromkeys(event["call_id"] for event in told))
        assert len(ids) == len(streams)
        await until(lambda: sum(event["type"] == "call.ended" for event in told) == len(ids), 20)
        for found, call_id in zip(heard, ids, strict=True):
            found.events = [event for event in told if event["call_id"] == call_id]
            assert [event["seq"] for event in found.events] == list(range(1, len(found.events) + 1))
            assert found.events[0]["type"] == "call.started"
            assert found.events[-1]["type"] == "call.ended"
    return heard


def assert_said(heard: Heard, clip: Clip, leg: str = "caller") -> None:
    assert normalise(heard.text(leg)) == normalise(clip.text)


@pytest.fixture(scope="module")
def number(digits: list[Clip]) -> Clip:
    return digits[0]


# ── Every dialect ────────────────────────────────────────────────────────────


async def test_digits_are_understood_over_twilio_and_its_relatives(server, number):
    audio = spoken(number)
    signature = base64.b64encode(
        hmac.digest(AUTH_TOKEN.encode(), b"wss://stt.example/v1/media/signalwire", "sha1")
    ).decode()
    heard = await hold(
        server,
        [
            twilio("PCMU", audio, "audio/x-mulaw"),
            twilio("PCMA", audio, "audio/x-alaw"),
            twilio(
                "PCMU", audio, "audio/x-mulaw", name="signalwire", headers={"X-Twilio-Signature": signature}
            ),
            plivo(audio),
            exotel(audio),
        ],
    )
    for found in heard:
        assert_said(found, number)
    assert [found.only("call.started")["source"] for found in heard] == [
        *("twilio", "twilio", "signalwire", "plivo", "exotel")
    ]
    assert heard[0].only("call.started")["caller"] == "+15550100"
    assert heard[0].only("dtmf")["digit"] == "5"
    assert [found.close_code for found in heard] == [1000] * 5
    for found in heard:
        (length,) = found.only("call.ended")["legs"].values()
        assert abs(length - len(audio) / 16) < 150


async def test_telnyx_is_understood_in_every_codec_and_out_of_order(server, number):
    heard = await hold(server, [telnyx(codec, spoken(number)) for codec in ("PCMU", "PCMA", "G722", "OPUS")])
    for found in heard:
        assert_said(found, number)


async def test_digits_are_understood_over_binary_streams(server, number):
    audio = spoken(number)
    heard = await hold(server, [vonage(audio), jambonz(audio), jambonz_stt(audio)])
    for found in heard:
        assert_said(found, number)
    back = heard[2].back
    assert {message["type"] for message in back} == {"transcription"}
    finals = [message for message in back if message["is_final"]]
    said = " ".join(message["alternatives"][0]["transcript"] for message in finals)
    assert normalise(said) == normalise(number.text)
    assert any(not message["is_final"] for message in back)
    assert heard[2].close_code == 1000


async def test_two_parties_are_never_mixed(server, sentences):
    first, second = sentences[:2]
    heard = await hold(
        server,
        [
            twilio("PCMU", spoken(first), "audio/x-mulaw", other=spoken(second)),
            freeswitch(
                np.concatenate([spoken(first), silence(3)]), np.concatenate([spoken(second), silence(3)])
            ),
        ],
    )
    for found in heard:
        assert_said(found, first, "caller")
        assert_said(found, second, "agent")


async def test_a_bad_signature_is_403(server):
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    async with aiohttp.ClientSession(server) as http:
        for headers in ({}, {"X-Twilio-Signature": "c2lnbmF0dXJl"}):
            async with http.get("/v1/media/twilio", headers=upgrade | headers) as response:
                assert response.status == 403
        async with http.get("/metrics", headers=AUTH) as response:
            assert 'rtc_stt_phone_refused_total{reason="signature"} 2.0' in await response.text()


async def test_strangers_do_no_harm_to_a_call(server, number):
    """Garbage, half-open sockets, wrong tokens, messages that are too long, lines that break off."""
    draw = random.Random(7)
    start = {"event": "start", "start": {"customParameters": {"token": "st_wrong"}}}

    async def annoy(http: aiohttp.ClientSession, n: int) -> None:
        name = ("telnyx", "vonage", "freeswitch", "jambonz", "jambonz-stt", "plivo")[n % 6]
        async with http.ws_connect(f"/v1/media/{name}") as ws:
            with contextlib.suppress(ConnectionError):
                match n % 5:
                    case 0:
                        await ws.send_bytes(draw.randbytes(1_000))
                    case 1:
                        await ws.send_str("[" * 100_000)
                    case 2:
                        await ws.send_json(start)
                    case 3:
                        await ws.send_str(" " * 200_000)
                    case 4:
                        ws._response.connection.transport.abort()
                async with asyncio.timeout(5):
                    await ws.receive()

    async with aiohttp.ClientSession(server) as http:
        for _ in range(24):  # half-open, and left so
            await http.ws_connect("/v1/media/telnyx")
        calm = asyncio.create_task(hold(server, [twilio("PCMU", spoken(number), "audio/x-mulaw")]))
        for n in range(0, 60, 6):
            await asyncio.gather(*(annoy(http, n + k) for k in range(6)))
            await asyncio.sleep(0.1)
        (heard,) = await calm
        assert_said(heard, number)
        async with http.get("/metrics", headers=AUTH) as response:
            figures = await response.text()
    assert 'rtc_stt_phone_refused_total{reason="auth"}' in figures
    assert "rtc_stt_messages_refused_total" in figures
