"""A speaker in this process: a session that is spoken to in real time, and when each of its events came."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.pacing import FRAME, Pacer
from rtc_stt.bench.result import percentiles
from rtc_stt.events import (
    DropReason,
    Event,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech

__all__ = ["Heard", "MakeSpeech", "Turn", "Voice", "latencies", "loop_lag", "on_time", "silence"]

CONCLUSION_S = 30.0
"""How long is waited for what a session still owes when it has been told to end."""

E = TypeVar("E", bound=Event)


class MakeSpeech(Protocol):
    """Loads the models as the demo does, with some configuration keys changed."""

    def __call__(self, instrument: Instrument, changes: Mapping[str, str]) -> Speech:
        """The models warm, and all that sessions share."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and when it came (monotonic seconds)."""

    at: float
    event: Event


@dataclass(frozen=True, slots=True)
class Turn:
    """One clip that was spoken: when, by the monotonic clock, its speech truly began and ended."""

    clip: Clip
    t_on: float
    t_off: float


@dataclass
class Voice:
    """One session. Speak with :meth:`say`, end with :meth:`leave`."""

    speech: Speech
    heard: list[Heard] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    silent_since: float | None = None
    """When it had said all, monotonic seconds."""

    def __post_init__(self) -> None:
        self.session = Session(self.speech, self._hear, transport="bench")
        self.pacer = Pacer(time.monotonic())
        self.session.start()

    def _hear(self, event: Event) -> None:
        self.heard.append(Heard(time.monotonic(), event))

    async def say(self, audio: Samples) -> None:
        """Speak in real time; returns when the last frame has left. A last frame is filled with silence."""
        for start in range(0, len(audio), FRAME):
            frame = audio[start : start + FRAME]
            await asyncio.sleep(max(0.0, self.pacer.due - time.monotonic()))
            self.pacer.send(time.monotonic())
            self.session.receive_audio(np.pad(frame, (0, FRAME - len(frame))))

    async def say_clip(self, clip: Clip, audio: Samples) -> None:
        """Speak a clip and note its true times."""
        begun = self.pacer.media_ms
        self.turns.append(
            Turn(
                clip,
                self.pacer.wall(begun + clip.speech_start_ms),
                self.pacer.wall(begun + clip.speech_end_ms),
            )
        )
        await self.say(audio)

    async def leave(self) -> None:
        """End the session; what is open is finalised, and what stays away is found by :attr:`lost`."""
        self.silent_since = time.monotonic()
        self.session.finish("stopped")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONCLUSION_S):
                await asyncio.shield(self.session.ended)
        self.session.abort("cancelled")

    def of(self, kind: type[E]) -> Iterator[tuple[float, E]]:
        """The events of a kind, each with the time at which it came."""
        for heard in self.heard:
            if isinstance(heard.event, kind):
                yield heard.at, heard.event

    @property
    def started(self) -> int:
        """Utterances that began."""
        return sum(1 for _ in self.of(SpeechStarted))

    @property
    def lost(self) -> int:
        """Utterances that began and got neither a final nor a drop; one that was cancelled has got none."""
        told = {final.utterance_id for _, final in self.of(TranscriptFinal)}
        told |= {e.utterance_id for _, e in self.of(UtteranceDropped) if e.reason is not DropReason.CANCELLED}
        return len({e.utterance_id for _, e in self.of(SpeechStarted)} - told)

    @property
    def errors(self) -> int:
        """Fatal errors."""
        return sum(error.fatal for _, error in self.of(SessionError))

    @property
    def partials(self) -> int:
        """Partials that it was told."""
        return sum(1 for _ in self.of(TranscriptPartial))

    @property
    def finals(self) -> list[TranscriptFinal]:
        """Its finals."""
        return [final for _, final in self.of(TranscriptFinal)]

    def finals_of(self, turn: Turn) -> list[tuple[float, TranscriptFinal]]:
        """The finals of utterances that lie in a turn."""
        return [
            (at, final)
            for at, final in self.of(TranscriptFinal)
            if self.pacer.wall(final.audio_start_ms) < turn.t_off
            and self.pacer.wall(final.audio_end_ms) > turn.t_on
        ]


def endpoint_to_final_ms(voice: Voice) -> Iterator[float]:
    """From hearing ``speech.stopped`` to hearing its final."""
    stops = {stop.utterance_id: at for at, stop in voice.of(SpeechStopped)}
    for at, final in voice.of(TranscriptFinal):
        yield (at - stops[final.utterance_id]) * 1000


def partial_lags_ms(voice: Voice) -> Iterator[tuple[int, float]]:
    """Of each partial: where its audio ends (media ms), and how long after that was spoken it came."""
    for at, partial in voice.of(TranscriptPartial):
        yield partial.audio_end_ms, (at - voice.pacer.wall(partial.audio_end_ms)) * 1000


def first_partials_ms(voice: Voice) -> Iterator[float]:
    """From the true start of speech to the first partial whose first word is right, where there is one."""
    for turn in voice.turns:
        first = turn.clip.text.lower().split()[0].strip(".,?!¿")
        for at, partial in voice.of(TranscriptPartial):
            word = partial.text.lower().split()[:1]
            if at > turn.t_on and word and word[0].strip(".,?!¿") == first:
                if at < turn.t_off + 1.0:
                    yield (at - turn.t_on) * 1000
                break


def latencies(voices: Sequence[Voice]) -> dict[str, object]:
    """The figures of some voices together; times in ms, words as in ``docs/benchmarks.md``."""
    finals = [(v, turn, v.finals_of(turn)) for v in voices for turn in v.turns]
    return {
        "turns": len(finals),
        "turns_without_final": sum(not found for _, _, found in finals),
        "utterances": sum(v.started for v in voices),
        "finals": sum(len(v.finals) for v in voices),
        "dropped": sum(1 for v in voices for _ in v.of(UtteranceDropped)),
        "lost": sum(v.lost for v in voices),
        "endpoint_to_final_ms": percentiles(ms for v in voices for ms in endpoint_to_final_ms(v)),
        "ttfs_ms": percentiles((found[-1][0] - turn.t_off) * 1000 for _, turn, found in finals if found),
        "ttfs_less_hangover_ms": percentiles(
            (found[-1][0] - turn.t_off) * 1000 - found[-1][1].timing.hangover_ms
            for _, turn, found in finals
            if found
        ),
        "ttfp_ms": percentiles(ms for v in voices for ms in first_partials_ms(v)),
        "partial_lag_ms": percentiles(ms for v in voices for _, ms in partial_lags_ms(v)),
        "send_lag_ms": percentiles(ms for v in voices for ms in v.pacer.lags_ms),
    }


def silence(seconds: float) -> Samples:
    """So much of nothing, shape ``(n,)``."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


@contextlib.asynccontextmanager
async def loop_lag() -> AsyncIterator[list[float]]:
    """How late the event loop wakes who sleeps, in ms, for as long as the block lasts.

    Speakers and sessions share one loop here, so its lag is in every figure.
    """
    lags: list[float] = []

    async def watch() -> None:
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            lags.append((time.monotonic() - due) * 1000)

    watching = asyncio.get_running_loop().create_task(watch())
    try:
        yield lags
    finally:
        watching.cancel()


@contextlib.asynccontextmanager
async def on_time(seconds: Iterable[int], tick: Callable[[], object]) -> AsyncIterator[None]:
    """Call ``tick`` once a second at most ``len(seconds)`` times, and the rest of them at the end."""
    left = iter(seconds)

    async def count() -> None:
        for _ in left:
            await asyncio.sleep(1)
            tick()

    counting = asyncio.get_running_loop().create_task(count())
    try:
        yield
    finally:
        counting.cancel()
        for _ in left:
            tick()
