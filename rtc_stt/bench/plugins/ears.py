"""A pipeline of Pipecat's detector and one service, to which clips are played in real time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import Frame, InputAudioRawFrame, TranscriptionFrame, VADUserStoppedSpeakingFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.plugins.ttfs import Played
from rtc_stt.client.encoding import encode

__all__ = ["Ears"]

PIECE_S = 0.02
LEAD_S, TAIL_S = 0.5, 0.4
"""Silence around a clip: the detector comes to rest, and tells the end of speech 0.2 s after it."""

PATIENCE_S = 10.0
"""For a final after the end of a clip."""

SETTLING_S = 0.3
"""After it, for what may still come."""


class _Note(FrameProcessor):
    """Notes when frames of one kind pass."""

    def __init__(self, kind: type[Frame]) -> None:
        super().__init__()
        self._kind = kind
        self.passed: list[tuple[float, Any]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass everything on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, self._kind) and direction is FrameDirection.DOWNSTREAM:
            self.passed.append((time.perf_counter(), frame))
        await self.push_frame(frame, direction)


class Ears:
    """``async with Ears("name", service) as ears: played = await ears.hear(clip)``"""

    def __init__(self, name: str, service: FrameProcessor) -> None:
        self._name = name
        self._stops, self._finals = _Note(VADUserStoppedSpeakingFrame), _Note(TranscriptionFrame)
        stages = [VADProcessor(vad_analyzer=SileroVADAnalyzer()), self._stops, service, self._finals]
        self._worker = PipelineWorker(
            Pipeline(stages),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_turn_tracking=False,
        )

    async def __aenter__(self) -> Ears:
        runner, started = WorkerRunner(handle_sigint=False), asyncio.Event()

        async def on_pipeline_started(*_: Any) -> None:
            started.set()

        self._worker.add_event_handler("on_pipeline_started", on_pipeline_started)
        await runner.add_workers(self._worker)
        self._running = asyncio.create_task(runner.run())
        await started.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._running.done():
            await self._worker.cancel()
        await self._running

    async def hear(self, clip: Clip) -> Played:
        """Play a clip and wait for what is made of it."""
        self._stops.passed.clear()
        self._finals.passed.clear()
        await self._play(np.concatenate([_silence(LEAD_S), clip.speech(), _silence(TAIL_S)]))
        await self._silence_until_answered()
        return Played(
            clip=clip.id,
            service=self._name,
            reference=clip.text,
            stops=tuple(at for at, _ in self._stops.passed),
            finals=tuple((at, f.text.strip()) for at, f in self._finals.passed if f.text.strip()),
        )

    async def _silence_until_answered(self) -> None:
        deadline = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < deadline:
            await self._play(_silence(0.1))
            last = self._stops.passed[-1][0] if self._stops.passed else float("inf")
            if any(at >= last for at, _ in self._finals.passed):
                break
        await self._play(_silence(SETTLING_S))

    async def _play(self, audio: Samples) -> None:
        data = encode(audio, "pcm_s16le", 1)
        size, begun = 2 * round(PIECE_S * SAMPLE_RATE), time.perf_counter()
        for number, start in enumerate(range(0, len(data), size)):
            await asyncio.sleep(begun + number * PIECE_S - time.perf_counter())
            frame = InputAudioRawFrame(data[start : start + size], SAMPLE_RATE, 1)
            await self._worker.queue_frame(frame)


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
