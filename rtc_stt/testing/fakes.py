"""A detector, an engine and a target of the benchmark that do as they are told, and a replay.

They stand in for models in tests of logic. They prove nothing about recognition.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, Origin, Samples, Windower, ms_to_samples
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedTarget
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.errors import DecodeError
from rtc_stt.events import Decision, Event, Route, Timing, TranscriptFinal
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.recognizer import Recognizer
from rtc_stt.vad import DetectorState

__all__ = [
    "Cue",
    "Said",
    "ScriptedEngine",
    "ScriptedTarget",
    "ScriptedVad",
    "final",
    "hypothesis",
    "render",
    "replay",
]


@dataclass(frozen=True, slots=True)
class Said:
    """One word of a script: who listens from ``start_ms`` to ``end_ms`` hears it."""

    start_ms: int
    end_ms: int
    word: str


def render(script: Iterable[Said], duration_ms: int) -> Samples:
    """Audio for a script: a soft tone where something is said, silence elsewhere. Shape ``(n,)``."""
    audio = np.zeros(ms_to_samples(duration_ms), np.float32)
    for said in script:
        start, end = ms_to_samples(said.start_ms), ms_to_samples(said.end_ms)
        t = np.arange(start, min(end, len(audio)), dtype=np.float32) / SAMPLE_RATE
        audio[start : start + len(t)] = 0.3 * np.sin(2 * np.pi * 220 * t)
    return audio


class _Clock(DetectorState):
    position = 0


class ScriptedVad:
    """A detector that knows the script: 0.95 in windows that touch a word, 0.02 elsewhere."""

    def __init__(self, script: Iterable[Said]) -> None:
        self._script = list(script)

    def new_state(self) -> DetectorState:
        """A stream at its beginning."""
        return _Clock()

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`."""
        probabilities = []
        for state in states:
            assert isinstance(state, _Clock)
            probabilities.append(self.probability(state.position))
            state.position += WINDOW
        return probabilities

    def probability(self, position: int) -> float:
        """For the window that starts at a media position."""
        start, end = position * 1000 / SAMPLE_RATE, (position + WINDOW) * 1000 / SAMPLE_RATE
        heard = any(said.start_ms < end and said.end_ms > start for said in self._script)
        return 0.95 if heard else 0.02


def hypothesis(request: DecodeRequest, text: str, **figures: object) -> Hypothesis:
    """A plausible answer to a request, of which every figure can be set."""
    plain = Hypothesis(
        request=request,
        text=text,
        language=request.language or "en",
        language_probability=1.0 if request.language else 0.98,
        avg_logprob=-0.05,
        no_speech_prob=0.01,
        compression_ratio=1.0,
        tokens=len(text.split()),
        model=f"scripted-{request.tier}",
    )
    return replace(plain, **figures)  # type: ignore[arg-type]


def final(text: str, utterance_id: int = 1, **fields: object) -> TranscriptFinal:
    """A plausible final, of which every field can be set."""
    plain = TranscriptFinal(
        at_ms=0,
        utterance_id=utterance_id,
        text=text,
        words=(),
        language="en",
        language_probability=1.0,
        confidence=0.9,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        model="scripted",
        tier=Tier.FAST,
        route=Route(Decision.ACCEPTED),
        audio_start_ms=0,
        audio_end_ms=0,
        timing=Timing(500, 0, 0, 0, 0),
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


class ScriptedEngine:
    """An engine that hears the words of the script whose middle lies in the audio it is given.

    Args:
        script: what is said when.
        name: what events call it.
        delay_s: how long each call takes, be it of one request or of several.
        answer: makes the hypothesis from request and text; raise ``DecodeError`` in it to fail.
    """

    languages = frozenset({"en", "de"})

    def __init__(
        self,
        script: Iterable[Said],
        *,
        name: str = "scripted",
        delay_s: float = 0.0,
        answer: Callable[[DecodeRequest, str], Hypothesis] = hypothesis,
    ) -> None:
        self.name = name
        self.requests: list[DecodeRequest] = []
        self._script = list(script)
        self._delay_s = delay_s
        self._answer = answer

    def text(self, request: DecodeRequest) -> str:
        """What is said in the audio of a request."""
        first = request.audio_start * 1000 / SAMPLE_RATE
        last = request.audio_end * 1000 / SAMPLE_RATE
        return " ".join(
            said.word for said in self._script if first <= (said.start_ms + said.end_ms) / 2 < last
        )

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """See :class:`rtc_stt.decode_pool.Engine`."""
        self._take([request])
        return self._hear(request)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis | DecodeError]:
        """Likewise."""
        self._take(requests)
        entries: list[Hypothesis | DecodeError] = []
        for request in requests:
            try:
                entries.append(self._hear(request))
            except DecodeError as error:
                entries.append(error)
        return entries

    def _take(self, requests: Sequence[DecodeRequest]) -> None:
        self.requests += requests
        if self._delay_s:
            time.sleep(self._delay_s)  # in a decode thread, as a real engine would block

    def _hear(self, request: DecodeRequest) -> Hypothesis:
        return replace(self._answer(request, self.text(request)), model=self.name)


def replay(
    audio: Samples,
    vad: ScriptedVad,
    engines: dict[Tier, ScriptedEngine],
    *,
    options: StreamOptions | None = None,
    routing: Routing | None = None,
    chunks: Iterable[int] = (),
    origins: Iterable[tuple[int, Origin]] = (),
    end: bool = True,
) -> list[Event]:
    """Run a recognizer over audio in no time: every request is answered before the next frame.

    Args:
        chunks: sizes of the pieces the audio arrives in; the rest comes as one piece. The outcome does not
            depend on them.
        origins: what the audio is from, as runs of ``(samples, origin)``; the rest is received.
        end: whether the audio ends, so that what is open is finalised.
    """
    recognizer = Recognizer(
        "replay",
        options or StreamOptions(),
        routing or Routing(),
        has_accurate_tier=Tier.ACCURATE in engines,
    )
    told: list[Event] = []
    now = 0.0

    def settle() -> None:
        while requests := recognizer.requests_to_decode():
            for request in requests:
                recognizer.receive_hypothesis(_try(engines[request.tier], request), now)
        told.extend(recognizer.events())

    def receive(frame: AudioFrame) -> None:
        nonlocal now
        now = frame.end / SAMPLE_RATE
        recognizer.receive_audio(frame, 0.0 if frame.is_lost else vad.probability(frame.start), now)
        settle()

    windower = Windower()
    for piece, origin in _pieces(audio, chunks, list(origins)):
        for frame in windower.push(piece, origin):
            receive(frame)
    if tail := windower.flush():
        receive(tail)
    if end:
        recognizer.receive_end_of_audio(now)
        settle()
    return [replace(event, seq=number) for number, event in enumerate(told, 1)]


def _pieces(
    audio: Samples, chunks: Iterable[int], origins: Sequence[tuple[int, Origin]]
) -> Iterator[tuple[Samples, Origin]]:
    """The chunks, cut where the origin changes; what is lost is silence."""
    edges = {0, len(audio), *accumulate(chunks), *accumulate(size for size, _ in origins)}
    runs = list(zip(accumulate(size for size, _ in origins), (origin for _, origin in origins), strict=True))
    for start, end in pairwise(sorted(edge for edge in edges if edge <= len(audio))):
        origin = next((origin for until, origin in runs if start < until), Origin.RECEIVED)
        piece = audio[start:end]
        yield (np.zeros_like(piece) if origin is Origin.LOST else piece), origin


def _try(engine: ScriptedEngine, request: DecodeRequest) -> Hypothesis | DecodeFailure:
    try:
        return engine.decode(request)
    except DecodeError as error:
        return DecodeFailure(request, str(error))
