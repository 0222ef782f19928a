"""Decodes every recording once by each tier, and keeps what the router and the guard go by.

**One decode at a time in a process**, so that its time is its own; on a CPU there are as many processes as
the cores allow, each with its share of the recordings. What counts on a CPU is the CPU time of the process
during the call, in which no waiting for a core is; on a GPU, with one process, it is the time of the call. A
recording is decoded by one tier right after the other, so that what disturbs the machine falls on both alike.

A recording of up to 30 s is decoded whole, a longer one is cut as the services do.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Samples, Windower, samples_to_ms
from rtc_stt.bench.wer.corpus import Recording
from rtc_stt.bench.wer.heard import Answer, Cost, Heard, Piece
from rtc_stt.config import Endpointing
from rtc_stt.decode_pool import Engine
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.errors import BadAudio, ConfigError, DecodeError, EngineBroken, ModelError
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Tier, Urgency
from rtc_stt.media import read_audio
from rtc_stt.service.cutter import Cutter, Stretch
from rtc_stt.service.transcriber import WHOLE_S
from rtc_stt.vad import Detector

__all__ = ["Ears", "Listened", "Listening", "fitting_workers", "listen"]

NO_AUDIO = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Listening:
    """How recordings are decoded."""

    endpointing: Endpointing = field(default_factory=Endpointing)
    """Says what is speech, where a recording is cut."""
    segment_s: float = 25.0
    """Stretches of one that is cut are no longer."""
    max_audio_s: float = 7_200.0
    language: str | None = None
    """A code for all; None: detected in each piece."""
    as_told: bool = False
    """Whether the language of the corpus goes with each recording, where it says one."""
    languages: tuple[str, ...] = ()
    """Among which is detected; empty: all that the model knows."""


class Ears:
    """Both tiers, and a detector for what is cut. One recording at a time."""

    def __init__(
        self, engines: Mapping[Tier, Engine], detector: Detector, how: Listening | None = None
    ) -> None:
        self._engines = engines
        self._detector = detector
        self._how = how or Listening()

    def hear(self, recording: Recording) -> Heard:
        """Decode it by both.

        Raises:
            BadAudio: it cannot be read, or is too long.
            ConfigError: it is in a language that a model does not know.
            EngineBroken: a model cannot go on.
        """
        language = (self._how.as_told and recording.language) or self._how.language
        for engine in self._engines.values():
            if language and language not in engine.languages:
                raise ConfigError(
                    f"{recording.id}: {engine.name} does not know the language {language!r}, "
                    f"only {', '.join(sorted(engine.languages))}"
                )
        audio = self._read(recording)
        pieces = tuple(self._piece(audio, stretch, language) for stretch in self._parts(audio))
        return Heard(recording, len(audio) / SAMPLE_RATE, pieces)

    def _read(self, recording: Recording) -> Samples:
        chunks, samples = [], 0
        for chunk in read_audio(recording.path):
            chunks.append(chunk)
            samples += len(chunk)
            if samples > self._how.max_audio_s * SAMPLE_RATE:
                raise BadAudio(f"{recording.path}: it is longer than MAX_AUDIO_S ({self._how.max_audio_s:g})")
        if not samples:
            raise BadAudio(f"{recording.path}: there is no sound in it")
        return np.concatenate(chunks)

    def _parts(self, audio: Samples) -> Iterator[Stretch]:
        """What is decoded on its own."""
        if len(audio) <= WHOLE_S * SAMPLE_RATE:
            # All of it is meant to be speech: no detector is asked.
            evidence = SpeechEvidence(speech_ms=samples_to_ms(len(audio)), mean_probability=1.0)
            yield Stretch(0, len(audio), 0, len(audio), evidence)
            return
        for stretch in self._stretches(audio):
            if stretch.evidence.speech_ms >= self._how.endpointing.min_speech_ms:
                yield stretch

    def _stretches(self, audio: Samples) -> Iterator[Stretch]:
        cutter, memory = Cutter(self._how.endpointing, self._how.segment_s), self._detector.new_state()
        windower = Windower()
        frames = windower.push(audio)
        if last := windower.flush():
            frames.append(last)
        for frame in frames:
            window = np.zeros((1, WINDOW), np.float32)
            window[0, : len(frame.samples)] = frame.samples
            [probability] = self._detector.detect([memory], window)
            loudness = float(np.sqrt(np.mean(np.square(frame.samples))))
            yield from cutter.receive(len(frame.samples), probability, loudness)
        yield from cutter.finish()

    def _piece(self, audio: Samples, stretch: Stretch, language: str | None) -> Piece:
        requests = {
            tier: DecodeRequest(
                stream_id="wer",
                utterance_id=1,
                revision=1,
                tier=tier,
                urgency=Urgency.RECORDING,
                audio=audio[stretch.start : stretch.end],
                audio_start=stretch.start,
                language=language,
                languages=self._how.languages,
            )
            for tier in Tier
        }
        fast, fast_cost = self._decode(requests[Tier.FAST])
        accurate, accurate_cost = self._decode(requests[Tier.ACCURATE])
        return Piece(stretch.evidence, fast, accurate, fast_cost, accurate_cost)

    def _decode(self, request: DecodeRequest) -> tuple[Answer, Cost]:
        """The answer without the audio, and what it took."""
        answer: Answer
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            answer = self._engines[request.tier].decode(request)
        except EngineBroken:
            raise
        except DecodeError as error:
            answer = DecodeFailure(request, str(error))
        cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
        return replace(answer, request=replace(request, audio=NO_AUDIO)), cost


@dataclass(slots=True)
class Listened:
    """What a run came to."""

    heard: list[Heard] = field(default_factory=list)
    """In the order of the corpus."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why, by id."""
    stopped: str = ""
    """Why it ended before its time, if it did."""


def listen(
    recordings: Sequence[Recording],
    make_ears: Callable[[], Ears],
    *,
    workers: int,
    tick: Callable[[], object],
) -> Listened:
    """Decode them all. Ctrl-C, and a model that breaks, end it; what was decoded is kept.

    Args:
        make_ears: is called in each process, so it can be pickled where there are several.
        workers: processes; with 1 it is this one.
        tick: is called after each recording.

    Raises:
        ConfigError: a recording is in a language that a model does not know.
        ModelError: the models cannot be loaded.
    """
    listened = Listened()
    run = _here(recordings, make_ears) if workers == 1 else _beside(recordings, make_ears, workers)
    try:
        with closing(run):
            for recording, outcome in run:
                if isinstance(outcome, Heard):
                    listened.heard.append(outcome)
                else:
                    listened.unreadable[recording.id] = outcome
                tick()
    except KeyboardInterrupt:
        listened.stopped = "interrupted"
    except EngineBroken as error:
        listened.stopped = f"a model broke: {error}"
    order = {recording.id: number for number, recording in enumerate(recordings)}
    listened.heard.sort(key=lambda heard: order[heard.recording.id])
    return listened


Outcome = Heard | str
"""Or why it cannot be read."""


def _here(
    recordings: Sequence[Recording], make_ears: Callable[[], Ears]
) -> Generator[tuple[Recording, Outcome], None, None]:
    ears = make_ears()
    for recording in recordings:
        yield recording, _hear(ears, recording)


def _hear(ears: Ears, recording: Recording) -> Outcome:
    try:
        return ears.hear(recording)
    except BadAudio as error:
        return str(error)


def _beside(
    recordings: Sequence[Recording], make_ears: Callable[[], Ears], workers: int
) -> Generator[tuple[Recording, Outcome], None, None]:
    """In other processes, as they are done."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork would share the locks of models' threads
    executor = ProcessPoolExecutor(workers, context, _begin, (make_ears,))
    is_done = False
    try:
        futures: dict[Future[Outcome], Recording] = {
            executor.submit(_hear_there, recording): recording for recording in recordings
        }
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
        is_done = True
    except BrokenProcessPool as error:
        raise ModelError(
            "a process that decodes has died: is there memory for so many? Try --workers 1"
        ) from error
    finally:
        if not is_done:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()  # in the middle of a decode
        executor.shutdown(cancel_futures=True)


_ears: Ears | ModelError | None = None
"""Of this process, where it is one of those that decode."""


def _begin(make_ears: Callable[[], Ears]) -> None:
    global _ears
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    try:
        _ears = make_ears()
    except ModelError as error:  # told with the first recording
        _ears = error


def _hear_there(recording: Recording) -> Outcome:
    assert _ears is not None, "the process has begun"
    if isinstance(_ears, ModelError):
        raise _ears
    return _hear(_ears, recording)


def fitting_workers(cpu_threads: int) -> int:
    """As many as have a core for each thread of their decode."""
    return max(1, len(os.sched_getaffinity(0)) // cpu_threads)
