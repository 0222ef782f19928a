"""What is asked of a service, and what it answers. Pure vocabulary.

Names of the figures are faster-whisper's. Times are integers in ms of media time, from the start of the
recording.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rtc_stt.config import Routing
from rtc_stt.events import Decision, DropReason, Route
from rtc_stt.hypothesis import Tier, Word

__all__ = ["UNDOUBTING", "Dropped", "Options", "Segment", "Spent", "Transcript"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asks for."""

    language: str | None = None
    """Whisper language code, or None to detect it."""
    languages: tuple[str, ...] = ()
    """Among which it is detected; empty: as the server is configured."""
    prompt: str | None = field(default=None, repr=False)
    hotwords: str | None = field(default=None, repr=False)
    word_timestamps: bool = False
    cut: bool = True
    """False: the recording is one stretch of speech, at most 30 s: it is decoded as it is, without looking
    for speech in it and without doubting what was heard. So another rtc-stt asks, which has done both."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of speech, decoded on its own."""

    id: int
    """From 0."""
    start_ms: int
    end_ms: int
    text: str = field(repr=False)
    language: str
    language_probability: float
    """1.0 where the language was forced."""
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    model: str
    tier: Tier
    route: Route
    """How it came about, as of a live final."""
    words: tuple[Word, ...] = field(default=(), repr=False)

    @property
    def confidence(self) -> float:
        """``exp(avg_logprob)``, in [0, 1]."""
        return min(1.0, math.exp(self.avg_logprob))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A stretch without a text, and why."""

    start_ms: int
    end_ms: int
    reason: DropReason
    decision: Decision | None = None
    """As of :class:`~rtc_stt.finalizer.Dropped`: what became of a second opinion that was wanted."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time went, in ms, added up over all segments."""

    queue_ms: int = 0
    primary_infer_ms: int = 0
    fallback_infer_ms: int = 0


@dataclass(frozen=True, slots=True)
class Transcript:
    """The answer."""

    duration_ms: int
    segments: tuple[Segment, ...]
    dropped: tuple[Dropped, ...]
    spent: Spent
    model: str
    """Of the fast tier; what a recording without speech is said to be heard by."""
    fallback_error: str | None = None
    """What failed where the accurate tier was wanted and did not answer, in words: the first of several."""

    @property
    def text(self) -> str:
        """All of it, NFC."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def language(self) -> str | None:
        """In which most was said; None where nothing was."""
        spoken: dict[str, int] = {}
        for segment in self.segments:
            spoken[segment.language] = spoken.get(segment.language, 0) + segment.end_ms - segment.start_ms
        return max(spoken, key=lambda code: spoken[code]) if spoken else None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Of all segments, and of what was dropped after a second opinion was wanted."""
        dropped = tuple(d.decision for d in self.dropped if d.decision)
        return (*(segment.route.decision for segment in self.segments), *dropped)

    @property
    def fallback_was_used(self) -> bool:
        """Whether the accurate tier has the last word on any of it."""
        return any(d in (Decision.REDECODED, Decision.VERIFIED) for d in self.decisions)

    @property
    def fallback_failed(self) -> bool:
        """Whether it was wanted on any of it, and did not answer."""
        failed = (Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT, Decision.REDECODE_SHED)
        return any(d in failed for d in self.decisions)

    @property
    def is_unsure(self) -> bool:
        """Whether any of it was doubted on the fast tier, for whatever reason."""
        return any(segment.route.reasons for segment in self.segments) or bool(
            [d for d in self.dropped if d.decision]
        )

    @property
    def final_model(self) -> str:
        """Who has the last word; where several have, all of them, in order of first appearance."""
        return "+".join(dict.fromkeys(segment.model for segment in self.segments)) or self.model


UNDOUBTING = Routing(logprob_threshold=0.0, langprob_threshold=0.0, min_words=0)
"""Of a service that transcribes and does not route: no text is unsure."""
