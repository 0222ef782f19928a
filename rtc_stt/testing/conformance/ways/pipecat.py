"""The service for Pipecat, in a pipeline of its own. Needs ``rtc-stt[pipecat]``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    EagerTranscriptionFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection
from pipecat.workers.runner import WorkerRunner

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.plugins.pipecat import RtcSTTService, RtcSTTSettings
from rtc_stt.testing.conformance.told import (
    Eager,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay

__all__ = ["PipecatWay"]

ENDPOINTING: dict[str, float | None] = {"min_silence_ms": 500, "speculate_after_ms": 200}

BOTH = frozenset({Trait.TURNS, Trait.PARTIALS, Trait.SURVIVES_LOSS, Trait.WHOLE_SAMPLES})


@dataclass(frozen=True, slots=True)
class PipecatWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`.

    Args:
        server_turns: who decides about turns: the server, or the pipeline. The end of speech that the
            pipeline's detector tells is a flush.
    """

    server_turns: bool = False

    @property
    def name(self) -> str:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return "Pipecat, server's turns" if self.server_turns else "Pipecat"

    @property
    def traits(self) -> frozenset[Trait]:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return BOTH | ({Trait.STARTS, Trait.EAGER_STANDS} if self.server_turns else {Trait.FLUSH})

    async def open(self, hear: Hear) -> _PipecatLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        service = _Watched(
            hear,
            self.url,
            key=self.key,
            server_turns=self.server_turns,
            enable_eager_end_of_turn=self.server_turns,
            settings=RtcSTTSettings(language="en", endpointing=ENDPOINTING),
        )
        line = _PipecatLine(service)
        await line.begin()
        return line


class _Watched(RtcSTTService):
    """Tells what it pushes, before frames of the system overtake others in the pipeline."""

    def __init__(self, hear: Hear, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._hear = hear

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """See Pipecat. Errors go up, transcripts go down; proposals go both ways."""
        if direction is FrameDirection.DOWNSTREAM or isinstance(frame, ErrorFrame):
            for told in _tell(frame):
                self._hear(told)
        await super().push_frame(frame, direction)


class _PipecatLine:
    def __init__(self, service: RtcSTTService) -> None:
        self._started = asyncio.Event()
        self._worker = PipelineWorker(
            Pipeline([service]),
            params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
            idle_timeout_secs=None,
            enable_rtvi=False,
        )
        self._worker.add_event_handler("on_pipeline_started", self._on_started)
        self._running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Run the pipeline."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._running = asyncio.get_running_loop().create_task(runner.run())
        await self._started.wait()

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._worker.queue_frame(InputAudioRawFrame(pcm, SAMPLE_RATE, 1))

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._worker.queue_frame(VADUserStoppedSpeakingFrame())

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._worker.queue_frame(EndFrame())
        if self._running:
            await self._running

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        if self._running and not self._running.done():
            await self._worker.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _on_started(self, *_: object) -> None:
        self._started.set()


def _tell(frame: Frame) -> list[Told]:
    match frame:
        case ProposedUserStartedSpeakingFrame():
            return [Started()]
        case ProposedUserStoppedSpeakingFrame():
            return [Stopped()]
        case EagerTranscriptionFrame():
            return [Eager(frame.text)]
        case InterimTranscriptionFrame():
            return [Partial(frame.text)]
        case TranscriptionFrame():
            return [Final(frame.text), Flushed()] if frame.finalized else [Final(frame.text)]
        case ErrorFrame():
            return [Failed(frame.error)]
    return []
