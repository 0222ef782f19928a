"""A primary and its fallback, two processes on two ports; the fallback is gone, slow, busy, and back again.

The primary doubts everything here, and decodes one thing at a time: while the fallback is asked, that one
place has to be free.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from rtc_stt.commands import Stop
from rtc_stt.events import Decision, TranscriptFinal
from tests.e2e import support
from tests.e2e.support import Clip, Voice, give_voice, silence
from tools.ingest.watch import metric
from tools.live_line.client import LiveClient
from tools.services import uploads
from tools.services.sounds import encode
from tools.services.uploads import MULTIPART

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

KEY = "key-of-the-clients-for-tests-only"
FALLBACK_KEY = "key-of-the-primary-for-tests-only"
TIMEOUT_S = 1.0
FAST, ACCURATE = "demo-tiny", "demo-medium"


class FallbackService:
    """``rtc-stt fallback``, always on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._started = folder, 0
        self._port = "0"
        self.process: support.Process

    def start(self, **environment: str) -> str:
        """Its address, once it serves."""
        self._started += 1
        self.process = support.Process(
            self._folder / f"fallback-{self._started}.log",
            "fallback", "--demo", "--port", self._port, **({"API_KEYS": FALLBACK_KEY} | environment),
        )  # fmt: skip
        url = self.process.url()
        self._port = url.rpartition(":")[2]
        return url

    def send(self, number: int) -> None:
        """A signal."""
        self.process.process.send_signal(number)


@pytest.fixture(scope="module")
def fallback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FallbackService]:
    service = FallbackService(tmp_path_factory.mktemp("fallback"))
    service.start()
    yield service
    service.process.stop()


def doubting(fallback_url: str, **more: str) -> dict[str, str]:
    """The environment of somebody who asks the fallback about everything."""
    return {
        "FALLBACK_URL": fallback_url,
        "FALLBACK_API_KEY": FALLBACK_KEY,
        "FALLBACK_TIMEOUT_MS": str(round(1000 * TIMEOUT_S)),
        "CONF_LOGPROB_THRESHOLD": "1",
        "MAX_CONCURRENCY": "1",
        **more,
    }


@pytest.fixture(scope="module")
def primary(fallback: FallbackService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    process = support.Process(
        tmp_path_factory.mktemp("primary") / "primary.log",
        "primary", "--demo", "--port", "0", API_KEYS=KEY, RATE_LIMIT_RPS="1000", RATE_LIMIT_BURST="1000",
        **doubting(fallback.process.url()),
    )  # fmt: skip
    try:
        process.url()
        yield process
        process.stop()
    finally:
        process.kill()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    seconds: float


class Caller:
    """Asks one primary for the transcript of one recording."""

    def __init__(self, url: str, http: aiohttp.ClientSession, clip: bytes, text: str) -> None:
        self.url, self.http, self.clip, self.text = url, http, clip, text

    async def ask(self, **fields: str) -> Answer:
        form = uploads.form(self.clip, filename="clip.flac", response_format="verbose_json", **fields)
        headers, begun = {"Content-Type": MULTIPART, "Authorization": f"Bearer {KEY}"}, time.perf_counter()
        async with self.http.post("/v1/transcribe", data=form, headers=headers) as response:
            body = await response.json()
            seconds = time.perf_counter() - begun
            assert response.headers["X-Req-Id"]
            return Answer(response.status, dict(response.headers), body, seconds)

    async def total(self, name: str, labels: str = "") -> float:
        """Of a metric, over all labels that hold these."""
        found = await metric(self.url, name, KEY)
        return sum(value for shown, value in found.items() if labels in shown)

    async def until_used(self) -> Answer:
        """Ask until the fallback answers again, for some seconds at most."""
        deadline = time.monotonic() + 12
        while True:
            answer = await self.ask(on_fallback_failure="degrade")
            assert answer.status == 200, answer
            if answer.headers["X-Fallback-Used"] == "true":
                return answer
            assert time.monotonic() < deadline, f"the fallback is not asked again: {answer}"
            await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def recording(sentences: list[Clip]) -> bytes:
    return encode(np.concatenate([silence(0.3), sentences[0].audio, silence(0.3)]), "flac")


@pytest_asyncio.fixture(loop_scope="module")
async def caller(primary: support.Process, recording: bytes, sentences: list[Clip]) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(primary.url()) as http:
        one = Caller(primary.url(), http, recording, sentences[0].text)
        await one.until_used()
        yield one


def assert_fallback_failed(answer: Answer, *words: str) -> None:
    """502 as the contract has it; nothing of it tells a secret or an address."""
    assert answer.status == 502, answer
    error = answer.body["error"]
    assert set(error) == {"type", "message", "request_id"}
    assert (answer.headers["X-Error-Type"], answer.headers["X-Req-Id"]) == (
        error["type"],
        error["request_id"],
    )
    assert answer.headers["X-Error-Message"]
    assert answer.headers["X-Fallback-Used"] == "false"
    assert int(answer.headers["X-Total-ms"]) >= 0
    told = answer.headers["X-Fallback-Error"]
    for word in words:
        assert word in told, told
    for text in (told, error["message"]):
        assert FALLBACK_KEY not in text
        assert "http://" not in text


# ── There ────────────────────────────────────────────────────────────


async def test_what_is_doubted_is_heard_by_the_fallback(caller: Caller) -> None:
    used = await caller.total("stt_fallback_total", "used")
    asked = await caller.total("stt_requests_total")
    answer = await caller.ask()
    assert (answer.status, answer.body["text"]) == (200, caller.text)
    headers = answer.headers
    assert headers["X-Fallback-Used"] == "true"
    assert headers["X-Final-Model"] == ACCURATE
    assert headers["X-Lang-Check-Applicable"] == "true"
    assert headers["X-Conf-Below"] == "true"
    assert int(headers["X-Primary-Infer-ms"]) > 0
    assert int(headers["X-Fallback-Infer-ms"]) > 0
    assert int(headers["X-Total-ms"]) >= int(headers["X-Fallback-Infer-ms"])
    (segment,) = answer.body["segments"]
    assert (segment["tier"], segment["model"]) == ("accurate", ACCURATE)
    assert segment["route"]["decision"] == Decision.REDECODED
    assert segment["route"]["fast"]["text"]
    assert answer.body["degraded"] is False
    assert await caller.total("stt_fallback_total", "used") == used + 1
    assert await caller.total("stt_requests_total") == asked + 1
    assert await caller.total("rtc_stt_fallback_attempts_total", 'outcome="ok"') >= 1
    assert await caller.total("stt_fallback_infer_seconds_count") >= 1


async def test_a_forced_language_is_not_doubted_but_the_rest_is(caller: Caller) -> None:
    answer = await caller.ask(language="en")
    assert answer.headers["X-Lang-Check-Applicable"] == "false"
    assert answer.headers["X-Fallback-Used"] == "true"
    assert answer.body["segments"][0]["language_probability"] == 1.0


# ── Gone ────────────────────────────────────────────────────────────


async def test_killed_and_started_again(
    caller: Caller, fallback: FallbackService, primary: support.Process
) -> None:
    failed = await caller.total("stt_fallback_total", "failed")
    refused = await caller.total("stt_requests_exceptions_total")
    fallback.process.kill()
    try:
        assert_fallback_failed(await caller.ask())
        degraded = await caller.ask(on_fallback_failure="degrade")
        assert (degraded.status, degraded.body["text"]) == (200, caller.text)
        assert degraded.body["degraded"] is True
        assert degraded.headers["X-Fallback-Error"]
        assert (degraded.headers["X-Fallback-Used"], degraded.headers["X-Final-Model"]) == ("false", FAST)
        assert degraded.body["segments"][0]["route"]["decision"] == Decision.REDECODE_FAILED
        assert await caller.total("stt_fallback_total", "failed") == failed + 2
        assert await caller.total("stt_requests_exceptions_total") == refused + 1
        assert await caller.total("rtc_stt_fallback_attempts_total", 'outcome="unreachable"') >= 2
        for _ in range(3):
            answer = await caller.ask()
            assert answer.status == 502
        assert answer.seconds < TIMEOUT_S, "nobody is asked who is known to be gone"
        async with caller.http.get("/v1/ready") as response:
            assert response.status == 200, "a primary without its fallback is still a primary"
    finally:
        fallback.start()
    again = await caller.until_used()
    assert again.body["text"] == caller.text
    primary.assert_calm()


# ── Slow ────────────────────────────────────────────────────────────


async def test_one_that_hangs_is_not_waited_for_and_holds_up_nobody(
    caller: Caller, fallback: FallbackService
) -> None:
    timeouts = await caller.total("rtc_stt_fallback_attempts_total", 'outcome="timeout"')
    heard = await caller.total("stt_primary_infer_seconds_count")
    fallback.send(signal.SIGSTOP)
    try:
        waiting = asyncio.create_task(caller.ask())
        while await caller.total("stt_primary_infer_seconds_count") == heard:
            await asyncio.sleep(0.02)
        assert await caller.total("stt_in_flight", "fast") == 0, "the primary's only place is free"
        meanwhile = await caller.ask(cut="false")
        assert (meanwhile.status, meanwhile.headers["X-Fallback-Used"]) == (200, "false")
        assert not waiting.done(), "it was not answered while the fallback was waited for"
        answer = await waiting
    finally:
        fallback.send(signal.SIGCONT)
    assert_fallback_failed(answer)
    assert TIMEOUT_S <= answer.seconds < 4 * TIMEOUT_S, "two attempts, each with its deadline"
    assert await caller.total("rtc_stt_fallback_attempts_total", 'outcome="timeout"') > timeouts
    await caller.until_used()


# ── Busy, or not for us ────────────────────────────────────────────────────────────


@pytest.fixture
def other_terms(fallback: FallbackService) -> Iterator[Callable[..., None]]:
    """Starts the fallback anew with another configuration; afterwards it is as it was."""

    def change(**environment: str) -> None:
        fallback.process.stop()
        fallback.start(**environment)

    yield change
    fallback.process.kill()
    fallback.start()


async def test_one_that_limits_our_rate_is_left_alone_for_as_long_as_it_says(
    caller: Caller, other_terms: Callable[..., None]
) -> None:
    other_terms(RATE_LIMIT_RPS="0.25", RATE_LIMIT_BURST="1")
    await caller.until_used()
    for _ in range(5):
        if (answer := await caller.ask()).status != 200:
            break
    assert_fallback_failed(answer, "429")
    busy = await caller.total("rtc_stt_fallback_attempts_total", 'outcome="busy"')
    assert busy >= 1
    assert_fallback_failed(await caller.ask())
    assert await caller.total("rtc_stt_fallback_attempts_total", 'outcome="busy"') == busy, "asked again"
    again = await caller.until_used()
    assert again.body["text"] == caller.text


async def test_one_that_does_not_know_our_key(caller: Caller, other_terms: Callable[..., None]) -> None:
    other_terms(API_KEYS="another-key-for-tests-only")
    assert_fallback_failed(await caller.ask(), "401")
    assert await caller.total("rtc_stt_fallback_attempts_total", 'outcome="refused"') >= 1


# ── Several, and whoever else asks ────────────────────────────────────────────────────────────


async def test_the_next_of_two_stands_in(
    fallback: FallbackService,
    start_server: Callable[..., support.Process],
    recording: bytes,
    sentences: list[Clip],
) -> None:
    nobody = "http://127.0.0.1:9"
    both = doubting(f"{nobody},{fallback.process.url()}")
    server = start_server("primary", "--demo", "--port", "0", API_KEYS=KEY, **both)
    async with aiohttp.ClientSession(server.url()) as http:
        caller = Caller(server.url(), http, recording, sentences[0].text)
        for _ in range(4):
            answer = await caller.ask()
            assert (answer.status, answer.headers["X-Fallback-Used"]) == (200, "true"), answer
            assert answer.body["text"] == caller.text
        first = await caller.total("rtc_stt_fallback_attempts_total", 'place="1"')
        second = await caller.total("rtc_stt_fallback_attempts_total", 'place="2"')
        assert second == 4
        assert first == 3, "after three failures in a row it is left alone"
    await asyncio.to_thread(server.stop)


async def test_the_live_gateway_asks_it_too_and_keeps_the_fast_text_without_it(
    fallback: FallbackService, start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", CT2_MEDIUM_PATH="", **doubting(fallback.process.url()))
    url, clip = server.url(), sentences[0]
    with_it = await spoken(url, clip)
    assert (with_it.tier, with_it.model, with_it.route.decision) == (
        "accurate", ACCURATE, Decision.REDECODED,
    )  # fmt: skip
    assert with_it.text == clip.text
    fallback.process.kill()
    try:
        without = await spoken(url, clip)
    finally:
        fallback.start()
    assert (without.tier, without.model, without.route.decision) == (
        "fast", FAST, Decision.REDECODE_FAILED,
    )  # fmt: skip
    assert re.sub(r"\W", "", without.text)
    await asyncio.to_thread(server.stop)


async def spoken(url: str, clip: Clip) -> TranscriptFinal:
    """The final of a live session, three times as fast as anybody speaks."""
    client = LiveClient(url)
    give_voice(client, Voice(np.concatenate([silence(0.3), clip.audio]), pace=3))
    async with client:
        final = await client.wait_for("transcript.final")
        client.send(Stop())
        await client.wait_for("session.ended")
    assert isinstance(final, TranscriptFinal)
    return final
