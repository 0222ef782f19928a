"""A bot of Pipecat's own parts; its language model is scripted, and what its ears tell is watched."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.plugins.pipecat.mapping import BLANK
from tests.e2e.support import resample

__all__ = ["Bot", "pcm"]

F = TypeVar("F", bound=Frame)

PIECE_S = 0.02


def pcm(audio: Samples) -> bytes:
    """As a transport gives it."""
    return np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()


class ScriptedLLM(LLMService):
    """Repeats what it is asked; an eager question is answered like any other, and held by the base class."""

    def __init__(self) -> None:
        unset: dict[str, Any] = {f.name: None for f in fields(LLMSettings) if f.name != "extra"}
        super().__init__(settings=LLMSettings(**unset))
        self.asked: list[tuple[str, bool]] = []
        """What, and whether the turn was not yet over."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        text = str(frame.context.get_messages()[-1]["content"])
        self.asked.append((text, frame.speculation))
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(f"You said: {text}"))
        await self.push_frame(LLMFullResponseEndFrame())


class Tap(FrameProcessor):
    """Notes what passes, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[tuple[float, Frame]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, InputAudioRawFrame):
            self.passed.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)


class Bot:
    """``async with Bot(stt) as bot: await bot.hear(audio)``

    Args:
        stt: the service.
        strategies: of turns; None for those that the service recommends, or Pipecat's default.
        vad: whether Silero listens.
        rate: of the pipeline's audio.
    """

    def __init__(
        self,
        stt: Any,
        *,
        strategies: UserTurnStrategies | None = None,
        vad: bool = True,
        metrics: bool = False,
        rate: int = SAMPLE_RATE,
    ) -> None:
        self.stt = stt
        self._rate = rate
        self.before, self.after, self.said = Tap(), Tap(), Tap()
        self.llm = ScriptedLLM()
        self.turns: list[str] = []
        """Of the user, as they were committed."""
        pair = LLMContextAggregatorPair(
            LLMContext(),
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=strategies, vad_analyzer=SileroVADAnalyzer() if vad else None
            ),
        )

        @pair.user().event_handler("on_user_turn_stopped")
        async def on_user_turn_stopped(_: Any, __: Any, message: Any) -> None:
            self.turns.append(message.content)

        stages = [self.before, stt, self.after, pair.user(), self.llm, self.said, pair.assistant()]
        self.worker = PipelineWorker(
            Pipeline(stages),
            params=PipelineParams(
                audio_in_sample_rate=rate, enable_metrics=metrics, enable_usage_metrics=metrics
            ),
            idle_timeout_secs=None,
            enable_rtvi=False,
        )
        self._started = asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def on_pipeline_started(*_: Any) -> None:
            self._started.set()

    async def __aenter__(self) -> Bot:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self._running = asyncio.create_task(runner.run())
        async with asyncio.timeout(10):
            await self._started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._running.done():
            await self.worker.cancel()
        await asyncio.wait_for(self._running, 10)

    async def hear(self, audio: Samples, *, pace: float = 1.0) -> None:
        """Let it hear this, so many times as fast as it was spoken."""
        data, size = pcm(resample(audio, self._rate)), 2 * round(PIECE_S * self._rate)
        begun = time.monotonic()
        for number, start in enumerate(range(0, len(data), size)):
            await asyncio.sleep(begun + number * PIECE_S / pace - time.monotonic())
            await self.push(InputAudioRawFrame(data[start : start + size], self._rate, 1))

    async def push(self, frame: Frame) -> None:
        """Let a frame in where the transport would be."""
        await self.worker.queue_frame(frame)

    async def end(self) -> None:
        """Hang up, and wait until everything has come through."""
        await self.push(EndFrame())
        await asyncio.wait_for(asyncio.shield(self._running), 15)

    def of(self, kind: type[F]) -> list[F]:
        """The frames of one kind that came out of the service, or past it."""
        return [frame for _, frame in self.after.passed if isinstance(frame, kind)]

    @property
    def text(self) -> str:
        """All that was committed."""
        return " ".join(frame.text for frame in self.of(TranscriptionFrame) if frame.text != BLANK)

    @property
    def answers(self) -> list[str]:
        """What the language model's answers became after they were let out."""
        return [frame.text for _, frame in self.said.passed if isinstance(frame, LLMTextFrame)]

    @property
    def errors(self) -> list[ErrorFrame]:
        """What it has complained about."""
        return [frame for _, frame in self.before.passed if isinstance(frame, ErrorFrame)]
