"""One server, over TCP, that does what servers do: and the client's answer to it."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import time
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.client import SttClient, Telemetry, exchange, retries
from rtc_stt.client.recording import PIECE
from rtc_stt.errors import (
    AudioTooLong,
    BadAudio,
    DecodeFailed,
    FallbackFailed,
    QuotaExceeded,
    RtcSttError,
    TooMany,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from rtc_stt.hypothesis import Tier
from rtc_stt.wav import to_wav
from tests.client.scripted import (
    ScriptedServer,
    Step,
    breaks_off,
    dies,
    hangs,
    refuses,
    says,
    serving,
    slowly,
    transcript,
    without_reading,
)

SAMPLES = np.zeros(1_600, np.float32)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as such are tested where they are decided."""
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.03)


async def ask(*steps: Step, **how: object) -> tuple[str | RtcSttError, list[Telemetry], ScriptedServer]:
    """One call: what came of it, what was told of it, and the server."""
    server, told = ScriptedServer(*steps), list[Telemetry]()
    came: str | RtcSttError
    async with serving(server), SttClient(server.url, on_request=told.append, **how) as client:  # type: ignore[arg-type]
        try:
            came = (await client.transcribe(SAMPLES)).text
        except RtcSttError as error:
            came = error
    assert len(told) == len(server.asked)
    return came, told, server


# ── What is sent and what comes back ────────────────────────────────────────────────────────────


async def test_a_result_holds_all_that_the_server_said():
    server = ScriptedServer(says("hello there"))
    async with serving(server), SttClient(server.url, key="k1") as client:
        result = await client.transcribe(
            SAMPLES,
            language="en",
            prompt="A café,\r\na table",
            hotwords="naïve",
            word_timestamps=True,
            cut=False,
            on_fallback_failure="degrade",
        )
    [asked] = server.asked
    assert asked.headers["Authorization"] == "Bearer k1"
    assert asked.fields == {
        "response_format": "verbose_json",
        "language": "en",
        "prompt": "A café,\r\na table",
        "hotwords": "naïve",
        "word_timestamps": "true",
        "cut": "false",
        "on_fallback_failure": "degrade",
    }
    assert asked.audio == to_wav(SAMPLES)
    assert result.transcript == transcript("hello there")
    assert (result.text, result.language, result.final_model) == ("hello there", "en", "medium")
    assert result.transcript.segments[0].tier is Tier.ACCURATE
    assert (result.request_id, result.degraded, result.fallback_used) == ("r1", False, True)
    assert (result.queue_wait_ms, result.primary_infer_ms) == (3, 40.5)
    assert (result.fallback_infer_ms, result.total_ms) == (120, 170)
    assert result.attempts == 1
    assert 0 < result.round_trip_ms < 10_000


async def test_what_is_not_asked_for_is_not_sent():
    _, _, server = await ask()
    assert server.asked[0].fields == {
        "response_format": "verbose_json",
        "word_timestamps": "false",
        "cut": "true",
        "on_fallback_failure": "error",
    }
    assert "Authorization" not in server.asked[0].headers


async def test_degraded_is_told_and_odd_figures_are_none():
    server = ScriptedServer(says(degraded=True, X_Queue_Wait_ms="nan", X_Total_ms="soon"))
    async with serving(server), SttClient(server.url) as client:
        result = await client.transcribe(SAMPLES)
    assert result.degraded
    assert (result.queue_wait_ms, result.total_ms) == (None, None)


async def test_a_large_file_is_sent_from_the_disk_and_again(tmp_path: Path):
    """Twenty pieces; the connection is cut at the first attempt, and the second begins at the beginning."""
    data = os.urandom(20 * PIECE + 7)
    path = tmp_path / "large"
    path.write_bytes(data)
    server = ScriptedServer(dies, says())
    async with serving(server), SttClient(server.url) as client:
        assert (await client.transcribe(path)).attempts == 2
    for asked in server.asked:
        assert (asked.size, asked.digest) == (len(data), hashlib.sha256(data).hexdigest())
        assert int(asked.headers["Content-Length"]) > len(data), "so that it can be refused before it is read"


async def test_an_open_file_is_rewound_to_where_it_stood(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"headRIFF")
    server = ScriptedServer(refuses(503), says())
    async with serving(server), SttClient(server.url) as client:
        with path.open("rb") as file:
            file.seek(4)
            await client.transcribe(file)
            assert not file.closed
    assert [asked.audio for asked in server.asked] == [b"RIFF", b"RIFF"]


async def test_a_file_that_cannot_be_read_any_more_is_no_failure_of_the_server(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * (30 * PIECE))
    told = list[Telemetry]()
    server = ScriptedServer()
    async with serving(server), SttClient(server.url, on_request=told.append) as client:
        with path.open("rb") as file:
            call = asyncio.create_task(client.transcribe(file))
            while not server.under_way:
                await asyncio.sleep(0)
            os.truncate(path, 0)
            with pytest.raises(BadAudio, match="shorter"):
                await call
    assert told == [], "nothing can be learnt from it of the server"


# ── Tried again ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_pass_is_tried_again(status):
    came, told, _ = await ask(refuses(status), says())
    assert came == "hello there"
    assert [(t.attempt, t.status, t.retry_in_s is None) for t in told] == [(1, status, False), (2, 200, True)]
    assert [t.request_id for t in told] == ["r0", "r1"]
    assert [t.error is None for t in told] == [False, True]


@pytest.mark.slow
async def test_a_server_that_says_when_is_asked_then():
    begun = time.monotonic()
    came, told, _ = await ask(refuses(429, "too_many", "slowly", Retry_After="1"), says())
    assert came == "hello there"
    assert told[0].retry_in_s is not None
    assert told[0].retry_in_s >= 1
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("status", "type_", "error"),
    [
        (400, "bad_audio", BadAudio),
        (401, "unauthorized", Unauthorized),
        (413, "audio_too_long", AudioTooLong),
        (500, "decode_failed", DecodeFailed),
    ],
)
async def test_what_will_not_pass_is_not(status, type_, error):
    came, told, _ = await ask(refuses(status, type_, "so it is"), says())
    assert type(came) is error
    assert str(came) == "so it is"
    assert came.request_id == "r0"
    assert [(t.error, t.retry_in_s) for t in told] == [(error.__name__, None)]


async def test_a_quota_that_is_over_until_midnight_is_told_at_once():
    came, told, _ = await ask(refuses(429, "quota_exceeded", "enough for today", Retry_After="40000"), says())
    assert isinstance(came, QuotaExceeded)
    assert came.retry_after_s == 40_000
    assert len(told) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (refuses(502, "fallback_failed"), FallbackFailed),
        (refuses(503, "unavailable"), Unavailable),
        (refuses(429), TooMany),
        (dies, Unreachable),
    ],
)
async def test_there_are_so_many_attempts_and_the_last_error_is_told(step, error):
    came, told, server = await ask(step, step, step, says(), attempts=3)
    assert type(came) is error
    assert len(told) == len(server.asked) == 3
    assert [t.retry_in_s is None for t in told] == [False, False, True]


async def test_a_server_that_dies_in_the_midst_of_an_answer_is_asked_again():
    came, told, _ = await ask(breaks_off, dies, says())
    assert came == "hello there"
    assert [t.status for t in told] == [None, None, 200]


async def test_a_server_that_dies_while_the_recording_is_sent_is_asked_again(tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * (100 * PIECE))
    server = ScriptedServer(without_reading(dies), says())
    async with serving(server), SttClient(server.url) as client:
        assert (await client.transcribe(path)).attempts == 2
    assert server.asked[1].size == 100 * PIECE


async def test_a_server_that_starts_late_is_found():
    server, told = ScriptedServer(), list[Telemetry]()
    async with SttClient(server.url, on_request=told.append, attempts=20) as client:
        call = asyncio.create_task(client.transcribe(SAMPLES))
        while not told:
            await asyncio.sleep(0.01)
        async with serving(server):
            result = await call
    assert result.attempts == len(told) > 1
    assert told[0].status is None
    assert told[0].error == "Unreachable"


async def test_a_server_that_is_not_there_is_told_of():
    server = ScriptedServer()
    async with SttClient(server.url, attempts=2) as client:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await client.transcribe(SAMPLES)
        assert not await client.ready()
        with pytest.raises(Unreachable, match="cannot be reached"):
            await client.metrics()


async def test_a_server_that_hangs_is_asked_again():
    came, told, _ = await ask(hangs, says(), timeout_s=0.2)
    assert came == "hello there"
    assert 0.15 < told[0].seconds < 20
    assert told[0].error == "Unreachable"


async def test_patience_is_for_all_attempts_together():
    begun = time.monotonic()
    came, told, _ = await ask(*[hangs] * 9, timeout_s=0.3, patience_s=1.0, attempts=9)
    assert isinstance(came, Unreachable)
    assert "in time" in str(came)
    assert 0.9 < time.monotonic() - begun < 20
    assert 1 < len(told) < 9


# ── Odd answers ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [502, 503])
async def test_a_page_of_a_proxy_with_an_error_is_one(status):
    came, _, server = await ask(refuses(status, body="<html>Bad Gateway</html>"), says())
    assert came == "hello there"
    assert len(server.asked) == 2


@pytest.mark.parametrize("body", ["<html>hello</html>", "[]", "{}", '{"text": 7}', "null", "", "[" * 9_999])
async def test_an_answer_that_cannot_be_read_is_no_rtc_stt(body):
    came, told, _ = await ask(refuses(200, body=body), says())
    assert isinstance(came, Unreachable)
    assert "not that of an rtc-stt" in str(came)
    assert "hello" not in str(came)
    assert len(told) == 1
    assert told[0].status is None


async def test_a_redirect_is_told_and_not_followed():
    came, _, server = await ask(refuses(307, Location="/v1/transcribe"), says())
    assert isinstance(came, Unreachable)
    assert "status 307" in str(came)
    assert len(server.asked) == 1


async def test_an_endless_answer_is_not_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "MAX_ANSWER", 1_000)
    came, _, _ = await ask(refuses(200, body="x" * 100_000), says())
    assert isinstance(came, Unreachable)


async def test_a_long_answer_is_read_in_a_thread():
    text = "word " * 20_000
    came, _, _ = await ask(says(text.strip()))
    assert came == text.strip()


async def test_a_refusal_before_the_body_is_read_is_heard(tmp_path: Path):
    """A key that is wrong, or a file that is too big: the answer comes while it is still sent."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * (100 * PIECE))
    server = ScriptedServer(without_reading(refuses(413, "audio_too_long", "too much")), says())
    async with serving(server), SttClient(server.url) as client:
        with pytest.raises(AudioTooLong, match="too much"):
            await client.transcribe(path)
        assert (await client.transcribe(SAMPLES)).text == "hello there", "the connections are in order"


# ── All around ────────────────────────────────────────────────────────────


async def test_latency_is_of_whole_calls_that_went_well():
    server = ScriptedServer(refuses(503), slowly(0.05, says()), refuses(400), says())
    async with serving(server), SttClient(server.url) as client:
        assert client.latency.count == 0
        await client.transcribe(SAMPLES)
        with pytest.raises(RtcSttError):
            await client.transcribe(SAMPLES)
        await client.transcribe(SAMPLES)
        latency = client.latency
    assert latency.count == 2
    assert latency.p50 is not None
    assert latency.p99 is not None
    assert 0 < latency.p50 <= latency.p99
    assert latency.p99 >= 50


async def test_a_hook_that_fails_breaks_nothing_and_says_so(caplog):
    def hook(_told: Telemetry) -> None:
        raise LookupError("a secret of the user")

    server = ScriptedServer()
    async with serving(server), SttClient(server.url, on_request=hook) as client:
        assert (await client.transcribe(SAMPLES)).text == "hello there"
    assert "on_request failed: LookupError" in caplog.text
    assert "a secret" not in caplog.text.replace('raise LookupError("a secret of the user")', "")


async def test_health_readiness_metrics_and_usage():
    server = ScriptedServer()
    async with serving(server), SttClient(server.url + "/", key="k1") as client:
        assert await client.health()
        assert await client.ready()
        server.is_ready = False
        assert not await client.ready()
        assert await client.metrics() == {"path": "/v1/metrics"}
        assert await client.usage() == {"path": "/v1/usage"}
        assert server.asked[-1].headers["Authorization"] == "Bearer k1"
        server.steps.extend([refuses(401, "unauthorized", "no such key"), refuses(200, body="[]")])
        with pytest.raises(Unauthorized, match="no such key"):
            await client.usage()
        with pytest.raises(Unreachable, match="not that of an rtc-stt"):
            await client.usage()


async def test_another_server_that_answers_is_not_ready():
    """A web server that has a page for every path."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as server, SttClient(str(server.make_url("/"))) as client:
        assert not await client.ready()
        assert not await client.health()


async def test_a_session_that_is_given_is_used_and_stays_open():
    server = ScriptedServer()
    async with serving(server), aiohttp.ClientSession(headers={"X-From": "me"}) as session:
        async with SttClient(server.url, session=session) as client:
            await client.transcribe(SAMPLES)
        assert not session.closed
    assert server.asked[0].headers["X-From"] == "me"


async def test_a_call_that_is_cancelled_ends_at_the_server_too():
    server = ScriptedServer(hangs)
    async with serving(server), SttClient(server.url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.transcribe(SAMPLES)
        assert (await client.transcribe(SAMPLES)).text == "hello there"


async def test_many_calls_at_a_time_leave_nothing_behind():
    server = ScriptedServer(then=slowly(0.02, says()))
    async with serving(server), SttClient(server.url) as client:
        results = await asyncio.gather(*(client.transcribe(SAMPLES) for _ in range(50)))
        assert client.latency.count == 50
    assert {result.text for result in results} == {"hello there"}
    assert server.most_under_way > 1
    gc.collect()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in others if "rtc_stt" in repr(task)]


async def test_it_is_used_in_async_with():
    with pytest.raises(RuntimeError, match="async with"):
        await SttClient("http://127.0.0.1:9").transcribe(SAMPLES)


@pytest.mark.parametrize(
    "url", ["", "gpu-1:8081", "ftp://gpu-1", "http://", "http://gpu-1/?key=1", "http://gpu-1/#a"]
)
def test_what_is_no_url_is_an_error(url):
    with pytest.raises(ValueError, match="is no URL like"):
        SttClient(url)


def test_a_secret_in_a_url_is_an_error_that_does_not_tell_it():
    with pytest.raises(ValueError, match="key=") as error:
        SttClient("http://user:secret@gpu-1")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("how", [{"attempts": 0}, {"timeout_s": 0.0}, {"patience_s": -1.0}])
def test_numbers_are_positive(how):
    with pytest.raises(ValueError, match="positive"):
        SttClient("http://gpu-1", **how)
