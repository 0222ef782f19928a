"""Speech over a WebSocket against ``rtc-stt demo``, and a network that breaks in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.client import State, StreamClient, session_pump
from rtc_stt.client.encoding import Encoding, encode
from rtc_stt.client.pulse import Heartbeat
from rtc_stt.events import (
    Event,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
)
from rtc_stt.testing.tcp_proxy import TcpProxy
from tests.e2e import support
from tests.e2e.support import Clip, silence, until

pytestmark = pytest.mark.e2e

PCM = {"encoding": "pcm_s16le", "sample_rate": 16_000}


def spoken(*clips: Clip) -> Samples:
    return np.concatenate([silence(0.3), *[part for clip in clips for part in (clip.audio, silence(0.9))]])


async def read(live: StreamClient, heard: list[Event]) -> None:
    async for event in live:
        heard.append(event)  # noqa: PERF401 — a test looks at it while it grows


def of(heard: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in heard if isinstance(event, kind)]


@pytest.fixture
async def proxy(demo: str) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(demo) as made:
        yield made


# ── Formats ──


@pytest.mark.parametrize(
    ("encoding", "rate", "channels"),
    [("pcm_s16le", 16_000, 1), ("pcm_s16le", 48_000, 2), ("mulaw", 8_000, 1), ("alaw", 8_000, 1)],
)
async def test_every_format_is_understood(
    demo: str, sentences: list[Clip], encoding: Encoding, rate: int, channels: int
) -> None:
    audio = support.resample(spoken(sentences[0]), rate) if rate != 16_000 else spoken(sentences[0])
    heard: list[Event] = []
    client = StreamClient(demo, encoding=encoding, sample_rate=rate, channels=channels, is_live=False)
    async with client as live, asyncio.timeout(20):
        reading = asyncio.create_task(read(live, heard))
        await live.configure(language="en")
        await live.send(np.repeat(audio[:, None], channels, axis=1) if channels == 2 else audio)
        await live.stop()
        await reading
    assert normalise(support.text_of(heard)) == normalise(sentences[0].text)
    [ended] = of(heard, SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert ended.reason == "stopped"
    assert abs(ended.stats["audio_ms"] - len(audio) / rate * 1000) < 5
    assert ended.stats["codec"] == encoding


# ── A connection that breaks ──


async def test_no_word_is_lost_when_the_connection_is_cut_in_mid_utterance(
    proxy: TcpProxy, sentences: list[Clip]
) -> None:
    """Cut again and again, while speaking, with finals on their way, and within a pending finalize."""
    heard: list[Event] = []
    states: list[State] = []
    said = sentences[:2]
    async with StreamClient(proxy.url, on_state=states.append) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))

        async def cut_now_and_then() -> None:
            for seconds, cut in (
                (1.1, proxy.drop),
                (0.7, proxy.reset),
                (1.3, proxy.drop),
                (0.4, proxy.reset),
            ):
                await asyncio.sleep(seconds)
                cut()

        cutting = asyncio.create_task(cut_now_and_then())
        await live.send(spoken(*said))
        await cutting
        answer = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        proxy.reset()
        await answer
        await live.stop()
        await reading
    assert [final.text for final in support.finals(heard)] == [clip.text for clip in said]
    assert all(final.lost_ms == 0 for final in support.finals(heard))
    assert len(of(heard, SessionStarted)) == 1
    assert len(of(heard, SessionResumed)) >= 4
    assert [e.seq for e in heard] == sorted({e.seq for e in heard}), "each event once, in order"
    assert not [e for e in heard if e.type == "warning"]
    begun = [e.utterance_id for e in heard if isinstance(e, SpeechStarted)]
    assert begun == support.conclusions(heard) == [1, 2]
    assert [e.type for e in heard].count("finalized") == 1
    assert states[-1] is State.ENDED


async def test_a_word_that_was_being_said_when_the_line_went_dead_is_whole(
    proxy: TcpProxy, sentences: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that it is dead, and the client notices long after an utterance would have stalled."""
    monkeypatch.setattr(session_pump, "Heartbeat", partial(Heartbeat, ping_s=0.5, lost_s=2.5))
    heard: list[Event] = []
    audio = spoken(sentences[0])
    half = len(audio) // 2
    async with StreamClient(proxy.url) as live, asyncio.timeout(40):
        reading = asyncio.create_task(read(live, heard))
        await live.send(audio[:half])
        assert await until(lambda: of(heard, TranscriptPartial))
        proxy.darken()
        await live.send(audio[half : half + 4_000])
        await asyncio.sleep(2)
        await live.send(audio[half + 4_000 :])
        await live.stop()
        await reading
    [final] = support.finals(heard)
    assert final.text == sentences[0].text
    assert final.lost_ms == 0
    assert of(heard, SessionResumed)


async def test_without_replay_the_gap_is_silence(demo: str) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        async with http.ws_connect(f"{demo}/v1/stream") as ws:
            await ws.send_json({"type": "configure", "audio": PCM})
            started = await ws.receive_json()
            await ws.send_bytes(bytes(16_000))
            await asyncio.sleep(0.3)
            await ws.close(code=1001)
        await asyncio.sleep(0.5)
        async with http.ws_connect(f"{demo}/v1/stream?resume=1") as ws:
            resume = {"resume_token": started["resume_token"], "resume_from": started["seq"]}
            await ws.send_json({"type": "configure", "audio": PCM} | resume)
            resumed = await ws.receive_json()
            assert resumed["type"] == "session.resumed"
            assert resumed["seq"] == 2
            assert 400 <= resumed["gap_ms"] < 2_000
            assert await ws.receive_json() == {"type": "received", "samples": 0}
            await ws.send_bytes(bytes(16_000))
            await ws.send_json({"type": "stop"})
            told = [json.loads(message.data) async for message in ws]
    assert told[-1]["type"] == "session.ended"
    assert told[-1]["stats"]["audio_ms"] >= 1_400
    assert told[-1]["stats"]["connections"] == 2
    assert ws.close_code == 1000


# ── A server that goes ──


async def test_a_server_that_drains_finalises_and_says_so(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", MEDIA_WORKERS="1")
    url = await asyncio.to_thread(server.url)
    audio = encode(spoken(sentences[0])[: -int(1.2 * 16_000)], "pcm_s16le", 1)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/v1/stream") as silent,
        http.ws_connect(f"{url}/v1/stream") as ws,
        asyncio.timeout(40),
    ):
        await ws.send_json({"type": "configure", "audio": PCM})
        await ws.send_bytes(audio)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["type"] != "transcript.partial":
            told.append(await ws.receive_json())
        server.terminate()
        told += [json.loads(message.data) async for message in ws]
        assert ws.close_code == 1001
        assert (await silent.receive()).type is aiohttp.WSMsgType.CLOSE
    assert await asyncio.to_thread(server.wait) == 0
    server.assert_calm()
    types = [event["type"] for event in told if event["type"] not in ("received", "transcript.partial")]
    assert types[-4:] == ["warning", "speech.stopped", "transcript.final", "session.ended"]
    assert told[-1]["reason"] == "drained"
    numbers = [event["seq"] for event in told if "seq" in event]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_server_that_dies_gets_the_rest_in_a_new_session(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    heard: list[Event] = []
    server = start_server("demo", "--port", "0")
    url = await asyncio.to_thread(server.url)
    async with StreamClient(url, is_live=False) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))
        await live.send(spoken(sentences[0]))
        assert await until(lambda: of(heard, TranscriptFinal))
        server.kill()
        await live.send(spoken(sentences[1]))
        start_server("demo", "--port", url.rsplit(":", 1)[1])
        assert await until(lambda: len(of(heard, SessionStarted)) == 2, 40)
        await live.stop()
        await reading
    assert [final.text for final in support.finals(heard)] == [clip.text for clip in sentences[:2]]


# ── Those who mean no good ──


async def test_who_speaks_does_not_notice_those_who_break_every_rule(
    demo: str, sentences: list[Clip]
) -> None:
    """Garbage, silence, too much, too long, too fast, and nobody who reads; four sockets each."""
    stream = f"{demo}/v1/stream"
    configure = {"type": "configure", "audio": PCM}

    async def garbage(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_bytes(bytes(range(256)) * 100)
        await ws.receive()

    async def silence_only(ws: aiohttp.ClientWebSocketResponse) -> None:
        await asyncio.sleep(3)

    async def too_long(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json(configure)
        await ws.send_bytes(bytes(1024 * 1024))
        await ws.receive()

    async def too_fast(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json(configure)
        while True:
            await ws.send_bytes(bytes(250 * 1024))

    async def too_many(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json(configure)
        while True:
            await ws.send_str('{"type":"ping","id":"' + "x" * 100 + '"}')
            await asyncio.sleep(0)

    async def deaf(ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json(configure)
        ws._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        while True:
            await ws.send_str("no command")
            await asyncio.sleep(0.01)

    async def attack(act: Any) -> None:
        async with aiohttp.ClientSession() as http:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                ws = await http.ws_connect(stream, timeout=aiohttp.ClientWSTimeout(ws_close=0.1))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(3):
                        await act(ws)
                ws._response.connection and ws._response.connection.transport.abort()  # type: ignore[union-attr]

    heard: list[Event] = []
    acts = [garbage, silence_only, too_long, too_fast, too_many, deaf]
    async with StreamClient(demo) as live, asyncio.timeout(40):
        reading = asyncio.create_task(read(live, heard))
        attacks = [asyncio.create_task(attack(act)) for act in acts for _ in range(4)]
        await live.send(spoken(sentences[0]))
        await asyncio.gather(*attacks)
        await live.stop()
        await reading
    assert [final.text for final in support.finals(heard)] == [sentences[0].text]
    assert len(of(heard, SessionStarted)) == 1
    assert not of(heard, SessionResumed)

    async with aiohttp.ClientSession() as http:

        async def sample(name: str) -> float:
            async with http.get(f"{demo}/metrics") as response:
                lines = (await response.text()).splitlines()
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

        assert await sample("rtc_stt_half_open") == 0
        assert await sample('rtc_stt_rejected_total{reason="configure"}') >= 4
