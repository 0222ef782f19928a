"""``rtc-stt primary`` and ``rtc-stt fallback``, two processes on two ports, as a client finds them."""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.e2e import support
from tests.e2e.support import Clip
from tests.service.sound import wav
from tests.signaling.forms import TYPE, Line, recording
from tests.signaling.service import FIGURES, error_of

pytestmark = pytest.mark.e2e

KEY = "key-of-the-services-for-tests"
BEARER = {"Authorization": f"Bearer {KEY}"}
COMMIT = "0123abc"


@dataclass
class Pair:
    """Both, started once for all tests here. The primary has a key, the fallback is open."""

    primary: str
    fallback: str
    first: support.Process


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("services")
    fallback = support.Process(folder / "fallback.log", "fallback", "--demo", "--port", "0")
    started = [fallback]
    try:
        primary = support.Process(
            folder / "primary.log", "primary", "--demo", "--port", "0",
            API_KEYS=KEY, FALLBACK_URL=fallback.url(), SERVER_COMMIT=COMMIT, MAX_UPLOAD_MB="1",
            RATE_LIMIT_RPS="50", RATE_LIMIT_BURST="40",
        )  # fmt: skip
        started.append(primary)
        yield Pair(primary.url(), fallback.url(), primary)
        for process in started:
            process.stop()
    finally:
        for process in started:
            process.kill()


@pytest.fixture(scope="module")
def hard() -> Clip:
    """One of which the fast demo model is unsure."""
    return next(clip for clip in support.clips("noisy") if clip.id == HARD)


HARD = "noisy-001"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    http: aiohttp.ClientSession, url: str, audio: bytes, key: str | None = KEY, **fields: str
) -> Any:
    """The answer, with its body."""
    form = aiohttp.FormData()
    form.add_field("audio", io.BytesIO(audio), filename="clip.wav")
    for name, value in fields.items():
        form.add_field(name, value)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = await http.post(f"{url}/v1/transcribe", data=form, headers=headers)
    await answer.read()
    return answer


def total(text: str, name: str) -> float:
    """Of all values of a metric, whatever their labels."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M))


async def scrape(http: aiohttp.ClientSession, url: str) -> str:
    return await (await http.get(f"{url}/metrics", headers=BEARER)).text()


async def test_what_the_primary_is_sure_of_is_its_own(
    pair: Pair, http: aiohttp.ClientSession, sentences: list[Clip]
) -> None:
    for fields, checked in (({}, "true"), ({"language": "en"}, "false")):
        answer = await ask(http, pair.primary, wav(sentences[0].audio), **fields)
        assert answer.status == 200
        assert (await answer.json())["text"] == sentences[0].text
        headers = answer.headers
        assert set(FIGURES) <= set(headers)
        assert (headers["X-Fallback-Used"], headers["X-Conf-Below"]) == ("false", "false")
        assert (headers["X-Final-Model"], headers["X-Fallback-Infer-ms"]) == ("demo-tiny", "0")
        assert headers["X-Lang-Check-Applicable"] == checked
        assert int(headers["X-Primary-Infer-ms"]) <= int(headers["X-Total-ms"])


async def test_what_it_doubts_is_the_fallbacks(pair: Pair, http: aiohttp.ClientSession, hard: Clip) -> None:
    before = total(await scrape(http, pair.fallback), "stt_requests_total")
    answer = await ask(
        http, pair.primary, wav(hard.audio), response_format="verbose_json", word_timestamps="true"
    )
    assert answer.status == 200
    assert (answer.headers["X-Fallback-Used"], answer.headers["X-Conf-Below"]) == ("true", "true")
    assert answer.headers["X-Final-Model"] == "demo-medium"
    assert int(answer.headers["X-Fallback-Infer-ms"]) > 0
    (segment,) = (await answer.json())["segments"]
    assert segment["route"]["decision"] == "redecoded"
    assert segment["words"]
    assert total(await scrape(http, pair.fallback), "stt_requests_total") == before + 1
    direct = await ask(http, pair.fallback, wav(hard.audio), key=None)
    assert (await direct.json())["text"] == segment["text"]
    assert direct.headers["X-Fallback-Used"] == "false"
    assert direct.headers["X-Final-Model"] == "demo-medium"


async def test_metrics_and_snapshot_tell_the_same(
    pair: Pair, http: aiohttp.ClientSession, sentences: list[Clip], hard: Clip
) -> None:
    for clip in (sentences[1], hard):
        await ask(http, pair.primary, wav(clip.audio))
    await ask(http, pair.primary, b"no audio at all")
    text = await scrape(http, pair.primary)
    told = await (await http.get(f"{pair.primary}/v1/metrics", headers=BEARER)).json()
    counts = told["requests"]
    assert (told["name"], told["commit"]) == ("primary", COMMIT)
    assert counts["total"] == total(text, "stt_requests_total")
    assert counts["exceptions"]["bad_audio"] >= 1
    assert sum(counts["exceptions"].values()) == total(text, "stt_requests_exceptions_total")
    assert counts["fallback"]["used"] >= 1
    assert sum(counts["fallback"].values()) == total(text, "stt_fallback_total")
    assert counts["by_status"]["2xx"] == total(text, "stt_request_total_seconds_count")
    assert told["latency_ms"]["total"]["count"] == counts["by_status"]["2xx"]
    assert 0 < told["latency_ms"]["fallback_infer"]["p50"] <= told["latency_ms"]["total"]["p99"]
    assert told["queue"]["tiers"]["fast"]["model"] == "demo-tiny"
    for name in ("stt_primary_infer_seconds", "stt_fallback_infer_seconds", "stt_queue_wait_seconds"):
        assert total(text, f"{name}_count") > 0
    for name in ("stt_queue_depth", "stt_in_flight"):
        assert f'{name}{{tier="fast"}}' in text


async def test_the_statuses(pair: Pair, http: aiohttp.ClientSession, sentences: list[Clip]) -> None:
    audio, no_form = wav(sentences[0].audio), {"data": b"RIFF", "headers": BEARER}
    for answer, status, kind in (
        (await ask(http, pair.primary, b""), 400, "bad_audio"),
        (await ask(http, pair.primary, audio, language="xx"), 400, "bad_request"),
        (await ask(http, pair.primary, audio, temperature="0"), 400, "bad_request"),
        (await ask(http, pair.primary, audio, key=None), 401, "unauthorized"),
        (await ask(http, pair.primary, bytes(1_200_000)), 413, "too_large"),
        (await ask(http, pair.primary, wav(support.silence(30.1)), cut="false"), 413, "audio_too_long"),
        (await http.post(f"{pair.primary}/v1/transcribe", **no_form), 415, "unsupported_media_type"),
        (await http.get(f"{pair.primary}/v1/transcribe", headers=BEARER), 405, "method_not_allowed"),
    ):  # fmt: skip
        assert answer.status == status
        assert (await error_of(answer))["type"] == kind
    answers = await asyncio.gather(*(ask(http, pair.primary, b"") for _ in range(60)))
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert int(refused[0].headers["Retry-After"]) > 0
    assert {answer.status for answer in answers} == {400, 429}
    await asyncio.sleep(1)  # the bucket fills up again


async def test_what_is_open_and_what_is_not(pair: Pair, http: aiohttp.ClientSession) -> None:
    for path, status in (
        ("/v1/health", 200),
        ("/v1/ready", 200),
        ("/openapi.json", 200),
        ("/v1/metrics", 401),
        ("/metrics", 401),
        ("/v1/usage", 401),
        ("/", 404),
    ):
        assert (await http.get(pair.primary + path)).status == status, path
    usage = await (await http.get(f"{pair.primary}/v1/usage", headers=BEARER)).json()
    assert usage["days"][-1]["requests"] >= 1


async def test_a_drain_answers_who_was_let_in(
    start_server: Any, http: aiohttp.ClientSession, sentences: list[Clip]
) -> None:
    server = start_server("primary", "--demo", "--port", "0", DRAIN_SECONDS="10")
    url = server.url()
    body = recording(wav(sentences[0].audio))
    line = await Line.to(int(url.rpartition(":")[2]))
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)))
    await line.send(body[: len(body) // 2])
    async with asyncio.timeout(10):
        while (await (await http.get(f"{url}/v1/ready")).json())["requests"] != 1:
            await asyncio.sleep(0.02)
        server.terminate()
        while (ready := await http.get(f"{url}/v1/ready")).status == 200:
            await asyncio.sleep(0.02)
    assert ready.status == 503
    refused = await ask(http, url, wav(sentences[0].audio), key=None)
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert (await http.get(f"{url}/v1/health")).status == 200
    assert server.process.poll() is None
    await line.send(body[len(body) // 2 :])
    answer = await line.answer(10)
    assert answer.status == 200
    assert answer.json["text"] == sentences[0].text
    await line.close()
    assert await asyncio.to_thread(server.wait, 10) == 0
    server.assert_calm()


async def test_a_drain_does_not_wait_for_who_never_ends(
    start_server: Any, http: aiohttp.ClientSession
) -> None:
    server = start_server("fallback", "--demo", "--port", "0", DRAIN_SECONDS="0.5")
    url = server.url()
    line = await Line.to(int(url.rpartition(":")[2]))
    await line.head(Content_Type=TYPE, Content_Length="1000")
    async with asyncio.timeout(10):
        while (await (await http.get(f"{url}/v1/ready")).json())["requests"] != 1:
            await asyncio.sleep(0.02)
    began = time.monotonic()
    server.terminate()
    answer = await line.answer(10)
    assert (answer.status, answer.json["error"]["type"]) == (503, "unavailable")
    await line.close()
    assert await asyncio.to_thread(server.wait, 10) == 0
    assert time.monotonic() - began < 8
    server.assert_calm()


async def test_the_gateway_answers_too(demo: str, http: aiohttp.ClientSession, hard: Clip) -> None:
    answer = await ask(http, demo, wav(np.concatenate([hard.audio, support.silence(0.5)])), key=None)
    assert answer.status == 200
    assert answer.headers["X-Final-Model"] == "demo-medium"
    told = await (await http.get(f"{demo}/v1/metrics")).json()
    assert told["name"] == "demo"
    assert told["requests"]["by_endpoint"] == {"/v1/transcribe": told["requests"]["total"]}


def test_the_log_holds_no_word_of_anybody(pair: Pair, hard: Clip, sentences: list[Clip]) -> None:
    for clip in (hard, *sentences[:2]):
        for word in clip.text.split():
            assert len(word) < 5 or word not in pair.first.log
    assert KEY not in pair.first.log
    assert Path(pair.first._log).stat().st_size < 10_000
