"""A recognizer under any weather, and everything that must hold of what it told."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Samples, samples_to_ms
from rtc_stt.commit import Lengths
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Urgency, Word
from rtc_stt.testing import hypothesis
from tests.harness import SPEECH, Line, only

NOISE = np.random.default_rng(11).standard_normal(SAMPLE_RATE * 120).astype(np.float32)
"""No two stretches of it are alike, so audio that was moved or doubled shows."""

MOODS: dict[str, tuple[str, dict[str, object]]] = {
    "good": ("n{0} alpha beta gamma", {}),
    "other": ("n{0} alpha beta delta epsilon", {}),
    "unsure": ("n{0} alpha gamma", {"avg_logprob": -2.0}),
    "any language": ("n{0} beta gamma", {"language_probability": 0.1}),
    "empty": ("", {}),
    "sure of silence": ("", {"no_speech_prob": 0.95, "avg_logprob": -2.0}),
    "loop": ("no " * 20, {"compression_ratio": 6.0}),
    "known phrase": ("Thank you.", {"no_speech_prob": 0.5}),
    "fails": ("", {}),
}
"""How an engine may answer; ``n{0}`` becomes the place of the request among all requests."""


def evenly(asked: DecodeRequest, text: str) -> tuple[Word, ...]:
    """The words of a text, spread over the audio."""
    words = text.split()
    start, step = samples_to_ms(asked.audio_start), asked.duration_ms // max(1, len(words))
    return tuple(Word(w, start + i * step, start + (i + 1) * step, 0.9) for i, w in enumerate(words))


class Storm(Line):
    """A line whose audio is noise, whose detector says what the weather says, and that keeps account."""

    def __init__(
        self, options: StreamOptions | None = None, routing: Routing | None = None, *, accurate: bool = True
    ) -> None:
        super().__init__(options=options, routing=routing, accurate=accurate)
        self.routing = routing or Routing(min_words=0)
        self.source = NOISE
        self.finalizes: list[str] = []
        self.kept: list[Samples] = []  # what may be decoded: the source, and zeros while muted
        self.judged: list[float] = []  # by window
        self.is_muted = False

    def windows(self, count: int, probability: float) -> None:
        """So much audio, all judged alike."""
        for _ in range(count):
            at = self.position
            piece = self.source[at : at + WINDOW]
            self.kept.append(np.zeros_like(piece) if self.is_muted else piece)
            self.judged.append(probability)
            self.hear_window(probability)

    def reply(self, index: int, mood: str) -> list[Event]:
        """Answer the ``index``-th of all requests, whether or not it was answered before."""
        asked = self.requests[index % len(self.requests)]
        return self.give(self.opinion(asked, mood))

    def opinion(self, asked: DecodeRequest, mood: str) -> Hypothesis | DecodeFailure:
        """What an engine of this mood says of a request."""
        if mood == "fails":
            return DecodeFailure(asked, "broken")
        if asked.draft and mood in ("good", "other", "any language", "known phrase"):
            return hypothesis(asked, asked.draft.text, verified=True)
        text, figures = MOODS[mood]
        place = next(i for i, r in enumerate(self.requests) if r is asked)
        text = text.format(place)
        words = evenly(asked, text) if asked.word_timestamps and mood in ("good", "empty") else ()
        return hypothesis(asked, text, words=words, **figures)

    def command_finalize(self) -> None:
        """A finalize with a name of its own."""
        self.finalizes.append(f"f{len(self.finalizes)}")
        self.finalize(self.finalizes[-1])

    def command_mute(self, on: bool) -> None:
        """Mute or unmute."""
        self.is_muted = on
        self.mute(on)

    def finish(self) -> None:
        """The audio ends and nobody answers any more: all that is open ends in its time."""
        self.end()
        self.wait((self.routing.decode_deadline_ms + self.routing.redecode_deadline_ms) / 1000 + 0.001)
        assert self.recognizer.is_idle, "every deadline has passed"
        assert self.recognizer.next_deadline() is None

    def _collect(self) -> None:
        told, asked = len(self.told), len(self.requests)
        super()._collect()
        for event in self.told[told:]:
            assert event.at_ms == samples_to_ms(self.position), "an event tells the time at which it arose"
        for made in self.requests[asked:]:
            assert made.audio_end <= self.position
            if made.urgency is Urgency.PARTIAL:
                assert len(made.audio) <= Lengths.of(self.recognizer.options.commit_after_s).bound

    # ── What must hold at any time ──

    def check(self) -> None:
        """The invariants of what was told and asked so far."""
        self._check_speech()
        self._check_utterances()
        self._check_partials()
        self._check_eager()
        self._check_finalizes()
        self._check_audio()

    def check_ended(self) -> None:
        """And those that hold once all is over."""
        self.check()
        stopped = [e.utterance_id for e in only(self.told, SpeechStopped)]
        assert self._concluded() == stopped, "every utterance has one final or drop, in the order of speech"
        assert Counter(e.id for e in only(self.told, Finalized)) == Counter(self.finalizes)

    def _concluded(self) -> list[int]:
        return [e.utterance_id for e in self.told if isinstance(e, TranscriptFinal | UtteranceDropped)]

    def _check_speech(self) -> None:
        turns = [e for e in self.told if isinstance(e, SpeechStarted | SpeechStopped)]
        for i, event in enumerate(turns):
            assert isinstance(event, SpeechStarted if i % 2 == 0 else SpeechStopped)
            assert event.utterance_id == i // 2 + 1
        times = [e.audio_start_ms if isinstance(e, SpeechStarted) else e.audio_end_ms for e in turns]
        assert times == sorted(times)

    def _check_utterances(self) -> None:
        concluded = self._concluded()
        assert concluded == sorted(set(concluded)), "one conclusion each, in order"
        over: set[int] = set()
        stopped: set[int] = set()
        for event in self.told:
            number = getattr(event, "utterance_id", None)
            if isinstance(event, SpeechStopped):
                stopped.add(event.utterance_id)
            elif isinstance(event, TranscriptFinal | UtteranceDropped):
                assert number in stopped
                over.add(event.utterance_id)
            elif not isinstance(event, Finalized):
                assert number not in stopped, "after the endpoint only the conclusion is told"
        for final in only(self.told, TranscriptFinal):
            assert final.text.strip() == final.text != ""
            assert final.audio_start_ms < final.audio_end_ms <= final.at_ms
            timing = final.timing
            assert min(timing.hangover_ms, timing.endpoint_to_final_ms) >= 0

    def _check_partials(self) -> None:
        stable: dict[int, str] = {}
        revision: dict[int, int] = {}
        for partial in only(self.told, TranscriptPartial):
            number = partial.utterance_id
            assert partial.text.strip()
            assert partial.revision > revision.get(number, 0)
            revision[number] = partial.revision
            now = partial.text[: partial.stable_chars]
            assert len(now) == partial.stable_chars
            assert now.startswith(stable.get(number, ""))
            stable[number] = now

    def _check_eager(self) -> None:
        standing: int | None = None
        for event in self.told:
            if isinstance(event, TranscriptEager):
                assert standing is None
                standing = event.utterance_id
            elif isinstance(event, SpeechResumed):
                assert standing == event.utterance_id
                standing = None
            elif isinstance(event, TranscriptPartial):
                assert standing != event.utterance_id, "a partial would replace the eager text"
            elif (
                isinstance(event, TranscriptFinal | UtteranceDropped) and standing == event.utterance_id
            ) or isinstance(event, SpeechStarted):
                standing = None

    def _check_finalizes(self) -> None:
        answered = [e.id for e in only(self.told, Finalized)]
        assert answered == self.finalizes[: len(answered)], "each once, in order"

    def _check_audio(self) -> None:
        """Of the attempts that count: in order, apart, whole, and of the source's own samples."""
        dropped = {e.utterance_id: e.reason for e in only(self.told, UtteranceDropped)}
        ends = {e.utterance_id: e for e in only(self.told, SpeechStopped)}
        starts = {e.utterance_id: e for e in only(self.told, SpeechStarted)}
        attempts = self.attempts()
        kept = np.concatenate(self.kept) if self.kept else np.empty(0, np.float32)
        taken = 0
        for number, stopped in ends.items():
            made = attempts.get(number)
            if made is None:
                assert dropped.get(number, DropReason.TOO_SHORT) is DropReason.TOO_SHORT
                continue
            assert samples_to_ms(made[0].audio_start) <= starts[number].audio_start_ms
            assert samples_to_ms(made[-1].audio_end) >= stopped.audio_end_ms
            for before, after in pairwise(made):
                between = self.judged[before.audio_end // WINDOW : after.audio_start // WINDOW]
                assert max(between, default=0) < SPEECH, "between two segments nothing is lost but silence"
            for part in made:
                assert part.audio_start >= taken, "no sample is decoded twice into finals"
                taken = part.audio_end
                np.testing.assert_array_equal(part.audio, kept[part.audio_start : part.audio_end])
        for final in only(self.told, TranscriptFinal):
            self._check_sources(final, {made.key[:3] for made in attempts[final.utterance_id]})

    def _check_sources(self, final: TranscriptFinal, attempts: set[tuple[str, int, int]]) -> None:
        """What a final says was said by the attempts that count, each once, or by a partial instead."""
        sources = [self.requests[int(named)] for named in re.findall(r"n(\d+) ", final.text)]
        assert all(source.utterance_id == final.utterance_id for source in sources)
        told = [source.key for source in sources if source.urgency is not Urgency.PARTIAL]
        assert len(told) == len(set(told))
        assert {key[:3] for key in told} <= attempts, "the attempts that count, no older ones"

    def attempts(self) -> dict[int, list[DecodeRequest]]:
        """By utterance, the last attempt at each of its segments, in the order of speech."""
        last: dict[int, dict[int, DecodeRequest]] = {}
        for made in self.requests:
            if made.urgency is not Urgency.PARTIAL:
                last.setdefault(made.utterance_id, {})[made.audio_start] = made
        return {number: [own[start] for start in sorted(own)] for number, own in last.items()}


def ranges(line: Storm) -> list[tuple[int, int]]:
    """The audio of the attempts that count."""
    return [(made.audio_start, made.audio_end) for own in line.attempts().values() for made in own]
