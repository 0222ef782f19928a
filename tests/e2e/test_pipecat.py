"""Pipecat itself runs our service: real pipelines, its own voice detector and turn strategies, real audio."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    InterimTranscriptionFrame,
    MetricsFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
)
from pipecat.metrics.metrics import STTUsageMetricsData, TTFBMetricsData
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.errors import ErrorCategory

from rtc_stt.bench import clips as recordings
from rtc_stt.bench.plugins.ears import Ears
from rtc_stt.bench.plugins.ttfs import OURS, waits_ms
from rtc_stt.bench.words import normalise, word_errors
from rtc_stt.client import session_pump
from rtc_stt.client.pulse import Heartbeat
from rtc_stt.events import TranscriptFinal
from rtc_stt.plugins.pipecat import RtcSTTService, RtcSTTSettings, line
from rtc_stt.testing.tcp_proxy import Direction, TcpProxy
from tests.e2e import support
from tests.e2e.pipecat_bot import Bot
from tests.e2e.support import Clip, silence, until

pytestmark = pytest.mark.e2e

PACE = 3.0
"""Times real time, where nothing is measured: every clock that matters counts samples."""


def patient() -> UserTurnStrategies:
    """Turns end some time after Silero says so. (Smart Turn does not find synthetic voices convincing.)"""
    return UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.2)])


async def test_pipecat_decides_when_a_turn_ends(demo: str, sentences: list[Clip]) -> None:
    one, two = sentences[:2]
    async with Bot(RtcSTTService(demo), strategies=patient(), metrics=True) as bot:
        for number, clip in enumerate((one, two), 1):
            for audio in (silence(0.5), clip.audio, silence(0.6)):
                await bot.hear(audio, pace=2)
            await until(lambda: len(bot.turns) == number, 3)  # noqa: B023
        assert bot.turns == [one.text, two.text]
        assert bot.llm.asked == [(one.text, False), (two.text, False)]
        assert not bot.errors
    committed = bot.of(TranscriptionFrame)
    assert [(frame.text, frame.finalized) for frame in committed] == [(one.text, True), (two.text, True)]
    assert [frame.language for frame in committed] == ["en", "en"]
    assert all(isinstance(frame.result, TranscriptFinal) for frame in committed)
    interims = bot.of(InterimTranscriptionFrame)
    assert len({frame.text for frame in interims}) > 4
    data = [figure for frame in bot.of(MetricsFrame) for figure in frame.data]
    waited = [figure.value for figure in data if isinstance(figure, TTFBMetricsData) and figure.value]
    assert len(waited) == 2
    assert max(waited) < 1.0, "Silero's 0.2 s and the answer, not the 2 s without one"
    heard = sum(figure.value.audio_seconds for figure in data if isinstance(figure, STTUsageMetricsData))
    assert heard == pytest.approx(one.seconds + two.seconds + 2.2, abs=0.1)
    (told,) = bot.of(STTMetadataFrame)
    assert 0.2 < told.ttfs_p99_latency < 1
    assert told.user_turn_strategies is None


async def test_the_server_decides_when_a_turn_ends(demo: str, sentences: list[Clip]) -> None:
    one, two = sentences[:2]
    async with Bot(RtcSTTService(demo, server_turns=True), vad=False) as bot:
        for clip in (one, two):
            await bot.hear(silence(0.5), pace=PACE)
            await bot.hear(clip.audio, pace=PACE)
            await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: len(bot.turns) == 2)
        assert bot.turns == [one.text, two.text]
        assert bot.llm.asked == [(one.text, False), (two.text, False)]
    turns = [
        type(frame)
        for _, frame in bot.after.passed
        if isinstance(frame, ProposedUserStartedSpeakingFrame | ProposedUserStoppedSpeakingFrame)
    ]
    assert turns == [ProposedUserStartedSpeakingFrame, ProposedUserStoppedSpeakingFrame] * 2
    (told,) = bot.of(STTMetadataFrame)
    assert told.ttfs_p99_latency == 0


@pytest.mark.alone  # an overloaded machine makes no eager decodes
async def test_an_eager_answer_stands_where_the_words_do(demo: str, sentences: list[Clip]) -> None:
    clip = sentences[0]
    stt = RtcSTTService(demo, server_turns=True, enable_eager_end_of_turn=True)
    async with Bot(stt, vad=False) as bot:
        for audio in (silence(0.5), clip.audio, silence(1.0)):
            await bot.hear(audio, pace=PACE)
        await until(lambda: bot.turns)
        assert bot.turns == [clip.text]
        (eager,) = bot.of(EagerTranscriptionFrame)
        (committed,) = bot.of(TranscriptionFrame)
        assert eager.text == committed.text, "to the letter"
        assert bot.llm.asked == [(clip.text, True)], "once, and before the turn was over"
        await until(lambda: bot.answers)
        assert bot.answers == [f"You said: {clip.text}"]
        assert not bot.of(EagerEndOfTurnCancelFrame)


@pytest.mark.alone
async def test_an_eager_answer_is_withdrawn_where_the_speaker_goes_on(
    demo: str, sentences: list[Clip]
) -> None:
    one, two = sentences[:2]
    settings = RtcSTTSettings(endpointing={"min_silence_ms": 1200, "speculate_after_ms": 150})
    stt = RtcSTTService(demo, server_turns=True, enable_eager_end_of_turn=True, settings=settings)
    async with Bot(stt, vad=False) as bot:
        for audio in (silence(0.5), one.audio, silence(0.5), two.audio, silence(1.6)):
            await bot.hear(audio, pace=PACE)
        await until(lambda: bot.turns)
        assert len(bot.turns) == 1
        assert word_errors(f"{one.text} {two.text}", bot.turns[0])[0] <= 1, "other context, other text"
        assert bot.of(EagerEndOfTurnCancelFrame)
        await until(lambda: bot.answers)
        assert bot.answers == [f"You said: {bot.turns[0]}"], "what was begun before reaches nobody"


async def test_nothing_is_heard_while_muted(demo: str, sentences: list[Clip]) -> None:
    one, two = sentences[:2]
    async with Bot(RtcSTTService(demo, server_turns=True), vad=False) as bot:
        await bot.push(STTMuteFrame(mute=True))
        await bot.hear(one.audio, pace=PACE)
        await bot.push(STTMuteFrame(mute=False))
        await bot.hear(two.audio, pace=PACE)
        await bot.end()
    assert bot.text == two.text


async def test_mute_in_mid_speech_commits_what_was_said_before(demo: str, sentences: list[Clip]) -> None:
    clip = sentences[0]
    async with Bot(RtcSTTService(demo, server_turns=True), vad=False) as bot:
        await bot.hear(clip.audio, pace=PACE)
        await bot.push(STTMuteFrame(mute=True))
        await until(lambda: bot.turns)
        assert bot.turns == [clip.text]


async def test_a_transport_that_falls_silent_ends_the_turn(demo: str, sentences: list[Clip]) -> None:
    clip = sentences[0]
    async with Bot(RtcSTTService(demo, server_turns=True), vad=False) as bot:
        await bot.hear(clip.audio, pace=PACE)  # and not one sample of silence after it
        await until(lambda: bot.turns, 5)
        assert bot.turns == [clip.text]


async def test_settings_change_in_place(demo: str, sentences: list[Clip]) -> None:
    one, two = sentences[:2]
    async with TcpProxy(demo) as proxy, Bot(RtcSTTService(proxy.url, server_turns=True), vad=False) as bot:
        await bot.hear(one.audio, pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: bot.turns)
        changes = RtcSTTSettings(word_timestamps=True, partials=False, endpointing={"min_silence_ms": 300})
        await bot.push(STTUpdateSettingsFrame(delta=changes))
        interims = len(bot.of(InterimTranscriptionFrame))
        await bot.hear(two.audio, pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: len(bot.turns) == 2)
        assert bot.turns == [one.text, two.text]
        assert proxy.connections == 1
    first, second = (frame.result for frame in bot.of(TranscriptionFrame))
    assert not first.words
    assert len(second.words) == len(two.text.split())
    assert second.timing.hangover_ms < 400 < first.timing.hangover_ms
    assert len(bot.of(InterimTranscriptionFrame)) == interims


async def test_an_option_that_the_server_does_not_take_is_told(demo: str) -> None:
    async with Bot(RtcSTTService(demo), strategies=patient()) as bot:
        await bot.push(STTUpdateSettingsFrame(delta=RtcSTTSettings(language="tlh")))
        await until(lambda: bot.errors)
        (error,) = bot.errors
        assert "language" in error.error
        assert bot.stt.is_usable


async def test_a_pipeline_that_ends_gets_its_last_words(demo: str, sentences: list[Clip]) -> None:
    async with Bot(RtcSTTService(demo), strategies=patient()) as bot:
        await bot.hear(silence(0.3), pace=8)
        await bot.hear(sentences[0].audio, pace=8)
        await bot.end()
    assert bot.text == sentences[0].text


async def test_a_broken_connection_loses_no_word(demo: str, sentences: list[Clip]) -> None:
    one, two = sentences[:2]
    half = len(one.audio) // 2
    async with TcpProxy(demo) as proxy, Bot(RtcSTTService(proxy.url, server_turns=True), vad=False) as bot:
        await bot.hear(silence(0.3), pace=PACE)
        await bot.hear(one.audio[:half], pace=PACE)
        proxy.reset()
        await bot.hear(one.audio[half:], pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        proxy.stall()
        await bot.hear(two.audio[:half], pace=PACE)
        proxy.drop()
        proxy.resume()
        await bot.hear(two.audio[half:], pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: len(bot.turns) == 2)
        assert bot.turns == [one.text, two.text]
        assert proxy.connections >= 3
        assert not bot.errors
        assert bot.stt.is_usable


@pytest.mark.parametrize("direction", Direction)
async def test_a_line_that_dies_silently_is_noticed_and_loses_no_word(
    demo: str, sentences: list[Clip], direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_pump, "Heartbeat", partial(Heartbeat, ping_s=0.1, lost_s=0.5))
    audio = sentences[0].audio
    async with TcpProxy(demo) as proxy, Bot(RtcSTTService(proxy.url, server_turns=True), vad=False) as bot:
        await bot.hear(audio[: len(audio) // 2], pace=PACE)
        proxy.half_open(direction)
        await bot.hear(audio[len(audio) // 2 :], pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: bot.turns)
        assert bot.turns == [sentences[0].text]
        assert proxy.connections == 2
        assert not bot.errors


async def test_a_server_that_was_killed_loses_no_word(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    one, two = sentences[:2]
    first = start_server("demo", "--port", "0")
    stt = RtcSTTService(first.url(), server_turns=True)
    async with Bot(stt, vad=False) as bot:
        await bot.hear(one.audio, pace=PACE)
        await bot.hear(silence(0.8), pace=PACE)
        await until(lambda: bot.turns)
        half = len(two.audio) // 2
        await bot.hear(two.audio[:half], pace=PACE)
        await until(lambda: len(bot.of(ProposedUserStartedSpeakingFrame)) == 2)
        first.kill()
        await bot.hear(two.audio[half:], pace=PACE)  # while there is none: it is kept
        await bot.hear(silence(0.8), pace=PACE)
        start_server("demo", "--port", first.url().rsplit(":", 1)[1]).url()
        await until(lambda: len(bot.turns) == 2, 15)
        assert bot.turns == [one.text, two.text]
        assert not bot.errors


async def test_the_doors_of_a_real_server(sentences: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "LONGEST_TOLD_S", 0.2)  # and not the five seconds that are told
    key, clip = "k" * 32, sentences[0]
    access = replace(support.ROOMY, max_sessions_per_key=1)
    speech = support.demo_speech()
    try:
        async with support.run_gateway(speech, api_keys=(key, "another" * 5), access=access) as server:
            wrong = RtcSTTService(server.url, key="wrong" * 8)
            first = RtcSTTService(server.url, key=key, server_turns=True)
            second = RtcSTTService(server.url, key=key, server_turns=True, patience_s=0.5)
            async with Bot(wrong) as bot:
                await until(lambda: bot.errors)
                assert bot.errors[0].category is ErrorCategory.AUTHENTICATION
                assert "wrong" * 8 not in bot.errors[0].error
            async with Bot(first, vad=False) as bot:
                await bot.hear(clip.audio, pace=PACE)
                async with Bot(second, vad=False) as other:
                    await until(lambda: not second.is_usable)
                    assert {error.category for error in other.errors} == {ErrorCategory.RATE_LIMIT}
                    await bot.end()
                    assert bot.text == clip.text
                    await until(lambda: second.is_usable)
                    await other.hear(clip.audio, pace=PACE)
                    await other.end()
                    assert other.text == clip.text
    finally:
        await speech.aclose()


@pytest.mark.parametrize("rate", [8_000, 24_000])
async def test_the_pipelines_rate_is_the_services(demo: str, sentences: list[Clip], rate: int) -> None:
    async with Bot(RtcSTTService(demo, server_turns=True), vad=False, rate=rate) as bot:
        await bot.hear(sentences[0].audio, pace=PACE)
        await bot.end()
    assert bot.text == sentences[0].text


async def test_a_finalize_is_answered_at_once(demo: str) -> None:
    clip = recordings.load("clean", limit=1)[0]
    async with Ears(OURS, RtcSTTService(demo, settings=RtcSTTSettings(language="en"))) as ears:
        played = await ears.hear(clip)
    assert normalise(played.heard) == normalise(clip.text)
    (wait,) = waits_ms(played)
    assert wait < 500, "ten times what python -m rtc_stt.bench.plugins wants: a busy machine measures nothing"


def test_the_example_runs_as_its_docstring_says(demo: str) -> None:
    done = subprocess.run(
        [sys.executable, "examples/pipecat_bot.py", demo, "web_demo/samples/booking.wav"],
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *interims, asked, answered = done.stdout.splitlines()
    assert asked.startswith("you: Can I book a table for eight people")
    assert answered == "bot: I will see to it."
    assert len(interims) > 2
