"""Pipecat's Whisper service: a pipeline of its ``VADProcessor`` (Silero) and its ``WhisperSTTService``.

The service waits for the detector's stop and then transcribes the segment; it tells no partials. Each session
is a pipeline with a model of its own, for the service loads one for itself; all run in one event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtc_stt.bench.peers import link
else:
    import link  # beside this script, in an environment that has no rtc_stt

__all__ = ["main"]

RATE = 16_000


class Host:
    """The event loop with Pipecat's runner, in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.runner: Any = None
        self._is_ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._is_ready.wait()

    def call(self, work: Any) -> Any:
        """Wait for a coroutine in the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        from pipecat.workers.runner import WorkerRunner

        self.runner = WorkerRunner(handle_sigint=False)

        async def on_ready(_: Any) -> None:
            self._is_ready.set()

        self.runner.add_event_handler("on_ready", on_ready)
        await self.runner.run(auto_end=False)


class Pipeline:
    """One session."""

    def __init__(self, tell: link.Tell, host: Host, model: str, language: str | None, hangover_s: float):
        self._host = host
        service = _service(model, language)  # loads the model, so not in the loop
        self._worker = host.call(self._start(tell, service, hangover_s))

    def hear(self, pcm: bytes) -> None:
        """More sound."""
        from pipecat.frames.frames import InputAudioRawFrame

        frame = InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1)
        asyncio.run_coroutine_threadsafe(self._worker.queue_frame(frame), self._host.loop)

    def close(self) -> None:
        """The other end hung up."""
        self._host.call(self._worker.cancel())

    async def _start(self, tell: link.Tell, service: Any, hangover_s: float) -> Any:
        from pipecat.audio.vad.silero import SileroVADAnalyzer
        from pipecat.audio.vad.vad_analyzer import VADParams
        from pipecat.pipeline.pipeline import Pipeline as Stages
        from pipecat.pipeline.worker import PipelineParams, PipelineWorker
        from pipecat.processors.audio.vad_processor import VADProcessor

        started = asyncio.Event()
        detector = SileroVADAnalyzer(params=VADParams(stop_secs=hangover_s))
        worker = PipelineWorker(
            Stages([VADProcessor(vad_analyzer=detector), service, _sink(tell)]),
            params=PipelineParams(audio_in_sample_rate=RATE),
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_turn_tracking=False,
        )

        async def on_pipeline_started(*_: Any) -> None:
            started.set()

        worker.add_event_handler("on_pipeline_started", on_pipeline_started)
        await self._host.runner.add_workers(worker)
        await started.wait()
        return worker


def _service(model: str, language: str | None) -> Any:
    from pipecat.services.whisper.stt import WhisperSTTService
    from pipecat.transcriptions.language import Language

    settings = WhisperSTTService.Settings(model=model, language=Language(language) if language else None)
    return WhisperSTTService(device="cpu", compute_type="int8", settings=settings)


def _sink(tell: link.Tell) -> Any:
    """The last stage: tells what arrives."""
    from pipecat.frames.frames import (
        ErrorFrame,
        InterimTranscriptionFrame,
        TranscriptionFrame,
        VADUserStoppedSpeakingFrame,
    )
    from pipecat.processors.frame_processor import FrameProcessor

    class Sink(FrameProcessor):
        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, VADUserStoppedSpeakingFrame):
                tell("endpoint")
            elif isinstance(frame, InterimTranscriptionFrame):
                tell("partial", text=frame.text.strip())
            elif isinstance(frame, TranscriptionFrame):
                tell("final", text=frame.text.strip())
            elif isinstance(frame, ErrorFrame):
                tell("failed", reason="an error frame; look at standard error")
            await self.push_frame(frame, direction)

    return Sink()


def main() -> None:
    """Start the loop, then take sessions."""
    options = link.arguments(__doc__ or "").parse_args()
    # WhisperSTTService has no option for it; CTranslate2 takes it from here.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    language = None if options.language == "auto" else options.language
    _quiet()
    host = Host()
    _service(options.model, language)  # imports and the first load belong to the cold start

    def session(tell: link.Tell) -> Pipeline:
        return Pipeline(tell, host, options.model, language, options.hangover_ms / 1000)

    link.serve(
        session,
        {
            "packages": {name: version(name) for name in ("pipecat-ai", "faster-whisper", "ctranslate2")},
            "beam_size": "5 (not an option of the service)",
            "compute_type": "int8",
            "cpu_threads": options.threads,
            "hangover": f"VADParams(stop_secs={options.hangover_ms / 1000:g})",
            "detector": "SileroVADAnalyzer (its bundled ONNX), all else as it comes",
            "partials": "none: the service has none",
            "sessions": "one process, one event loop, a pipeline and a model for each session",
        },
    )


def _quiet() -> None:
    """Its log tells every transcript."""
    import sys

    from loguru import logger

    logger.remove()
    logger.add(sys.stderr, level="WARNING")


if __name__ == "__main__":
    main()
