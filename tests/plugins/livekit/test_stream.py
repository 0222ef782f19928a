"""Streams of the real framework on an engine in this process that does as it is told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError
from livekit.agents.metrics import STTMetrics
from livekit.agents.stt import RecognizeStream, SpeechEvent, SpeechEventType, STTError

from rtc_stt.bench.words import normalise
from rtc_stt.plugins.livekit import STT
from rtc_stt.plugins.livekit import stream as stream_module
from tests.calls import WORDS, Call

TIMEOUT_S = 20.0
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
MARKS = {
    SpeechEventType.START_OF_SPEECH: "start",
    SpeechEventType.FINAL_TRANSCRIPT: "final",
    SpeechEventType.END_OF_SPEECH: "end",
}


def frames(audio: np.ndarray, channels: int = 1, ms: int = 10) -> list[rtc.AudioFrame]:
    """16 kHz."""
    pcm = np.repeat((audio * 32767).astype(np.int16)[:, None], channels, axis=1)
    size = ms * 16
    pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
    return [rtc.AudioFrame(piece.tobytes(), 16_000, channels, len(piece)) for piece in pieces]


def push(stream: RecognizeStream, audio: np.ndarray, **how: Any) -> None:
    for frame in frames(audio, **how):
        stream.push_frame(frame)


async def take(stream: RecognizeStream, until: SpeechEventType | None = None) -> list[SpeechEvent]:
    told = []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in stream:
            told.append(event)
            if event.type is until:
                break
    return told


def marks(told: list[SpeechEvent]) -> list[str]:
    return [
        f"{MARKS[e.type]} {e.alternatives[0].text if e.alternatives else ''}".strip()
        for e in told
        if e.type in MARKS
    ]


def spoken(told: list[SpeechEvent]) -> list[str]:
    """Without the answer to the flush of the end, where the last final has come before it."""
    found = marks(told)
    return found[:-1] if found[-1] == "final" else found


@pytest.fixture
async def engine(call: Call) -> AsyncIterator[STT]:
    async with STT(engine=call.speech) as made:
        yield made


async def test_a_stream_from_its_beginning_to_its_end(engine, call):
    metrics: list[STTMetrics] = []
    engine.on("metrics_collected", metrics.append)
    stream = engine.stream()
    stream.start_time_offset = 20.0
    push(stream, call.audio)
    stream.end_input()
    told = await take(stream)
    assert spoken(told) == ["start", "end", f"final {WORDS}"]
    [final] = [e for e in told if e.alternatives and e.alternatives[0].metadata]
    assert final.alternatives[0].start_time == pytest.approx(20.5, abs=0.1)
    assert final.alternatives[0].words is not None
    assert final.alternatives[0].words[0].start_time == pytest.approx(20.5, abs=0.1)
    seconds = len(call.audio) / 16_000
    assert sum(m.audio_duration for m in metrics) == pytest.approx(seconds)
    assert [m.acquire_time > 0 for m in metrics] == [True] + [False] * (len(metrics) - 1)
    await stream.aclose()


async def test_two_channels_are_one(engine, call):
    stream = engine.stream()
    push(stream, call.audio, channels=2)
    stream.end_input()
    assert f"final {WORDS}" in marks(await take(stream))


async def test_every_flush_is_answered_in_its_place(engine, call):
    stream = engine.stream()
    stream.flush()
    assert marks(await take(stream, SpeechEventType.FINAL_TRANSCRIPT)) == ["final"]
    push(stream, call.audio[: 16 * 1_500])
    stream.flush()
    told = marks(await take(stream, SpeechEventType.FINAL_TRANSCRIPT))
    assert told == ["start", "end", "final please turn on"]
    push(stream, call.audio[16 * 1_500 :])
    stream.end_input()
    assert spoken(await take(stream)) == ["start", "end", "final the lights now"]


async def test_options_change_in_the_same_session(engine, call):
    stream = engine.stream()
    push(stream, call.audio[:16])
    engine.update_options(keyterms=["Anna"], language="de-DE", min_silence_ms=900, prompt="An order.")
    engine._update_session_keyterms(["Bo"])
    push(stream, call.audio[16:])
    stream.end_input()
    told = await take(stream)
    assert len({e.request_id for e in told}) == 1, "one session"
    asked = call.engine.requests[-1]
    assert (asked.hotwords, asked.language, asked.prompt) == ("Anna, Bo", "de", "An order.")


async def test_what_a_stream_was_given_for_itself_stays(engine, call):
    mine = engine.stream(language="fr")
    engine.update_options(prompt="x")
    assert (mine.options.language, mine.options.prompt) == ("fr", "x")
    engine.update_options(language=None)
    assert mine.options.language is None
    await mine.aclose()


class Item:
    def __init__(self, text: object) -> None:
        self.item = type("Message", (), {"text_content": text})()


async def test_what_was_said_comes_before_what_will_be(engine, call):
    engine._push_conversation_item(Item("What may I bring you?"))
    engine._push_conversation_item(Item(None))
    stream = engine.stream()
    push(stream, call.audio)
    stream.end_input()
    await take(stream)
    assert call.engine.requests[-1].prompt == "What may I bring you?"
    deaf = STT(engine=call.speech, chat_context=False)
    deaf._push_conversation_item(Item("What may I bring you?"))
    assert deaf.stream().options.context == ""
    await deaf.aclose()


async def test_who_is_silent_in_mid_speech_is_done(engine, call, monkeypatch):
    monkeypatch.setattr(stream_module, "STALL_S", 0.05)
    monkeypatch.setattr("rtc_stt.recognizer.STALL_S", 60.0)
    stream = engine.stream()
    push(stream, call.audio[: 16 * 1_500])
    told = marks(await take(stream, SpeechEventType.FINAL_TRANSCRIPT))
    assert told == ["start", "end", "final please turn on"]
    await stream.aclose()


async def test_an_engine_that_fails_is_an_error_that_can_be_tried_again(engine, call):
    errors: list[STTError] = []
    engine.on("error", errors.append)
    call.vad.broken = True
    stream = engine.stream(conn_options=ONCE)
    push(stream, call.audio)
    stream.flush()
    with pytest.raises(APIStatusError) as caught:
        await take(stream)
    assert caught.value.status_code == 500
    assert caught.value.retryable
    assert [e.recoverable for e in errors] == [False]


async def test_one_that_fails_once_goes_on(engine, call):
    call.vad.broken = True
    stream = engine.stream()
    push(stream, call.audio[:16_000])
    stream.flush()
    told = await take(stream, SpeechEventType.FINAL_TRANSCRIPT)
    assert marks(told) == ["final"], "who waits for a flush is answered"
    call.vad.broken = False
    stream.end_input()
    assert marks(await take(stream))[-1] == "final"


async def test_one_that_fails_when_all_was_said_goes_on_too(engine, call):
    errors: list[STTError] = []
    engine.on("error", errors.append)
    call.vad.broken = True
    call.vad.gate.clear()
    stream = engine.stream(conn_options=APIConnectOptions(max_retry=2, retry_interval=0.0))
    push(stream, call.audio)
    stream.end_input()
    await asyncio.sleep(0.05)  # stop has been asked for
    call.vad.gate.set()
    async with asyncio.timeout(TIMEOUT_S):
        while not errors:
            await asyncio.sleep(0.001)
    call.vad.broken = False
    assert marks(await take(stream))[-1].startswith("final"), "and ends"
    assert [e.recoverable for e in errors] == [True]


async def test_a_bug_is_an_error_too(engine, call, monkeypatch):
    def broken(self: object, event: object) -> None:
        raise KeyError("what was said")

    monkeypatch.setattr("rtc_stt.plugins.livekit.mapping.Mapping.receive", broken)
    stream = engine.stream(conn_options=ONCE)
    with pytest.raises(Exception, match="the stream failed") as caught:
        await take(stream)
    assert "what was said" not in str(caught.value)


async def test_a_stream_that_is_closed_leaves_nothing(engine, call):
    before = asyncio.all_tasks()
    stream = engine.stream()
    push(stream, call.audio[:32_000])
    await asyncio.sleep(0.05)
    await stream.aclose()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_closing_closes_every_stream(engine, call):
    streams = [engine.stream() for _ in range(3)]
    await asyncio.sleep(0.01)
    await engine.aclose()
    assert all(s._task.done() for s in streams)
    del streams
    gc.collect()
    assert len(engine._streams) == 0


async def test_a_buffer_is_one_final(engine, call):
    metrics: list[STTMetrics] = []
    engine.on("metrics_collected", metrics.append)
    event = await engine.recognize(frames(call.audio), language="en")
    data = event.alternatives[0]
    assert event.type is SpeechEventType.FINAL_TRANSCRIPT
    assert normalise(data.text) == normalise(WORDS)
    assert data.words
    assert 0 < data.confidence <= 1
    assert (data.start_time, data.end_time) == (pytest.approx(0.5, abs=0.1), pytest.approx(2.3, abs=0.1))
    assert len(metrics) == 1


async def test_a_buffer_that_cannot_be_heard_is_an_error(engine, call):
    call.vad.broken = True
    with pytest.raises(APIStatusError) as caught:
        await engine.recognize(frames(call.audio), conn_options=ONCE)
    assert caught.value.status_code == 500


async def test_a_buffer_of_silence_is_an_empty_one(calls):
    engine = STT(engine=calls(by_ear=True).speech)
    event = await engine.recognize(frames(np.zeros(16_000, np.float32)), language="en")
    assert [(d.text, d.language) for d in event.alternatives] == [("", "en")]


def test_what_it_says_of_itself(call, monkeypatch):
    monkeypatch.delenv("RTC_STT_URL", raising=False)
    made = STT("http://127.0.0.1:1", key="k")
    can = made.capabilities
    assert (can.streaming, can.interim_results, can.manual_flush, can.keyterms, can.chat_context) == (
        True,
    ) * 5
    assert can.aligned_transcript == "word"
    assert can.offline_recognize
    assert (made.model, made.provider) == ("unknown", "rtc-stt")
    assert STT(engine=call.speech).model == "scripted"
    for wrong in ({}, {"url": "http://a", "engine": call.speech}):
        with pytest.raises(ValueError, match="not both"):
            STT(**wrong)
    monkeypatch.setenv("RTC_STT_URL", "http://127.0.0.1:1")
    assert STT().provider == "rtc-stt"
