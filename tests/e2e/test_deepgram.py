"""Deepgram's own SDK, and the plugins of LiveKit and Pipecat for it, against ``rtc-stt demo``."""

from __future__ import annotations

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment
from deepgram.core import ApiError
from deepgram.core.events import EventType
from deepgram.listen.v1.types import (
    ListenV1Metadata,
    ListenV1Results,
    ListenV1SpeechStarted,
    ListenV1UtteranceEnd,
)

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.words import normalise
from tests.e2e import support
from tests.e2e.support import Clip, silence, until

pytestmark = pytest.mark.e2e

KEY = "a-key-of-sixteen-chars"
PACE = 3.0
"""How much faster than it is spoken audio is sent: slower than the server reads."""

PIECE = SAMPLE_RATE // 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that asks for a key."""
    started = support.Process(
        tmp_path_factory.mktemp("deepgram") / "server.log", "demo", "--port", "0", API_KEYS=KEY
    )
    try:
        yield started.url()
        started.stop()
        assert KEY not in started.log
    finally:
        started.kill()


def pcm(audio: Samples) -> bytes:
    return np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()


def wav(audio: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm(audio))
    return file.getvalue()


def spoken(clip: Clip, tail_s: float = 0.9) -> Samples:
    return np.concatenate([silence(0.4), clip.audio, silence(tail_s)])


async def pieces(audio: Samples) -> AsyncIterator[bytes]:
    """20 ms each, at their pace."""
    for start in range(0, len(audio), PIECE):
        yield pcm(audio[start : start + PIECE])
        await asyncio.sleep(PIECE / SAMPLE_RATE / PACE)


def same(heard: str, clip: Clip) -> bool:
    return normalise(heard) == normalise(clip.text)


# ── The official SDK ──


@contextlib.asynccontextmanager
async def sdk(url: str, key: str = KEY) -> AsyncIterator[AsyncDeepgramClient]:
    ws = url.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
    async with httpx.AsyncClient(timeout=20) as http:
        yield AsyncDeepgramClient(api_key=key, environment=environment, httpx_client=http)


@contextlib.asynccontextmanager
async def live(url: str, **asked: str) -> AsyncIterator[tuple[Any, list[Any]]]:
    """A stream, and what is told; at the end all has been told."""
    told: list[Any] = []
    asked = {"model": "nova-3", "language": "en-US", "encoding": "linear16", "sample_rate": "16000"} | asked
    async with sdk(url) as client, client.listen.v1.connect(**asked) as connection:  # type: ignore[arg-type]
        connection.on(EventType.MESSAGE, told.append)
        connection.on(EventType.ERROR, told.append)
        listening = asyncio.create_task(connection.start_listening())
        yield connection, told
        await connection.send_close_stream()
        async with asyncio.timeout(10):
            await listening


def text(result: ListenV1Results) -> str:
    return result.channel.alternatives[0].transcript


def finals(told: list[Any]) -> list[ListenV1Results]:
    return [message for message in told if isinstance(message, ListenV1Results) and message.is_final]


async def test_the_sdk_hears_a_live_stream_to_its_end(server: str, sentences: list[Clip]) -> None:
    first, second = sentences[:2]
    asked = {"interim_results": "true", "vad_events": "true", "utterance_end_ms": "1000"}
    async with live(server, **asked) as (connection, told):
        async for piece in pieces(np.concatenate([spoken(first, 1.4), second.audio])):
            await connection.send_media(piece)
        await connection.send_finalize()
        assert await until(lambda: len(finals(told)) == 2)
        await connection.send_finalize()
        assert await until(lambda: len(finals(told)) == 3)
        await connection.send_keep_alive()
    results = [message for message in told if isinstance(message, ListenV1Results)]
    one, two, empty = finals(told)
    assert same(text(one), first)
    assert (one.speech_final, one.from_finalize) == (True, False)
    assert same(text(two), second)
    assert (two.speech_final, two.from_finalize) == (True, True), "the finalize is answered by its final"
    assert (text(empty), empty.from_finalize) == ("", True), "also with nothing to say"
    assert len(results) > 4, "interims while somebody speaks"
    assert len([m for m in told if isinstance(m, ListenV1SpeechStarted)]) == 2
    (end,) = [message for message in told if isinstance(message, ListenV1UtteranceEnd)]
    words = one.channel.alternatives[0].words
    assert [word.punctuated_word for word in words] == text(one).split()
    assert end.last_word_end == words[-1].end
    # The clip is cut 0.1 s before its speech, and stands 0.4 s from the start.
    assert words[0].start == pytest.approx(0.5, abs=0.25)
    assert words[-1].end == pytest.approx(0.3 + first.seconds, abs=0.3)
    assert isinstance(told[-1], ListenV1Metadata)
    assert told[-1].duration == pytest.approx(1.8 + first.seconds + second.seconds, abs=0.05)
    assert one.metadata.request_id == told[-1].request_id


async def test_the_sdk_is_told_what_is_not_offered(server: str) -> None:
    for key, more, status in ((KEY, {"diarize": "true"}, 400), ("another-key-of-sixteen", {}, 401)):
        asked = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"} | more
        async with sdk(server, key) as client:
            with pytest.raises(ApiError) as refused:
                async with client.listen.v1.connect(**asked):  # type: ignore[arg-type]
                    pass
        assert refused.value.status_code == status
    async with sdk(server) as client:
        with pytest.raises(ApiError, match="summarize is not offered"):
            await client.listen.v1.media.transcribe_file(request=b"RIFF", summarize="v2")
        with pytest.raises(ApiError, match="fetches nothing"):
            await client.listen.v1.media.transcribe_url(url="http://127.0.0.1:1/a.wav")


async def test_the_sdk_has_a_recording_transcribed(server: str, sentences: list[Clip]) -> None:
    first, second = sentences[:2]
    async with sdk(server) as client:
        told = await client.listen.v1.media.transcribe_file(
            request=wav(np.concatenate([spoken(first, 1.2), spoken(second)])),
            model="nova-3",
            language="en",
            smart_format=True,
            utterances=True,
            paragraphs=True,
        )
    (channel,) = told.results.channels  # type: ignore[union-attr]
    (heard,) = channel.alternatives or ()
    assert normalise(heard.transcript or "") == normalise(f"{first.text} {second.text}")
    assert len(heard.words or ()) == len((heard.transcript or "").split())
    assert 0.5 < (heard.confidence or 0) <= 1
    assert told.results.utterances  # type: ignore[union-attr]
    assert heard.paragraphs
    assert told.metadata.duration == pytest.approx(2.9 + first.seconds + second.seconds, abs=0.05)  # type: ignore[union-attr]


# ── LiveKit's plugin ──


async def test_livekits_plugin_hears_a_stream_and_comes_back_after_a_break(
    server: str, sentences: list[Clip]
) -> None:
    from livekit import rtc
    from livekit.agents import APIConnectOptions
    from livekit.agents.stt import SpeechEventType
    from livekit.plugins import deepgram

    first, second = sentences[:2]
    heard: list[Any] = []

    def of(kind: SpeechEventType) -> list[Any]:
        return [event for event in heard if event.type is kind]

    async def listen(stream: Any) -> None:
        async for event in stream:
            heard.append(event)  # noqa: PERF401 — the test looks at it while it grows

    def frame(audio: bytes) -> rtc.AudioFrame:
        return rtc.AudioFrame(audio, SAMPLE_RATE, 1, len(audio) // 2)

    async with aiohttp.ClientSession() as http:
        stt = deepgram.STT(
            api_key=KEY, base_url=f"{server}/v1/listen", http_session=http, language="en-US", keyterm="light"
        )
        again = APIConnectOptions(max_retry=3, retry_interval=0.05, timeout=5)
        stream = stt.stream(conn_options=again)
        listening = asyncio.create_task(listen(stream))
        async for piece in pieces(spoken(first)):
            stream.push_frame(frame(piece))
        stream.flush()
        assert await until(lambda: of(SpeechEventType.END_OF_SPEECH))
        for connection in list(http.connector._acquired):  # type: ignore[union-attr]
            connection.transport.abort()  # type: ignore[union-attr]
        assert await until(lambda: not http.connector._acquired)  # type: ignore[union-attr]
        assert await until(lambda: http.connector._acquired), "it connects anew"  # type: ignore[union-attr]
        await asyncio.sleep(0.2)
        async for piece in pieces(spoken(second, 0.2)):
            stream.push_frame(frame(piece))
        stream.flush()
        assert await until(lambda: len(of(SpeechEventType.FINAL_TRANSCRIPT)) == 2)
        await stream.aclose()  # its own end would wait up to 5 s for its next sign of life
        await asyncio.wait([listening], timeout=10)
        recognised = await stt.recognize([frame(pcm(spoken(first)))], conn_options=again)
    one, two = (event.alternatives[0] for event in of(SpeechEventType.FINAL_TRANSCRIPT))
    assert same(one.text, first)
    assert same(two.text, second)
    assert [str(word) for word in one.words] == one.text.split()
    assert one.start_time == pytest.approx(0.5, abs=0.25)
    assert of(SpeechEventType.INTERIM_TRANSCRIPT)
    kinds = [
        event.type
        for event in heard
        if event.type in (SpeechEventType.START_OF_SPEECH, SpeechEventType.END_OF_SPEECH)
    ]
    assert kinds == [SpeechEventType.START_OF_SPEECH, SpeechEventType.END_OF_SPEECH] * 2
    assert same(recognised.alternatives[0].text, first)


# ── Pipecat's service ──


@contextlib.asynccontextmanager
async def pipeline(*processors: Any) -> AsyncIterator[Any]:
    """A pipeline that runs, for the block."""
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.workers.runner import WorkerRunner

    worker = PipelineWorker(
        Pipeline(list(processors)),
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    has_started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def _(*_: object) -> None:
        has_started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(10):
            await has_started.wait()
        yield worker
        await worker.stop_when_done()
        async with asyncio.timeout(10):
            await running
    finally:
        running.cancel()
        await asyncio.wait([running])


def collector(heard: list[Any]) -> Any:
    """A processor that keeps what comes to it."""
    from pipecat.processors.frame_processor import FrameProcessor

    class Collector(FrameProcessor):
        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            heard.append(frame)
            await self.push_frame(frame, direction)

    return Collector()


async def test_pipecats_service_hears_a_pipeline_and_connects_anew_for_other_settings(
    server: str, sentences: list[Clip]
) -> None:
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.frames.frames import (
        ErrorFrame,
        InputAudioRawFrame,
        InterimTranscriptionFrame,
        STTUpdateSettingsFrame,
        TranscriptionFrame,
        UserStoppedSpeakingFrame,
    )
    from pipecat.processors.audio.vad_processor import VADProcessor
    from pipecat.services.deepgram.stt import DeepgramSTTService

    first, second = sentences[:2]
    heard: list[Any] = []

    def of(kind: type) -> list[Any]:
        return [frame for frame in heard if isinstance(frame, kind)]

    service = DeepgramSTTService(api_key=KEY, base_url=server.replace("http", "ws", 1))

    async with pipeline(VADProcessor(vad_analyzer=SileroVADAnalyzer()), service, collector(heard)) as worker:

        async def say(audio: Samples) -> None:
            async for piece in pieces(audio):
                await worker.queue_frame(
                    InputAudioRawFrame(audio=piece, sample_rate=SAMPLE_RATE, num_channels=1)
                )

        await say(spoken(first))
        assert await until(lambda: of(TranscriptionFrame))
        before = service._connection
        await worker.queue_frame(STTUpdateSettingsFrame(delta=DeepgramSTTService.Settings(keyterm=["light"])))
        await worker.queue_frame(UserStoppedSpeakingFrame())  # it waits for the end of a turn
        assert await until(lambda: service._connection not in (None, before)), "new settings, new stream"
        await say(spoken(second))
        assert await until(lambda: len(of(TranscriptionFrame)) == 2)
    one, two = of(TranscriptionFrame)
    assert same(one.text, first)
    assert same(two.text, second)
    assert one.finalized, "the finalize at the end of speech is acknowledged by the final itself"
    assert two.finalized
    assert of(InterimTranscriptionFrame)
    assert not of(ErrorFrame)
