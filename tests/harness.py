"""A recognizer on a clock that tests move, whose requests wait until a test answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, Samples, ms_to_samples, samples_to_ms
from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import Event
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency, Word
from rtc_stt.recognizer import Recognizer
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render

E = TypeVar("E", bound=Event)

SPEECH, SILENCE = 0.95, 0.02
"""What a detector says of the two."""

CLEAR = SpeechEvidence(speech_ms=1_000, mean_probability=0.95)
"""A second of speech that the detector was sure of."""

TRUSTING = Routing(logprob_threshold=0, langprob_threshold=0, min_words=0)
"""Accepts whatever is sound."""


def said(text: str, start_ms: int = 500, word_ms: int = 300) -> list[Said]:
    """The words of ``text``, each after the other and without a pause."""
    return [
        Said(start_ms + i * word_ms, start_ms + (i + 1) * word_ms, word)
        for i, word in enumerate(text.split())
    ]


def request(
    stream: str = "a",
    utterance: int = 1,
    revision: int = 1,
    tier: Tier = Tier.FAST,
    urgency: Urgency = Urgency.FINAL,
    *,
    audio: Samples | None = None,
    audio_start: int = 0,
    language: str | None = None,
    **options: object,
) -> DecodeRequest:
    """A request of a second of silence, unless told otherwise."""
    if audio is None:
        audio = np.zeros(SAMPLE_RATE, np.float32)
    return DecodeRequest(
        stream, utterance, revision, tier, urgency, audio, audio_start, language, **options  # type: ignore[arg-type]
    )  # fmt: skip


def only(events: Iterable[Event], kind: type[E]) -> list[E]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def types(events: Iterable[Event]) -> list[str]:
    """The wire names of events."""
    return [event.type for event in events]


def conclusions(events: Iterable[Event]) -> list[Event]:
    """The finals and drops."""
    return [e for e in events if e.type in ("transcript.final", "utterance.dropped")]


def timed(script: Iterable[Said]) -> Callable[[DecodeRequest, str], Hypothesis]:
    """Answers of a scripted engine that tells the times of words where they are asked for."""
    script = list(script)

    def answer(asked: DecodeRequest, text: str) -> Hypothesis:
        first, last = samples_to_ms(asked.audio_start), samples_to_ms(asked.audio_end)
        heard = [s for s in script if first <= (s.start_ms + s.end_ms) / 2 < last]
        words = tuple(Word(s.word, s.start_ms, s.end_ms, 0.9) for s in heard)
        return hypothesis(asked, text, words=words if asked.word_timestamps else ())

    return answer


class Line:
    """See above. Audio follows a script of words; time passes with it, and by :meth:`wait`."""

    def __init__(
        self,
        script: Iterable[Said] = (),
        *,
        options: StreamOptions | None = None,
        routing: Routing | None = None,
        accurate: bool = True,
        eager_answers: bool = False,
        **endpointing: float,
    ) -> None:
        """``eager_answers``: every request is answered at once; ``endpointing``: other than by default."""
        script = list(script)
        options = options or StreamOptions(endpointing=Endpointing(**endpointing))  # type: ignore[arg-type]
        self.recognizer = Recognizer(
            "line", options, routing or Routing(min_words=0), has_accurate_tier=accurate
        )
        self.vad, self.engine = ScriptedVad(script), ScriptedEngine(script, answer=timed(script))
        self.source = render(script, max([s.end_ms for s in script], default=0) + 10_000)
        self.now = 0.0
        self.requests: list[DecodeRequest] = []
        self.told: list[Event] = []
        self._position = 0
        self._eager_answers = eager_answers

    # ── What happens to it ──

    def hear(self, until_ms: int) -> list[Event]:
        """Let audio come up to a media time (in whole windows); gives the events that follow from it."""
        before = len(self.told)
        while self._position + WINDOW <= ms_to_samples(until_ms):
            self.hear_window(self.vad.probability(self._position))
        return self.told[before:]

    def hear_window(self, probability: float) -> None:
        """One window of the source, judged as told."""
        samples = self.source[self._position : self._position + WINDOW]
        samples = np.pad(samples, (0, WINDOW - len(samples)))
        frame = AudioFrame(self._position, samples)
        self._position += WINDOW
        self.now += WINDOW / SAMPLE_RATE
        self.recognizer.receive_audio(frame, probability, self.now)
        self._collect()

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass without audio; timers ring when they are due."""
        before, until = len(self.told), self.now + seconds
        for _ in range(300):
            deadline = self.recognizer.next_deadline()
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.recognizer.handle_timer(self.now)
            self._collect()
        else:
            raise AssertionError("a timer that has rung asks to be called again at once, for ever")
        self.now = until
        return self.told[before:]

    def answer(self, asked: DecodeRequest, text: str | None = None, **figures: object) -> list[Event]:
        """Answer a request, by default with what the script says of its audio."""
        answer = self.engine.decode(asked) if text is None else hypothesis(asked, text)
        return self.give(replace(answer, **figures))  # type: ignore[arg-type]

    def fail(self, asked: DecodeRequest) -> list[Event]:
        """Answer that the engine failed."""
        return self.give(DecodeFailure(asked, "broken"))

    def give(self, answer: Hypothesis | DecodeFailure) -> list[Event]:
        """Hand over an answer."""
        before = len(self.told)
        self.recognizer.receive_hypothesis(answer, self.now)
        self._collect()
        return self.told[before:]

    def finalize(self, request_id: str = "f") -> list[Event]:
        """The command."""
        before = len(self.told)
        self.recognizer.finalize(request_id, self.now)
        self._collect()
        return self.told[before:]

    def mute(self, on: bool) -> list[Event]:
        """The command."""
        before = len(self.told)
        self.recognizer.mute(on, self.now)
        self._collect()
        return self.told[before:]

    def configure(self, options: StreamOptions) -> None:
        """The command."""
        self.recognizer.configure(options)

    def end(self) -> list[Event]:
        """No more audio comes."""
        before = len(self.told)
        self.recognizer.receive_end_of_audio(self.now)
        self._collect()
        return self.told[before:]

    # ── What came of it ──

    @property
    def position(self) -> int:
        """Samples heard."""
        return self._position

    def asked(self, urgency: Urgency | None = None, tier: Tier | None = None) -> list[DecodeRequest]:
        """All requests so far of an urgency and a tier, in order."""
        return [
            r
            for r in self.requests
            if (urgency is None or r.urgency is urgency) and (tier is None or r.tier is tier)
        ]

    def last(self, urgency: Urgency | None = None, tier: Tier | None = None) -> DecodeRequest:
        """The newest of them."""
        return self.asked(urgency, tier)[-1]

    def _collect(self) -> None:
        while fresh := self.recognizer.requests_to_decode():
            self.requests += fresh
            if self._eager_answers:
                for asked in fresh:
                    self.recognizer.receive_hypothesis(self.engine.decode(asked), self.now)
        self.told += self.recognizer.events()
