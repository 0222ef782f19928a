"""One recording on its way to a transcript: the pump between reader, detector, cutter and decode pool."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from threading import Lock
from typing import BinaryIO, TypeVar

import numpy as np

from rtc_stt.audio import AudioBuffer, AudioFrame, Samples, Windower, samples_to_ms
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.errors import BadAudio, DecodeFailed, RtcSttError, Unavailable, trace
from rtc_stt.hypothesis import Tier
from rtc_stt.service.cutter import Cutter, Stretch
from rtc_stt.service.reader import read_recording
from rtc_stt.service.stretches import Stretches
from rtc_stt.service.transcript import Transcript
from rtc_stt.session import Speech
from rtc_stt.vad import DetectorState

__all__ = ["SHUTTING_DOWN", "Reading", "Recording"]

log = logging.getLogger(__name__)

SHUTTING_DOWN = "the server is shutting down"
TOO_DENSE = "a second of it takes longer to read than is reasonable: convert it to WAV, FLAC or MP3"

IN_FLIGHT = 2
"""Stretches of one recording in the decode pool: one is decoded while the next is found, and others get their
turn."""

POLL_S = 0.2
"""Between two looks at whether anybody waits for the transcript."""

READ_S = 30.0
"""For one chunk of audio. The densest honest second takes milliseconds; what takes this long is
made to."""

ANSWER_S = 900.0
"""For one stretch. The pool answers each; this ends a recording if one day it does not."""

LEAVE_S = 2.0
"""For the thread to let go of the upload, once it is told to."""

T = TypeVar("T")


class Reading:
    """A recording that is read in a thread, one chunk at a time."""

    def __init__(self, upload: BinaryIO, max_audio_s: float, threads: Executor) -> None:
        self._threads = threads
        self._is_stopped = False
        self._lock = Lock()  # the chunk that is being read is finished before the reader is closed
        self._chunks: Iterator[Samples] = read_recording(upload, max_audio_s, lambda: self._is_stopped)
        self._pending: asyncio.Future[Samples | None] | None = None

    def next(self) -> asyncio.Future[Samples | None]:
        """The next chunk; None at the end. Fails as :func:`read_recording` does."""
        self._pending = asyncio.get_running_loop().run_in_executor(self._threads, self._next)
        # One chunk is read ahead: if the recording fails elsewhere, nobody asks what became of it.
        self._pending.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._pending

    async def close(self) -> None:
        """Leave off. The upload is not touched any more, unless FFmpeg is caught in one packet of it."""
        self._is_stopped = True
        closing = asyncio.get_running_loop().run_in_executor(self._threads, self._close)
        await asyncio.wait({closing}, timeout=LEAVE_S)

    def _next(self) -> Samples | None:
        with self._lock:
            return None if self._is_stopped else next(self._chunks, None)

    def _close(self) -> None:
        with self._lock:
            self._chunks.close()  # type: ignore[attr-defined]


class Recording:
    """See above.

    Args:
        reading: its audio.
        stretches: takes what is found.
        check: raises where the recording is not to go on; asked a few times a second.
    """

    def __init__(
        self, speech: Speech, reading: Reading, stretches: Stretches, check: Callable[[], None]
    ) -> None:
        self._speech = speech
        self._reading = reading
        self._stretches = stretches
        self._check = check

    async def transcribe(self, options: Endpointing, segment_s: float) -> Transcript:
        """Cut at silences, each stretch decoded on its own."""
        windower, buffer, cutter = Windower(), AudioBuffer(), Cutter(options, segment_s)
        detector = self._speech.vad.new_state()
        async for chunk in self._chunks():
            frames = windower.push(chunk)
            await self._hear(frames, detector, buffer, cutter)
        if last := windower.flush():
            await self._hear([last], detector, buffer, cutter)
        for stretch in cutter.finish():
            await self._take(stretch, buffer)
        return await self._conclude(windower.received)

    async def transcribe_whole(self) -> Transcript:
        """As one stretch, as it is."""
        audio = np.concatenate([chunk async for chunk in self._chunks()])
        evidence = SpeechEvidence(speech_ms=samples_to_ms(len(audio)), mean_probability=1.0)
        self._stretches.add_raw(Stretch(0, len(audio), 0, len(audio), evidence), audio)
        return await self._conclude(len(audio))

    async def _chunks(self) -> AsyncIterator[Samples]:
        """Of the audio, one of them read ahead."""
        pending = self._reading.next()
        while (chunk := await self._wait([pending], READ_S, BadAudio(TOO_DENSE))) is not None:
            pending = self._reading.next()
            yield chunk

    async def _hear(
        self, frames: list[AudioFrame], detector: DetectorState, buffer: AudioBuffer, cutter: Cutter
    ) -> None:
        began = time.monotonic()
        judging = self._speech.vad.detect(detector, [frame.samples for frame in frames])
        try:
            judged = await self._wait([judging], ANSWER_S, DecodeFailed("the detector does not answer"))
        except RtcSttError:
            raise
        except Exception as error:  # whoever detects
            log.error("the voice activity detector failed: %s", trace(error))
            raise DecodeFailed("the voice activity detector failed") from error
        self._stretches.detected(began)
        for frame, probability in zip(frames, judged, strict=True):
            buffer.append(frame)
            rms = float(np.sqrt(np.mean(np.square(frame.samples))))
            for stretch in cutter.receive(len(frame.samples), probability, rms):
                await self._take(stretch, buffer)
        buffer.trim(cutter.needs_from)

    async def _take(self, stretch: Stretch, buffer: AudioBuffer) -> None:
        while len(self._stretches.in_flight) >= IN_FLIGHT:
            await self._any_stretch()
        self._stretches.add(stretch, buffer.slice(stretch.start, stretch.end))

    async def _conclude(self, samples: int) -> Transcript:
        while self._stretches.in_flight:
            await self._any_stretch()
        segments, dropped = self._stretches.outcomes()
        return Transcript(
            duration_ms=samples_to_ms(samples),
            segments=segments,
            dropped=dropped,
            spent=self._stretches.spent,
            model=self._speech.pool.models[Tier.FAST] or "",
            fallback_error=self._stretches.fallback_error,
        )

    # ── Waiting ────────────────────────────────────────────────────────────

    async def _any_stretch(self) -> None:
        """Until one of those in flight is decided."""
        await self._wait(self._stretches.in_flight, ANSWER_S, DecodeFailed("the decoder does not answer"))

    async def _wait(
        self, futures: Sequence[asyncio.Future[T]], patience_s: float, too_late: RtcSttError
    ) -> T:
        """The result of the first that is done."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while True:
            self._check()
            done, _ = await asyncio.wait(futures, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
            if asyncio.get_running_loop().time() > deadline:
                raise too_late
        first = done.pop()
        if first.cancelled():  # detector and threads are closed with the server
            raise Unavailable(SHUTTING_DOWN)
        return first.result()
