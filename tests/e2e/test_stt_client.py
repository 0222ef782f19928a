"""The SDK for recordings against ``rtc-stt primary``: one, and two of which one is killed under load."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rtc_stt.client import SttClient, SttPool, Telemetry
from rtc_stt.errors import BadAudio, FallbackFailed, TooMany, Unauthorized
from tests.e2e import support
from tests.e2e.support import Clip

pytestmark = pytest.mark.e2e

Start = Callable[..., support.Process]

KEY = "the-key-of-this-test-0001"
ROOMY = {"RATE_LIMIT_RPS": "1000", "RATE_LIMIT_BURST": "1000"}


def primary(start_server: Start, port: str = "0", **settings: str) -> support.Process:
    return start_server("primary", "--demo", "--port", port, **ROOMY | settings)


def words(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())


async def test_a_recording_becomes_a_transcript_whatever_it_comes_as(
    start_server: Start, sentences: list[Clip], tmp_path: Path
) -> None:
    server = primary(start_server, API_KEYS=KEY)
    clip = sentences[0]
    path = support.write_wav(tmp_path / "clip.wav", clip.audio)
    url = await asyncio.to_thread(server.url)
    async with SttClient(url, key=KEY) as client:
        assert await client.ready()
        with path.open("rb") as file:
            ways = (path, path.read_bytes(), file, clip.audio)
            results = [await client.transcribe(way, language="en", word_timestamps=True) for way in ways]
        for result in results:
            assert words(result.text) == words(clip.text)
            assert result.language == "en"
            assert result.transcript.segments[0].words
            assert abs(result.transcript.duration_ms - clip.seconds * 1000) < 50
            assert result.request_id
            assert not result.fallback_used
            assert result.total_ms is not None
            assert result.total_ms <= result.round_trip_ms + 1
            assert None not in (result.queue_wait_ms, result.primary_infer_ms)
        assert client.latency.count == len(ways)
        assert (await client.metrics())["name"] == "primary"
        used = sum(day["requests"] for day in (await client.usage())["days"])
        assert used == len(ways)
        with pytest.raises(BadAudio) as refused:
            await client.transcribe(b"this is no audio")
        assert refused.value.request_id
    async with SttClient(url, key="a-wrong-key-of-this-test-01") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.transcribe(path)
    await asyncio.to_thread(server.stop)


async def test_a_rate_limit_is_waited_for_and_a_lost_fallback_is_told(
    start_server: Start, sentences: list[Clip]
) -> None:
    nowhere = "http://127.0.0.1:9"
    doubting = {"CONF_LOGPROB_THRESHOLD": "1", "FALLBACK_URL": nowhere, "API_KEYS": KEY}
    limits = {"RATE_LIMIT_RPS": "0.25", "RATE_LIMIT_BURST": "3"}  # the fourth within 4 s has to wait
    server = start_server("primary", "--demo", "--port", "0", **doubting, **limits)
    told = list[Telemetry]()
    url = await asyncio.to_thread(server.url)
    audio = sentences[0].audio
    async with SttClient(url, key=KEY, attempts=2, on_request=told.append) as client:
        with pytest.raises(FallbackFailed, match="cannot be reached"):
            await client.transcribe(audio)
        assert [t.status for t in told] == [502, 502]
        told.clear()
        results = [await client.transcribe(audio, on_fallback_failure="degrade") for _ in range(2)]
    assert all(result.degraded for result in results)
    assert all(words(result.text) == words(sentences[0].text) for result in results)
    assert Counter(t.status for t in told) == {200: 2, 429: 1}
    [limited] = [t for t in told if t.status == 429]
    assert limited.error == TooMany.__name__
    assert limited.retry_in_s is not None
    assert limited.retry_in_s >= 1


async def test_one_of_two_is_killed_under_load_and_nothing_is_lost(
    start_server: Start, sentences: list[Clip]
) -> None:
    """Killed in the midst, started again in the midst: each of the requests has its own transcript."""
    clips = sentences[:3]
    servers = [primary(start_server), primary(start_server)]
    urls = [await asyncio.to_thread(server.url) for server in servers]
    told = list[Telemetry]()
    stopping = False
    done = Counter[str]()
    async with SttPool(urls, on_request=told.append) as pool, asyncio.timeout(60):

        async def caller(clip: Clip) -> None:
            while not stopping:
                result = await pool.transcribe(clip.audio, language="en")
                assert words(result.text) == words(clip.text)
                done[clip.id] += 1

        def answers(url: str) -> int:
            return sum(t.url == url and t.status == 200 for t in told)

        calling = [asyncio.create_task(caller(clips[n % 3])) for n in range(8)]
        assert await support.until(lambda: all(answers(url) >= 5 for url in urls))
        servers[0].kill()
        assert await support.until(lambda: not pool.servers[0].is_well)
        before, alone = answers(urls[0]), answers(urls[1])
        assert await support.until(lambda: answers(urls[1]) >= alone + 10)
        assert answers(urls[0]) == before
        primary(start_server, urls[0].rsplit(":", 1)[1])
        assert await support.until(lambda: answers(urls[0]) >= before + 5, 30), "it is found again"
        stopping = True
        await asyncio.gather(*calling)  # raises what any of them has met
    assert sum(done.values()) == sum(t.status == 200 for t in told)
    broken = [t for t in told if t.status is None]
    assert 1 <= len(broken) <= 20
    assert all(t.url == urls[0] and t.retry_in_s == 0 for t in broken), "all of them went on at once"
