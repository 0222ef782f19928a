"""A Pipecat bot that hears by rtc-stt: a recording is played to it, and the turns of the talk are printed.

Its language model and its voice are scripted, so that it needs no other service; put yours in their places.
With ``rtc-stt demo`` running:
``python examples/pipecat_bot.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import dataclasses
import os
import sys
import wave
from collections.abc import AsyncGenerator

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.workers.runner import WorkerRunner

from rtc_stt.plugins.pipecat import RtcSTTService


class ScriptedLLM(LLMService):
    """Has one answer."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        print("you:", frame.context.get_messages()[-1]["content"])
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame("I will see to it."))
        await self.push_frame(LLMFullResponseEndFrame())


class ScriptedTTS(TTSService):
    """Says everything as a short silence."""

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        print("bot:", text)
        yield TTSAudioRawFrame(bytes(3_200), self.sample_rate, 1, context_id=context_id)


class Watch(BaseObserver):
    """Prints what is understood while it is spoken."""

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, InterimTranscriptionFrame) and isinstance(data.source, RtcSTTService):
            print("    ", data.frame.text)


async def main(url: str, path: str) -> None:
    with wave.open(path) as file:
        rate, channels, audio = file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())
    if channels != 1:
        sys.exit("give it a recording of one channel")
    # The server tells when a turn is over, and the model is asked as soon as the speaker pauses.
    stt = RtcSTTService(
        url, key=os.environ.get("RTC_STT_KEY"), server_turns=True, enable_eager_end_of_turn=True
    )
    aggregators = LLMContextAggregatorPair(LLMContext())
    unset = {field.name: None for field in dataclasses.fields(LLMSettings) if field.name != "extra"}
    llm = ScriptedLLM(settings=LLMSettings(**unset))
    tts = ScriptedTTS(settings=TTSSettings(model=None, voice=None, language=None), push_start_frame=True)
    worker = PipelineWorker(
        Pipeline([stt, aggregators.user(), llm, tts, aggregators.assistant()]),
        params=PipelineParams(audio_in_sample_rate=rate),
        observers=[Watch()],
        enable_rtvi=False,
    )

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(*_: object) -> None:
        asyncio.get_running_loop().create_task(speak(worker, rate, audio + bytes(2 * rate)))

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


async def speak(worker: PipelineWorker, rate: int, audio: bytes) -> None:
    """What a transport does: 20 ms of sound every 20 ms. The second of silence at its end ends the turn."""
    size = rate // 50 * 2
    for start in range(0, len(audio), size):
        await worker.queue_frame(InputAudioRawFrame(audio[start : start + size], rate, 1))
        await asyncio.sleep(0.02)
    await worker.queue_frame(EndFrame())


if len(sys.argv) != 3:
    sys.exit(__doc__)
logger.remove()  # its log tells every transcript
logger.add(sys.stderr, level="WARNING")
asyncio.run(main(*sys.argv[1:]))
