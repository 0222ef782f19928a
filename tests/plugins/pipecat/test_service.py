"""The service in a real pipeline, against a gateway that a test plays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    STTMuteFrame,
    STTUpdateSettingsFrame,
    TranscriptionFrame,
    UserAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.service_switcher import ServiceSwitcher, ServiceSwitcherStrategyFailover
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transcriptions.language import Language
from pipecat.turns.user_turn_strategies import EagerUserTurnStrategies, ExternalUserTurnStrategies
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.tracing import service_decorators
from pipecat.workers.runner import WorkerRunner

from rtc_stt.client import reconnect
from rtc_stt.errors import (
    BadRequest,
    Forbidden,
    QuotaExceeded,
    RtcSttError,
    ServerError,
    TooMany,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from rtc_stt.events import SessionError
from rtc_stt.plugins.pipecat import RtcSTTService, RtcSTTSettings
from rtc_stt.plugins.pipecat import line as line_module
from rtc_stt.plugins.pipecat.errors import category
from rtc_stt.plugins.pipecat.mapping import BLANK
from tests.plugins.pipecat.gateway import Gateway, until
from tests.plugins.pipecat.told import final, partial, start

F = TypeVar("F", bound=Frame)
SOUND = InputAudioRawFrame(b"\1\0" * 320, 16_000, 1)
KEY = "sk-very-secret"


class Tap(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.passed: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.passed.append(frame)
        await self.push_frame(frame, direction)


class Call:
    """A pipeline of the service alone, and what comes out at both ends."""

    def __init__(self, stt: Any, *, enable_tracing: bool = False) -> None:
        self.stt = stt
        self.above, self.below = Tap(), Tap()
        self.worker = PipelineWorker(
            Pipeline([self.above, stt, self.below]),
            params=PipelineParams(audio_in_sample_rate=16_000),
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_tracing=enable_tracing,
        )

    async def __aenter__(self) -> Call:
        runner, started = WorkerRunner(handle_sigint=False), asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def on_pipeline_started(*_: Any) -> None:
            started.set()

        await runner.add_workers(self.worker)
        self.running = asyncio.create_task(runner.run())
        await asyncio.wait_for(started.wait(), 5)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.running.done():
            await self.worker.cancel()
        await asyncio.wait_for(self.running, 5)

    async def push(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    def of(self, kind: type[F]) -> list[F]:
        return [frame for frame in self.below.passed if isinstance(frame, kind)]

    @property
    def errors(self) -> list[ErrorFrame]:
        return [frame for frame in self.above.passed if isinstance(frame, ErrorFrame)]


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(reconnect, "FIRST_WAIT_S", 0.01)
    for name in ("FIRST_WAIT_S", "LONGEST_WAIT_S", "LONGEST_TOLD_S"):
        monkeypatch.setattr(line_module, name, 0.02)
    made = Gateway()
    async with made.http:
        yield made


# ── What goes to the server ──


async def test_settings_are_in_the_first_message(gateway: Gateway) -> None:
    settings = RtcSTTSettings(
        language=Language.EN_GB,
        languages=[Language.PT_BR, "nb", Language.PT],
        hotwords=["Aiden", "Kubernetes"],
        word_timestamps=True,
        endpointing={"min_silence_ms": 300},
    )
    async with Call(RtcSTTService(gateway.url, key=KEY, settings=settings)):
        connection = await gateway.connection(1)
        await until(lambda: connection.of("configure"))
        (said,) = connection.of("configure")
    assert connection.first["audio"] == {"encoding": "pcm_s16le", "sample_rate": 16_000, "channels": 1}
    assert connection.first["replay"] is True
    assert said == {
        "type": "configure",
        "language": "en",
        "languages": ["pt", "no"],
        "hotwords": "Aiden, Kubernetes",
        "word_timestamps": True,
        "endpointing": {"min_silence_ms": 300},
    }
    assert gateway.headers == [f"Bearer {KEY}"]


async def test_a_change_goes_over_the_connection_that_there_is(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        delta = RtcSTTSettings(language=Language.DE_AT, prompt=None, hotwords="Wien")
        await call.push(STTUpdateSettingsFrame(delta=delta))
        await until(lambda: connection.of("configure"))
        assert connection.of("configure") == [{"type": "configure", "language": "de", "hotwords": "Wien"}]
    assert gateway.requests == 1
    assert not call.errors


async def test_audio_and_mute_arrive_in_their_order(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        await call.push(SOUND, STTMuteFrame(mute=True), SOUND, STTMuteFrame(mute=False), SOUND)
        connection = await gateway.connection(1)
        await until(lambda: len(connection.audio) == 2 * 640)
    mutes = [said if isinstance(said, bytes) else said["on"] for said in connection.said]
    assert mutes == [SOUND.audio, True, False, SOUND.audio]


# ── What comes back ──


async def test_an_end_of_speech_is_answered_also_with_nothing(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        await call.push(VADUserStartedSpeakingFrame(), SOUND, VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await until(lambda: call.of(TranscriptionFrame))
        (blank,) = call.of(TranscriptionFrame)
    assert (blank.text, blank.finalized) == (BLANK, True)
    assert len(connection.of("finalize")) == 1


async def test_the_speaker_is_who_the_transport_says(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        await call.push(UserAudioRawFrame(SOUND.audio, 16_000, 1, user_id="ann"))
        await until(lambda: connection.audio)
        await connection.tell(start(1), final(1, "Hello."))
        await until(lambda: call.of(TranscriptionFrame))
        (committed,) = call.of(TranscriptionFrame)
    assert committed.user_id == "ann"
    assert committed.language is Language.EN
    assert not committed.finalized, "nobody has asked"


async def test_the_end_waits_for_the_last_words(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        await until(lambda: call.stt.is_usable and connection)
        await connection.tell(start(1), final(1, "Hello."))
        await call.push(SOUND, EndFrame())
        await asyncio.wait_for(asyncio.shield(call.running), 5)
    kinds = [type(frame) for frame in call.below.passed]
    assert kinds.index(TranscriptionFrame) < kinds.index(EndFrame)
    assert connection.of("stop")


async def test_a_cancelled_pipeline_leaves_nothing_behind(gateway: Gateway) -> None:
    before = asyncio.all_tasks()
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        await call.push(SOUND, VADUserStoppedSpeakingFrame(stop_secs=0.2))
        await until(lambda: connection.audio)
    await until(lambda: connection.is_closed)
    await until(lambda: not {t for t in asyncio.all_tasks() - before if "RtcSTT" in t.get_name()})
    assert call.stt._line is None


async def test_what_a_killed_server_had_heard_is_heard_again(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url, server_turns=True)) as call:
        connection = await gateway.connection(1)
        await call.push(SOUND)
        await until(lambda: connection.audio)
        await connection.tell(start(1), partial(1, "Book a table"))
        await until(lambda: call.of(InterimTranscriptionFrame))
        gateway.restart()
        again = await gateway.connection(2)
        await until(lambda: again.audio == SOUND.audio)
        await again.tell(start(1), final(1, "Book a table for two."))
        await until(lambda: call.of(ProposedUserStoppedSpeakingFrame))
    assert [frame.text for frame in call.of(TranscriptionFrame)] == ["Book a table for two."]
    assert len(call.of(ProposedUserStartedSpeakingFrame)) == 1
    assert not call.errors


# ── What it recommends ──


async def test_latency_is_told_and_turns_are_left_to_pipecat(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url, ttfs_p99_latency=0.3)) as call:
        (told,) = call.of(STTMetadataFrame)
    assert (told.ttfs_p99_latency, told.user_turn_strategies) == (0.3, None)
    assert call.stt.can_generate_metrics()


@pytest.mark.parametrize(
    ("eager", "kind"), [(False, ExternalUserTurnStrategies), (True, EagerUserTurnStrategies)]
)
async def test_strategies_are_recommended_where_the_server_decides(
    gateway: Gateway, eager: bool, kind: type[ExternalUserTurnStrategies]
) -> None:
    stt = RtcSTTService(
        gateway.url, server_turns=True, should_interrupt=False, enable_eager_end_of_turn=eager
    )
    async with Call(stt) as call:
        (told,) = call.of(STTMetadataFrame)
    assert type(told.user_turn_strategies) is kind
    assert not told.user_turn_strategies.enable_interruptions


def test_eager_ends_need_turns_of_the_server() -> None:
    with pytest.raises(ValueError, match="server_turns"):
        RtcSTTService("http://localhost", enable_eager_end_of_turn=True)


# ── Errors ──


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorCategory.INVALID_REQUEST),
        (401, ErrorCategory.AUTHENTICATION),
        (403, ErrorCategory.AUTHORIZATION),
        (404, ErrorCategory.INVALID_REQUEST),
    ],
)
async def test_a_refusal_makes_it_unusable_and_quotes_no_key(
    gateway: Gateway, status: int, kind: ErrorCategory
) -> None:
    gateway.refusals, gateway.refuses_all = [(status, f"what is Bearer {KEY}?")], True
    async with Call(RtcSTTService(gateway.url, key=KEY)) as call:
        await until(lambda: call.errors)
        assert not call.stt.is_usable
        (error,) = call.errors
        assert error.category is kind
        assert KEY not in error.error
        assert re.search(r"what is Bearer \*\*\*", error.error)
        gateway.refusals = []
        await call.push(STTUpdateSettingsFrame(delta=RtcSTTSettings(language="en")))
        connection = await gateway.connection(1)
        assert call.stt.is_usable, "what was changed may have mended it"
        await call.push(SOUND)
        await until(lambda: connection.audio)


@pytest.mark.parametrize(("status", "kind"), [(429, ErrorCategory.RATE_LIMIT), (503, ErrorCategory.SERVER)])
async def test_a_busy_server_makes_it_unusable_until_it_is_well(
    gateway: Gateway, status: int, kind: ErrorCategory
) -> None:
    gateway.refusals, gateway.refuses_all = [(status, "later")], True
    async with Call(RtcSTTService(gateway.url, patience_s=0.2)) as call:
        await until(lambda: call.errors)
        assert call.stt.is_usable, "for as long as it is patient"
        await until(lambda: len(call.errors) == 2)
        assert not call.stt.is_usable
        assert [error.category for error in call.errors] == [kind, kind]
        gateway.refusals = []
        await until(lambda: call.stt.is_usable)
        await call.push(SOUND)
        connection = await gateway.connection(1)
        await until(lambda: connection.audio == SOUND.audio)


async def test_a_session_that_ended_by_an_error_is_told_and_begun_again(gateway: Gateway) -> None:
    async with Call(RtcSTTService(gateway.url)) as call:
        connection = await gateway.connection(1)
        await connection.tell(
            start(1), SessionError(at_ms=0, code="overloaded", message="too much to do", fatal=True)
        )
        await connection.end("overloaded")
        await gateway.connection(2)
        await until(lambda: call.stt.is_usable)
    assert [(error.error, error.category) for error in call.errors] == [
        ("too much to do", ErrorCategory.SERVER)
    ]


async def test_a_switcher_turns_to_the_next_service(gateway: Gateway, unused_tcp_port: int) -> None:
    away = RtcSTTService(f"http://127.0.0.1:{unused_tcp_port}", patience_s=0.05)
    switcher = ServiceSwitcher(
        services=[away, RtcSTTService(gateway.url)], strategy_type=ServiceSwitcherStrategyFailover
    )
    async with Call(switcher) as call:
        await until(lambda: not away.is_usable)
        connection = await gateway.connection(1)
        await call.push(SOUND)
        await until(lambda: connection.audio)


async def test_spans_of_a_trace_have_the_transcript(gateway: Gateway) -> None:
    gateway.answers = False
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service_decorators.trace, "get_tracer", provider.get_tracer)
        async with Call(RtcSTTService(gateway.url), enable_tracing=True) as call:
            connection = await gateway.connection(1)
            await connection.tell(start(1))
            await call.push(VADUserStartedSpeakingFrame(), SOUND, VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await until(lambda: connection.of("finalize"))
            await connection.tell(final(1, "Hello."))
            await until(exporter.get_finished_spans)
    (span,) = (span for span in exporter.get_finished_spans() if span.name == "stt")
    assert span.attributes is not None
    assert span.attributes["transcript"] == "Hello."
    assert span.attributes["gen_ai.operation.name"] == "stt"


async def test_the_connection_is_told_to_handlers(gateway: Gateway) -> None:
    stt, told = RtcSTTService(gateway.url), list[str]()
    for name in ("on_connected", "on_disconnected"):

        async def note(_: Any, name: str = name) -> None:
            told.append(name)

        stt.add_event_handler(name, note)
    async with Call(stt):
        (await gateway.connection(1)).cut()
        await gateway.connection(2)
        await until(lambda: told == ["on_connected", "on_disconnected", "on_connected"])
    await until(lambda: told[-1] == "on_disconnected")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unauthorized("x"), ErrorCategory.AUTHENTICATION),
        (Forbidden("x"), ErrorCategory.AUTHORIZATION),
        (BadRequest("x"), ErrorCategory.INVALID_REQUEST),
        (TooMany("x"), ErrorCategory.RATE_LIMIT),
        (QuotaExceeded("x"), ErrorCategory.QUOTA),
        (Unreachable("x"), ErrorCategory.CONNECTIVITY),
        (Unavailable("x"), ErrorCategory.SERVER),
        (ServerError("x"), ErrorCategory.SERVER),
    ],
)
def test_errors_in_pipecats_words(error: RtcSttError, kind: ErrorCategory) -> None:
    assert category(error) is kind
