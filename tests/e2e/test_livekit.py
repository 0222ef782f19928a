"""LiveKit Agents on our speech-to-text: its own streams, sessions and adapters, and networks that fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, APIConnectOptions, APIError, llm
from livekit.agents.stt import (
    FallbackAdapter,
    RecognizeStream,
    SpeechEvent,
    SpeechEventType,
    STTCapabilities,
    STTError,
)
from livekit.agents.voice import io

from examples.livekit_agent import Loudspeaker, ScriptedLLM, SilentVoice
from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise, word_error_rate
from rtc_stt.loading import load_speech
from rtc_stt.plugins.livekit import STT
from rtc_stt.session import Speech
from rtc_stt.testing.tcp_proxy import TcpProxy
from signaling.settings import Access
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tests.e2e.test_examples import SAMPLE, run

pytestmark = pytest.mark.e2e

START, INTERIM, FINAL, END = (
    SpeechEventType.START_OF_SPEECH,
    SpeechEventType.INTERIM_TRANSCRIPT,
    SpeechEventType.FINAL_TRANSCRIPT,
    SpeechEventType.END_OF_SPEECH,
)
KEY = "livekit-secret-key-0123456789"
FLUSHES = "manual_flush" in STTCapabilities.__dataclass_fields__
"""Whether this version of the framework asks for flushes; an older one waits for what comes by itself."""
ONCE_MORE = APIConnectOptions(max_retry=1, retry_interval=0.1, timeout=5.0)

PROMPT_S = 1.5
"""Less than the two seconds for which the framework waits where a flush is not answered."""


@pytest.fixture
async def engine() -> AsyncIterator[Speech]:
    made = await asyncio.to_thread(load_speech, demo=True)
    yield made
    await made.aclose()


def frames(audio: Samples, rate: int = 24_000) -> list[rtc.AudioFrame]:
    """Of 10 ms."""
    pcm = np.clip(np.round(support.resample(audio, rate) * 32767), -32768, 32767).astype(np.int16)
    size = rate // 100
    pcm = np.pad(pcm, (0, -len(pcm) % size))
    return [rtc.AudioFrame(piece.tobytes(), rate, 1, size) for piece in pcm.reshape(-1, size)]


def spoken(*clips: Clip) -> Samples:
    return np.concatenate([silence(0.3), *[part for clip in clips for part in (clip.audio, silence(1.0))]])


class Listener:
    """What a stream tells."""

    def __init__(self, stream: RecognizeStream) -> None:
        self.stream = stream
        self.told: list[SpeechEvent] = []
        self.over = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.stream:
            self.told.append(event)

    async def say(self, audio: Samples, pace: float = 1.0) -> None:
        began = time.monotonic()
        for number, frame in enumerate(frames(audio)):
            self.stream.push_frame(frame)
            await asyncio.sleep(max(0.0, began + number * 0.01 / pace - time.monotonic()))

    @property
    def finals(self) -> list[str]:
        return [text for e in self.told if e.type is FINAL and (text := e.alternatives[0].text)]

    def assert_alternates(self) -> None:
        marks = [event.type for event in self.told if event.type in (START, END)]
        assert marks == [START, END] * (len(marks) // 2)


def errors_of(stt: Any) -> list[STTError]:
    errors: list[STTError] = []
    stt.on("error", errors.append)
    return errors


# ── A stream ──


async def test_a_stream_at_24_khz_and_twice_its_pace(
    demo: str, engine: Speech, sentences: list[Clip]
) -> None:
    """With a server, and in this process."""
    await asyncio.gather(
        *(heard_well(stt, sentences[:2]) for stt in (STT(demo, language="en-US"), STT(engine=engine)))
    )


async def heard_well(stt: STT, sentences: list[Clip]) -> None:
    async with stt, asyncio.timeout(30):
        listener = Listener(stt.stream())
        await listener.say(spoken(*sentences), pace=2.0)
        listener.stream.end_input()
        await listener.over
    listener.assert_alternates()
    assert word_error_rate([(" ".join(c.text for c in sentences), " ".join(listener.finals))]) <= 0.25
    for event in listener.told:
        if event.type is FINAL:
            assert event.alternatives[0].language.startswith("en")
    finals = [e.alternatives[0] for e in listener.told if e.type is FINAL and e.alternatives[0].text]
    assert finals[0].words is not None
    assert [str(w) for w in finals[0].words] == finals[0].text.split()
    first, second = finals
    assert first.end_time < second.start_time
    assert first.start_time == pytest.approx(0.4, abs=0.15)
    # Where the words are the same the final is the preflight to the letter.
    eager = [e.alternatives[0].text for e in listener.told if e.type is SpeechEventType.PREFLIGHT_TRANSCRIPT]
    told = {tuple(normalise(final.text)): final.text for final in finals}
    assert [told.get(tuple(normalise(text)), text) for text in eager] == eager
    assert stt.model == "demo-tiny+demo-medium"


async def test_one_buffer(demo: str, sentences: list[Clip]) -> None:
    async with STT(demo) as stt:
        event = await stt.recognize(frames(spoken(sentences[0]), 48_000), language="en")
    data = event.alternatives[0]
    assert normalise(data.text) == normalise(sentences[0].text)
    assert data.words
    assert data.confidence > 0.5
    assert event.request_id


# ── An agent ──


class Microphone(io.AudioInput):
    """Says what it is told to, in real time, and silence between."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._frames = asyncio.Queue[rtc.AudioFrame]()
        self._silence = frames(silence(0.01))[0]
        self._began, self._count = 0.0, 0

    async def say(self, audio: Samples) -> None:
        for frame in frames(audio):
            self._frames.put_nowait(frame)
        await until(self._frames.empty, 30)

    async def __anext__(self) -> rtc.AudioFrame:
        now = time.monotonic()
        self._began = self._began or now
        await asyncio.sleep(max(0.0, self._began + self._count * 0.01 - now))
        self._count += 1
        return self._silence if self._frames.empty() else self._frames.get_nowait()


class AskedLLM(ScriptedLLM):
    """Notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def chat(self, *, chat_ctx: llm.ChatContext, **how: Any) -> llm.LLMStream:
        questions = [m.text_content for m in chat_ctx.messages() if m.role == "user"]
        self.asked.append(questions[-1] or "")
        return super().chat(chat_ctx=chat_ctx, **how)


@dataclass
class Call:
    """A session without a room."""

    session: AgentSession[None]
    llm: AskedLLM
    microphone: Microphone = field(default_factory=Microphone)
    turns: list[tuple[str, str, float]] = field(default_factory=list)
    """Who said what, and for how long the other had been silent."""

    @property
    def users(self) -> list[str]:
        return [text for role, text, _ in self.turns if role == "user"]

    @property
    def answers(self) -> list[str]:
        return [text for role, text, _ in self.turns if role == "assistant"]

    def _add(self, event: Any) -> None:
        if event.item.type == "message":
            delay = (event.item.metrics or {}).get("end_of_turn_delay") or 0.0
            self.turns.append((event.item.role, event.item.text_content, delay))


@contextlib.asynccontextmanager
async def calling(stt: Any, **how: Any) -> AsyncIterator[Call]:
    model = AskedLLM()
    session: AgentSession[None] = AgentSession(stt=stt, llm=model, tts=SilentVoice(), **how)
    call = Call(session, model)
    session.on("conversation_item_added", call._add)
    session.input.audio, session.output.audio = call.microphone, Loudspeaker()
    await session.start(Agent(instructions="Take orders."))
    try:
        yield call
    finally:
        await session.aclose()


async def turns_by(stt: STT, sentences: list[Clip], **how: Any) -> Call:
    async with calling(stt, **how) as call:
        for number, clip in enumerate(sentences):
            await call.microphone.say(np.concatenate([silence(0.3), clip.audio, silence(0.2)]))
            await until(lambda n=number: len(call.answers) > n, 5)  # type: ignore[misc]
    return call


async def test_an_agent_answers_turn_by_turn_whoever_detects_the_end(
    demo: str, sentences: list[Clip]
) -> None:
    """By the server's endpointing; and by the framework's own VAD, which flushes before that is sure."""
    mine = {"turn_detection": "stt", "endpointing": {"min_delay": 0.0}}
    theirs = {"turn_detection": "vad", "endpointing": {"min_delay": 0.3}}
    stt, flushed = STT(demo, language="en"), STT(demo, language="en", min_silence_ms=2_000)
    terms = {"keyterms": ["Maria"]}
    async with asyncio.timeout(40):
        ways = await asyncio.gather(
            turns_by(stt, sentences[:2], vad=None, turn_handling=mine, stt_context_options=terms),
            turns_by(flushed, sentences[2:4], turn_handling=theirs),
        )
    assert stt._options.hotwords == "Maria"
    assert ways[0].answers[0] in (stt._options.whole_prompt or "")
    for call, said, within_s in zip(
        ways, (sentences[:2], sentences[2:4]), (PROMPT_S, PROMPT_S if FLUSHES else 4.0), strict=True
    ):
        assert [normalise(text) for text in call.users] == [normalise(clip.text) for clip in said]
        assert call.answers == [f"You said: {text}" for text in call.users]
        # The LLM is asked by the preflight, once: the final has its very letters.
        assert call.llm.asked == call.users
        assert all(0 < delay < within_s for role, _, delay in call.turns if role == "user"), call.turns


async def test_a_turn_that_is_committed_by_hand_does_not_wait(demo: str, sentences: list[Clip]) -> None:
    async with calling(STT(demo, language="en"), turn_handling={"turn_detection": "manual"}) as call:
        await call.microphone.say(silence(0.3))
        began = time.monotonic()
        assert await call.session.commit_user_turn(skip_reply=True) == ""
        nothing_s = time.monotonic() - began
        await call.microphone.say(np.concatenate([silence(0.3), sentences[0].audio]))
        began = time.monotonic()
        text = await call.session.commit_user_turn()
        something_s = time.monotonic() - began
        await until(lambda: call.answers, 5)
    assert normalise(text) == normalise(sentences[0].text)
    assert call.llm.asked == [text]
    assert nothing_s < (PROMPT_S if FLUSHES else 4.0)
    assert something_s < (PROMPT_S if FLUSHES else 4.0)


def test_the_example_needs_no_cloud(demo: str) -> None:
    lines = run("examples/livekit_agent.py", demo, SAMPLE)
    assert lines[-2].startswith("user: Can I book a table for eight people")
    assert lines[-1].startswith("assistant: You said: Can I book a table for eight people")
    assert any(line.startswith("   Can") for line in lines[:-2]), "interims come before the turn"


# ── Networks that fail ──


async def test_a_connection_that_breaks_loses_no_word(demo: str, sentences: list[Clip]) -> None:
    breaks: list[Callable[[TcpProxy], None]] = [TcpProxy.drop, TcpProxy.reset]
    async with TcpProxy(demo) as proxy, STT(proxy.url, language="en") as stt, asyncio.timeout(30):
        errors = errors_of(stt)
        listener = Listener(stt.stream())
        saying = asyncio.create_task(listener.say(spoken(*sentences[:3]), pace=3.0))
        for breaking in itertools.cycle(breaks):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(saying), 0.6)
            if saying.done():
                break
            breaking(proxy)
        listener.stream.end_input()
        await listener.over
    assert proxy.connections > 3
    assert [normalise(t) for t in listener.finals] == [normalise(c.text) for c in sentences[:3]]
    listener.assert_alternates()
    assert len({e.request_id for e in listener.told}) == 1, "one session"
    assert errors == []


async def test_a_server_that_starts_again_in_mid_sentence_loses_no_word(
    engine: Speech, sentences: list[Clip]
) -> None:
    async with support.run_gateway(engine) as other, contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(support.run_gateway(engine))
        proxy = await stack.enter_async_context(TcpProxy(one.url))
        stt = await stack.enter_async_context(STT(proxy.url, language="en"))
        errors = errors_of(stt)
        listener = Listener(stt.stream())
        saying = asyncio.create_task(listener.say(spoken(*sentences[:2]), pace=3.0))
        assert await until(lambda: any(e.type is INTERIM and e.alternatives[0].text for e in listener.told))
        await asyncio.sleep(0.2)
        proxy.refuse()
        proxy.reset()
        proxy._port = int(other.url.rsplit(":", 1)[1])  # which knows nothing of the session
        await asyncio.sleep(0.3)
        await proxy.accept()
        async with asyncio.timeout(20):
            await saying
            listener.stream.end_input()
            await listener.over
    assert [normalise(t) for t in listener.finals] == [normalise(c.text) for c in sentences[:2]]
    listener.assert_alternates()
    assert len({e.request_id for e in listener.told}) == 2
    assert errors == []
    finals = [e.alternatives[0] for e in listener.told if e.type is FINAL and e.alternatives[0].text]
    assert finals[0].start_time == pytest.approx(0.4, abs=0.15), "the new session's time begins later"


async def test_a_stream_that_the_framework_begins_anew_loses_no_word(
    demo: str, sentences: list[Clip]
) -> None:
    """The client gives up long before the server is back."""
    tireless = APIConnectOptions(max_retry=50, retry_interval=0.1, timeout=5.0)
    async with TcpProxy(demo) as proxy, STT(proxy.url, language="en", patience_s=0.2) as stt:
        errors = errors_of(stt)
        listener = Listener(stt.stream(conn_options=tireless))
        saying = asyncio.create_task(listener.say(spoken(*sentences[:2]), pace=3.0))
        assert await until(lambda: any(e.type is INTERIM and e.alternatives[0].text for e in listener.told))
        listener.stream.flush()
        proxy.refuse()
        proxy.drop()
        assert await until(lambda: len(errors) > 3)
        await proxy.accept()
        async with asyncio.timeout(20):
            await saying
            listener.stream.end_input()
            await listener.over
    assert all(error.recoverable for error in errors)
    heard = [word for text in listener.finals for word in normalise(text)]
    assert heard == [word for clip in sentences[:2] for word in normalise(clip.text)]
    listener.assert_alternates()
    finals = [e.alternatives[0] for e in listener.told if e.type is FINAL and e.alternatives[0].text]
    assert finals[0].start_time == pytest.approx(0.4, abs=0.15), "positions are those of the audio"


async def refused_by(stt: STT) -> list[STTError]:
    """The errors of a stream that is not let in."""
    errors = errors_of(stt)
    listener = Listener(stt.stream(conn_options=ONCE_MORE))
    listener.stream.push_frame(frames(silence(0.01))[0])
    with pytest.raises(APIError) as caught:
        await asyncio.wait_for(listener.over, 10)
    for error in [caught.value, *[e.error for e in errors]]:
        assert KEY not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"
    return errors


async def test_refusals_are_told_as_the_framework_knows_them_and_without_the_key(
    engine: Speech, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other = "another-secret-key-0123456789"
    access = Access(max_sessions_per_key=1, rate_limit_rps=1_000, rate_limit_burst=1_000)
    async with support.run_gateway(engine, access=access, api_keys=(KEY[::-1], other), max_sessions=2) as it:
        [wrong] = await refused_by(STT(it.url, key=KEY))
        assert (wrong.error.status_code, wrong.recoverable) == (401, False)
        held = [Listener(STT(it.url, key=key).stream()) for key in (KEY[::-1], other)]
        assert await until(lambda: all(h.stream._live and h.stream._live.session_id for h in held))
        again, last = await refused_by(STT(it.url, key=other))
        assert (again.error.status_code, again.recoverable, last.recoverable) == (429, True, False)
        for listener in held:
            await listener.stream.aclose()
    async with support.run_gateway(engine, max_sessions=1) as it:
        full = Listener(STT(it.url).stream())
        assert await until(lambda: full.stream._live and full.stream._live.session_id)
        again, last = await refused_by(STT(it.url))
        assert (again.error.status_code, again.recoverable, last.recoverable) == (503, True, False)
        await full.stream.aclose()
    again, last = await refused_by(STT(it.url, key=KEY))
    assert "cannot be reached" in str(again.error)
    assert (again.recoverable, last.recoverable) == (True, False)
    assert KEY not in caplog.text


async def test_the_adapter_falls_back_when_our_server_goes(
    demo: str, engine: Speech, sentences: list[Clip]
) -> None:
    async with TcpProxy(demo) as proxy, asyncio.timeout(40):
        ours, theirs = STT(proxy.url, language="en", patience_s=0.3), STT(engine=engine, language="en")
        adapter = FallbackAdapter([ours, theirs], attempt_timeout=5.0, retry_interval=0.1)
        changed: list[Any] = []
        adapter.on("stt_availability_changed", changed.append)
        listener = Listener(adapter.stream())
        await listener.say(spoken(sentences[0]), pace=3.0)
        assert await until(lambda: len(listener.finals) == 1)
        assert changed == []
        proxy.refuse()
        proxy.reset()
        await listener.say(silence(1.0))
        assert await until(lambda: changed)
        assert (changed[0].stt, changed[0].available) == (ours, False)
        await listener.say(spoken(sentences[1]), pace=3.0)
        assert await until(lambda: len(listener.finals) == 2)
        await proxy.accept()
        listener.stream.end_input()
        await listener.over
        await adapter.aclose()
        for stt in (ours, theirs):
            await stt.aclose()
    assert [normalise(t) for t in listener.finals] == [normalise(c.text) for c in sentences[:2]]
