"""AudioSocket and chan_websocket against a started server: real clips, as Asterisk sends them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.companding import compress
from tests.e2e import support
from tests.signaling.telephony.asterisk.talk import audio, frame, linear, name
from tools.ports import free_port

pytestmark = pytest.mark.e2e

KEY = "a-key-of-a-phone-system"
HANG_UP = frame(0x00)


@dataclass(frozen=True)
class Gateway:
    """A started server."""

    url: str
    port: int
    """Of AudioSocket."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    port = free_port()
    server = support.Process(
        tmp_path_factory.mktemp("asterisk") / "server.log",
        *("demo", "--port", "0", "--log-level", "info"),
        API_KEYS=KEY,
        AUDIOSOCKET_PORT=str(port),
    )
    try:
        yield Gateway(server.url(), port)
        server.stop()
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def http(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(gateway.url, headers=headers) as session:
        yield session


async def announce(session: aiohttp.ClientSession, **more: Any) -> dict[str, Any]:
    async with session.post(
        "/v1/calls", json={"source": "audiosocket"} | more, raise_for_status=True
    ) as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def events(session: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
    """All that is told of a call, to its end."""
    async with asyncio.timeout(30), session.ws_connect(path) as ws:
        return [json.loads(message.data) async for message in ws]


async def pace(writer: asyncio.StreamWriter, data: bytes, size: int, kind: int = 0x10) -> None:
    """Frames of 20 ms, three times as fast as they are spoken."""
    for at in range(0, len(data), size):
        writer.write(audio(data[at : at + size], size, kind))
        await asyncio.sleep(0.006)


def narrow(speech: Samples) -> Samples:
    """8 kHz, with the silence around it that ends an utterance."""
    return np.clip(
        support.resample(np.concatenate([support.silence(0.5), speech, support.silence(1.2)]), 8_000), -1, 1
    )


async def call(
    gateway: Gateway, data: bytes, size: int, kind: int = 0x10, end: bytes = HANG_UP
) -> list[dict[str, Any]]:
    """A call of this audio, and what was told of it."""
    async with http(gateway) as session:
        expected = await announce(session, options={"language": "en"})
        told = asyncio.create_task(events(session, expected["events_url"]))
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(name(uuid.UUID(expected["uuid"])))
        await pace(writer, data, size, kind)
        writer.write(end)
        writer.write_eof()
        async with asyncio.timeout(20):
            assert await reader.read() == HANG_UP
        writer.close()
        return await told


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in told if event["type"] == kind]


def text(told: list[dict[str, Any]]) -> list[str]:
    return normalise(" ".join(event["text"] for event in of(told, "transcript.final")))


async def test_digits_spoken_into_audiosocket_come_out_and_keys_are_told(
    gateway: Gateway, digits: list[support.Clip]
) -> None:
    (clip,) = digits
    keys = frame(0x03, b"4") + frame(0x03, b"#")
    told = await call(gateway, linear(narrow(clip.audio)), 320, end=keys + HANG_UP)
    assert text(told) == normalise(clip.text)
    assert [event["digit"] for event in of(told, "dtmf")] == ["4", "#"]
    assert not of(told, "warning")
    assert told[-1]["reason"] == "hangup"
    assert {event["call_id"] for event in told} == {told[0]["call_id"]}


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
async def test_what_is_labelled_wrongly_is_told_and_understood(
    gateway: Gateway, sentences: list[support.Clip], law: str
) -> None:
    clip = sentences[0]
    told = await call(gateway, compress(narrow(clip.audio), "mulaw" if law == "mulaw" else "alaw"), 160)
    assert text(told) == normalise(clip.text)
    assert [event["code"] for event in of(told, "warning")] == ["audio_mislabelled"]


async def test_other_rates_are_heard_at_their_rate_and_an_end_without_a_hang_up_is_one(
    gateway: Gateway, sentences: list[support.Clip]
) -> None:
    clip = sentences[1]
    wide = np.concatenate([support.silence(0.5), clip.audio, support.silence(1.2)])
    calls = []
    for rate, kind in ((16_000, 0x12), (48_000, 0x16), (44_100, 0x15)):
        data = linear(np.clip(support.resample(wide, rate), -1, 1))
        calls.append(call(gateway, data, rate // 50 * 2, kind, end=frame(kind, data[:100])[:-1]))
    for told in await asyncio.gather(*calls):
        assert text(told) == normalise(clip.text)
        assert told[-1]["reason"] == "hangup"


async def test_strangers_are_refused_and_counted_while_a_call_goes_on(
    gateway: Gateway, sentences: list[support.Clip]
) -> None:
    clip = sentences[2]
    going_on = asyncio.create_task(call(gateway, linear(narrow(clip.audio)), 320))
    for said in (
        name(uuid.uuid4()),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10" + bytes(50),
        bytes(1_000),
        b"\xff" * 70_000,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        with contextlib.suppress(ConnectionError):
            writer.write(said * 3)
            assert await reader.read() in (HANG_UP, b"")
        writer.close()
    silent = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(20)]
    assert text(await going_on) == normalise(clip.text)
    for _, writer in silent:
        writer.transport.abort()
    async with http(gateway) as session, session.get("/metrics") as answer:
        metrics = await answer.text()
    assert 'rtc_stt_phone_refused_total{reason="unknown_call"}' in metrics
    assert 'rtc_stt_phone_refused_total{reason="malformed"}' in metrics


START = (
    "MEDIA_START connection_id:rtc-stt channel:WebSocket/rtc-stt/0x7f80b400 channel_id:1761245643.1 "
    "format:{format} optimal_frame_size:160 ptime:20"
)


@pytest.mark.parametrize(("form", "law"), [("ulaw", "mulaw"), ("alaw", "alaw"), ("slin", None)])
async def test_chan_websocket_is_heard(
    gateway: Gateway, sentences: list[support.Clip], form: str, law: Any
) -> None:
    clip = sentences[3]
    speech = narrow(clip.audio)
    data, size = (compress(speech, law), 160) if law else (linear(speech), 320)
    password = base64.b64encode(f"rtc-stt:{KEY}".encode()).decode()
    basic = {"Authorization": f"Basic {password}"}
    async with http(gateway) as session:
        told: list[dict[str, Any]] = []
        async with session.ws_connect("/v1/calls/events") as heard:
            url = "/v1/media/asterisk?language=en"
            async with session.ws_connect(url, headers=basic, protocols=["media"]) as ws:
                assert ws.protocol == "media"
                await ws.send_str(START.format(format=form))
                for at in range(0, len(data), size):
                    await ws.send_bytes(data[at : at + size])
                    await asyncio.sleep(0.006)
                await ws.send_str("DTMF_END digit:7 channel_id:1761245643.1")
            async with asyncio.timeout(20):
                while not of(told, "call.ended"):
                    told.append(await heard.receive_json())
    assert text(told) == normalise(clip.text)
    assert [event["digit"] for event in of(told, "dtmf")] == ["7"]
    assert of(told, "call.started")[0]["external_id"] == "1761245643.1"


async def test_a_call_that_is_ended_here_is_hung_up_there(gateway: Gateway) -> None:
    async with (
        asyncio.timeout(10),
        http(gateway) as session,
        session.ws_connect("/v1/calls/events") as heard,
        session.ws_connect("/v1/media/asterisk", protocols=["media"]) as ws,
    ):
        await ws.send_str(START.format(format="ulaw"))
        await ws.send_bytes(b"\xff" * 160)
        started = await heard.receive_json()
        async with session.delete(f"/v1/calls/{started['call_id']}") as answer:
            assert answer.status == 204
        assert await ws.receive_str() == "HANGUP"
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_who_has_no_key_opens_no_stream(gateway: Gateway) -> None:
    async with aiohttp.ClientSession(gateway.url) as session:
        headers = {"Authorization": "Basic " + base64.b64encode(b"rtc-stt:a-wrong-password").decode()}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/v1/media/asterisk", headers=headers, protocols=["media"])
        assert refused.value.status == 401


async def test_a_server_that_is_told_to_stop_hangs_up_after_the_last_word(
    start_server: Callable[..., support.Process], sentences: list[support.Clip]
) -> None:
    clip, port = sentences[0], free_port()
    server = start_server("demo", "--port", "0", API_KEYS=KEY, AUDIOSOCKET_PORT=str(port))
    running = Gateway(server.url(), port)
    async with http(running) as session:
        expected = await announce(session)
        told = asyncio.create_task(events(session, expected["events_url"]))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(name(uuid.UUID(expected["uuid"])))
        speech = linear(narrow(clip.audio))
        await pace(
            writer, speech[: len(speech) - 16_000 // 2], 320
        )  # the end of its silence is still to come
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        async with asyncio.timeout(20):
            assert await reader.read() == HANG_UP
            writer.close()
            assert text(await told) == normalise(clip.text)
            assert (await told)[-1]["reason"] == "drained"
            await stopping


def test_the_example_plays_a_recording_and_prints_what_it_says(gateway: Gateway) -> None:
    sample = "web_demo/samples/booking.wav"
    done = subprocess.run(
        [sys.executable, "examples/phone_calls.py", gateway.url, sample],
        cwd=Path(support.ROOT),
        env=support.clean_environment(RTC_STT_KEY=KEY, AUDIOSOCKET=f"127.0.0.1:{gateway.port}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("same => n,AudioSocket(")
    assert lines[1] == "-- +49 30 123456 calls"
    assert lines[2].startswith("caller: Can I book a table for eight people")
    assert lines[-1] == "-- hangup"
