"""The routing of ``rtc-stt primary``, row by row: what its model says, what the fallback does, what is told.

::

    the primary …         language   then
    ────────────────────  ─────────  ─────────────────────────────────────────────
    is sure               either     its text
    is unsure             either     the fallback is asked, ``low_logprob``
    doubts the language   detected   the fallback is asked, ``low_language_probability``
                          forced     its text: there was nothing to detect
    hears two words       either     the fallback is asked, ``few_words``
    loops, or is broken   either     the fallback is asked, ``decode_error``

    the fallback …        then
    ────────────────────  ──────────────────────────────────────────────────────────────
    answers               its text
    is busy, slow, down   502; or with ``degrade`` the primary's text, where it has one
    is not there          the primary's text, where it has one; else 500, or no text if it loops

The primary decodes one thing at a time here. While the fallback is asked it answers somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from rtc_stt.config import Fallback, Recordings, Routing
from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import DecodeError
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad, hypothesis, render
from rtc_stt.vad import VadBatcher
from signaling.metrics import Metrics
from tests import fallback_service
from tests.fallback_service import Service as FallbackService
from tests.harness import said
from tests.service.sound import wav
from tests.signaling.service import Service, error_of, serving

SCRIPT = said("please turn on the lights")
AUDIO = wav(render(SCRIPT, 3_000))
BETTER = "please turn off the lights"
TIMEOUT_MS = 100

PRIMARIES = ("sure", "unsure", "foreign", "short", "loop", "broken")
FALLBACKS = ("answers", "busy", "slow", "down", "none")
REASONS = {
    "unsure": "low_logprob",
    "foreign": "low_language_probability",
    "short": "few_words",
    "loop": "decode_error",
    "broken": "decode_error",
}
TOLD = {"busy": "429", "slow": "does not answer", "down": "cannot be reached"}
"""What ``X-Fallback-Error`` says."""


def small(request: DecodeRequest, text: str) -> Hypothesis:
    """The primary's model: the prompt says how it fares."""
    match request.prompt:
        case "unsure":
            return hypothesis(request, text, avg_logprob=-1.5)
        case "foreign":
            return hypothesis(request, text, language_probability=1.0 if request.language else 0.4)
        case "short":
            return hypothesis(request, "lights please")
        case "loop":
            return hypothesis(request, "lights " * 20, compression_ratio=9.0)
        case "broken":
            raise DecodeError("it is broken")
    return hypothesis(request, text)


@dataclass
class Rig:
    """A primary whose model does as the prompt says, and its fallback."""

    primary: Service
    fallback: FallbackService

    def behave(self, how: str) -> None:
        match how:
            case "answers" | "slow":
                self.fallback.otherwise = fallback_service.hang
            case "busy":
                self.fallback.otherwise = fallback_service.status(429, Retry_After="1")

    async def ask(self, primary: str, language: str | None, **fields: str) -> Any:
        told = {"prompt": primary, "response_format": "verbose_json"} | (
            {"language": language} if language else {}
        )
        return await self.primary.post(AUDIO, **told, **fields)

    async def ask_somebody_else(self) -> None:
        """Whose text nobody doubts. The primary has one place, and it has to be free."""
        answer = await asyncio.wait_for(self.ask("sure", "en"), 2)
        assert (answer.status, answer.headers["X-Fallback-Used"]) == (200, "false")


@pytest.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """With a fallback as the test has it; its circuit is new, since the rig is."""
    how: str = request.param
    fallback = FallbackService()
    fallback.text, fallback.figures = BETTER, {"model": "medium"}
    if how != "down":
        await fallback.start()
    metrics = Metrics()
    pool = DecodePool(
        {Tier.FAST: ScriptedEngine(SCRIPT, answer=small, name="small")},
        concurrency=1,
        adaptive=False,
        fallback=Fallback(
            urls=() if how == "none" else (fallback.url,),
            timeout_ms=TIMEOUT_MS if how == "slow" else 5_000,
        ),
        instrument=metrics,
    )
    speech = Speech(VadBatcher(ScriptedVad(SCRIPT)), pool, routing=Routing(), instrument=metrics)
    try:
        async with serving(
            Transcriber(speech, Recordings()), metrics=metrics, queue=pool.snapshot
        ) as primary:
            made = Rig(primary, fallback)
            made.behave(how)
            yield made
    finally:
        await fallback.stop()
        await speech.aclose()


def asks_fallback(primary: str, language: str | None) -> bool:
    return primary != "sure" and not (primary == "foreign" and language)


def has_text(primary: str) -> bool:
    return primary not in ("loop", "broken")


def assert_counted(rig: Rig, result: str, kind: str | None = None) -> None:
    """One recording, besides those of somebody else."""
    metrics = rig.primary
    assert metrics.count("stt_fallback_total", result=result) >= 1
    others = {"used", "failed"} - {result}
    assert [metrics.count("stt_fallback_total", result=other) for other in others] == [0] * len(others)
    if kind:
        endpoint = {"endpoint": "/v1/transcribe", "type": kind}
        assert metrics.count("stt_requests_exceptions_total", **endpoint) == 1


LANGUAGES = pytest.mark.parametrize("language", ["en", None], ids=["forced", "detected"])
PRIMARY = pytest.mark.parametrize("primary", PRIMARIES)


def with_fallback(*how: str) -> Any:
    return pytest.mark.parametrize("rig", how, indirect=True)


@with_fallback("answers")
@LANGUAGES
@PRIMARY
async def test_the_fallback_answers(rig: Rig, primary: str, language: str | None) -> None:
    asking = asyncio.create_task(rig.ask(primary, language))
    if asks_fallback(primary, language):
        async with asyncio.timeout(5):
            while not rig.fallback.running:
                await asyncio.sleep(0.002)
        await rig.ask_somebody_else()
        assert not asking.done()
    rig.fallback.gate.set()
    answer = await asking
    assert answer.status == 200
    (segment,) = (await answer.json())["segments"]
    headers = answer.headers
    assert headers["X-Lang-Check-Applicable"] == ("false" if language else "true")
    assert headers["X-Conf-Below"] == ("true" if primary in ("unsure", "short") else "false")
    if asks_fallback(primary, language):
        assert (segment["text"], segment["model"], segment["tier"]) == (BETTER, "medium", "accurate")
        assert (segment["route"]["decision"], segment["route"]["reasons"]) == (
            "redecoded",
            [REASONS[primary]],
        )
        assert (headers["X-Fallback-Used"], headers["X-Final-Model"]) == ("true", "medium")
        assert int(headers["X-Fallback-Infer-ms"]) > 0
        assert_counted(rig, "used")
        (asked,) = rig.fallback.asked
        assert asked.get("language") == language
        assert asked["cut"] == "false"
    else:
        assert (segment["model"], segment["route"]["decision"]) == ("small", "accepted")
        assert (headers["X-Fallback-Used"], headers["X-Final-Model"]) == ("false", "small")
        assert headers["X-Fallback-Infer-ms"] == "0"
        assert_counted(rig, "skipped")
        assert rig.fallback.asked == []


@pytest.mark.alone
@with_fallback("busy", "slow", "down")
@LANGUAGES
@PRIMARY
async def test_the_fallback_fails(
    rig: Rig, primary: str, language: str | None, request: pytest.FixtureRequest
) -> None:
    how = request.node.callspec.params["rig"]
    asking = asyncio.create_task(rig.ask(primary, language))
    if how == "slow" and asks_fallback(primary, language):
        while not rig.fallback.running:
            await asyncio.sleep(0.002)
        await rig.ask_somebody_else()
        assert not asking.done()
    answer = await asking
    headers = answer.headers
    assert headers["X-Fallback-Used"] == "false"
    assert headers["X-Lang-Check-Applicable"] == ("false" if language else "true")
    if not asks_fallback(primary, language):
        assert answer.status == 200
        assert_counted(rig, "skipped")
        return
    assert answer.status == 502
    error = await error_of(answer)
    assert error["type"] == "fallback_failed"
    assert TOLD[how] in headers["X-Fallback-Error"]
    assert headers["X-Final-Model"] == "small"
    assert headers["X-Conf-Below"] == ("true" if primary in ("unsure", "short") else "false")
    assert str(rig.fallback.port) not in headers["X-Fallback-Error"] + error["message"]
    assert "secret" not in headers["X-Fallback-Error"]
    assert_counted(rig, "failed", "fallback_failed")


@with_fallback("busy", "slow", "down")
@PRIMARY
async def test_the_fallback_fails_and_the_primarys_text_will_do(
    rig: Rig, primary: str, request: pytest.FixtureRequest
) -> None:
    how = request.node.callspec.params["rig"]
    answer = await rig.ask(primary, None, on_fallback_failure="degrade")
    assert answer.headers["X-Fallback-Used"] == "false"
    if not asks_fallback(primary, None):
        assert (await answer.json())["degraded"] is False
        assert "X-Fallback-Error" not in answer.headers
        return
    assert TOLD[how] in answer.headers["X-Fallback-Error"]
    if not has_text(primary):
        assert answer.status == 502
        assert "could not decode" in (await error_of(answer))["message"]
        return
    assert answer.status == 200
    body = await answer.json()
    assert body["degraded"] is True
    assert body["text"] == ("lights please" if primary == "short" else "please turn on the lights")
    assert body["segments"][0]["route"]["decision"] in (
        "redecode_failed",
        "redecode_timeout",
        "redecode_shed",
    )
    assert body["segments"][0]["route"]["reasons"] == [REASONS[primary]]
    assert_counted(rig, "failed")


@with_fallback("none")
@LANGUAGES
@PRIMARY
async def test_there_is_no_fallback(rig: Rig, primary: str, language: str | None) -> None:
    answer = await rig.ask(primary, language)
    assert answer.headers["X-Fallback-Used"] == "false"
    assert "X-Fallback-Error" not in answer.headers
    if primary == "broken":
        assert answer.status == 500
        assert (await error_of(answer))["type"] == "decode_failed"
        return
    assert answer.status == 200
    body = await answer.json()
    assert body["degraded"] is False
    if primary == "loop":
        assert body["segments"] == []
        assert body["dropped"][0]["reason"] == "repetition"
    else:
        expected = "no_accurate_tier" if asks_fallback(primary, language) else "accepted"
        assert body["segments"][0]["route"]["decision"] == expected
    assert_counted(rig, "skipped")


@with_fallback("answers", "busy")
async def test_one_retry_and_no_more(rig: Rig, request: pytest.FixtureRequest) -> None:
    """But none of a fallback that says when to come again."""
    is_busy = request.node.callspec.params["rig"] == "busy"
    if not is_busy:
        rig.fallback.otherwise = fallback_service.status(500)
    assert (await rig.ask("unsure", "en")).status == 502
    assert len(rig.fallback.asked) == (1 if is_busy else 2)


@with_fallback("answers")
async def test_a_fallback_that_comes_back_is_asked_again(rig: Rig) -> None:
    rig.fallback.otherwise = fallback_service.status(500)
    assert (await rig.ask("unsure", "en")).status == 502
    rig.fallback.otherwise = fallback_service.answer
    async with asyncio.timeout(10):
        while (answer := await rig.ask("unsure", "en")).status != 200:
            await asyncio.sleep(0.1)
    assert answer.headers["X-Final-Model"] == "medium"
