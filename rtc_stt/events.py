"""The events of protocol ``rtc-stt.v1``: what a session tells its client, and nothing else.

All positions and durations are integers in ms; positions are media time. Text is NFC. The wire form of
each event is its fields plus ``type`` (:mod:`rtc_stt.wire`). ``docs/reference/events.md`` shows one of each.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rtc_stt.hypothesis import Tier, Word

__all__ = [
    "EVENT_TYPES",
    "PROTOCOL",
    "Decision",
    "DropReason",
    "Event",
    "FastResult",
    "Finalized",
    "Pong",
    "Reason",
    "Route",
    "SessionEnded",
    "SessionError",
    "SessionResumed",
    "SessionStarted",
    "SessionWarning",
    "SpeechResumed",
    "SpeechStarted",
    "SpeechStopped",
    "Timing",
    "TranscriptEager",
    "TranscriptFinal",
    "TranscriptPartial",
    "UtteranceDropped",
]

PROTOCOL = "rtc-stt.v1"


class Decision(enum.StrEnum):
    """What became of the fast hypothesis."""

    ACCEPTED = "accepted"
    """The fast tier was sure enough."""
    REDECODED = "redecoded"
    """The accurate tier decoded again; its text stands."""
    VERIFIED = "verified"
    """The accurate tier checked the fast text and found it right (``REDECODE_MODE=verify``)."""
    REDECODE_FAILED = "redecode_failed"
    """It should have been decoded again, the accurate tier failed, the fast text stands."""
    REDECODE_TIMEOUT = "redecode_timeout"
    """It should have been decoded again, the accurate tier was too slow, the fast text stands."""
    REDECODE_SHED = "redecode_shed"
    """It should have been decoded again, there was no capacity, the fast text stands."""
    NO_ACCURATE_TIER = "no_accurate_tier"
    """It should have been decoded again, there is no accurate tier, the fast text stands."""


class Reason(enum.StrEnum):
    """Why the fast hypothesis was doubted."""

    LOW_LOGPROB = "low_logprob"
    LOW_LANGUAGE_PROBABILITY = "low_language_probability"
    FEW_WORDS = "few_words"
    DECODE_ERROR = "decode_error"
    """The fast tier failed, timed out, or looped."""


class DropReason(enum.StrEnum):
    """Why an utterance ended without a final."""

    NO_SPEECH = "no_speech"
    REPETITION = "repetition"
    KNOWN_PHRASE = "known_phrase"
    TOO_SHORT = "too_short"
    CANCELLED = "cancelled"
    DECODE_FAILED = "decode_failed"
    """No tier could decode it. Beyond the five reasons of the contract: losing words in silence would be
    a lie, and so would calling it ``cancelled``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event has."""

    type: ClassVar[str]

    at_ms: int
    """Media time at which the event arose: ms of audio received so far."""
    seq: int = 0
    """Number within the session, from 1 and without a gap; 0 until the session has stamped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """The first event of every session."""

    type: ClassVar[str] = "session.started"
    session_id: str
    resume_token: str
    """Opaque and secret; a new connection that names it goes on with the session."""
    protocol: str = PROTOCOL
    models: Mapping[str, str | None] = field(default_factory=dict)
    """Model names of the tiers ``fast`` and ``accurate``; None where there is none."""
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResumed(Event):
    """A new connection goes on with the session; what it had missed has just been sent again."""

    type: ClassVar[str] = "session.resumed"
    session_id: str
    gap_ms: int
    """Since the last audio came; silence takes its place, and that of the time until audio comes again."""
    resent: int
    """Events that were sent again."""
    moved: bool = False
    """Another gateway goes on with it, for its own has died: utterances that were open have no conclusion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(Event):
    """Someone began to speak."""

    type: ClassVar[str] = "speech.started"
    utterance_id: int
    audio_start_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptPartial(Event):
    """The utterance as it is understood so far. Replaces the previous partial as a whole."""

    type: ClassVar[str] = "transcript.partial"
    utterance_id: int
    revision: int
    """Grows within the utterance."""
    text: str
    stable_chars: int
    """The first so many characters of ``text`` will stand unchanged in all later partials."""
    audio_end_ms: int
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEager(Event):
    """The speaker paused: this would be the final if they are done. ``speech.resumed`` takes it back."""

    type: ClassVar[str] = "transcript.eager"
    utterance_id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResumed(Event):
    """The speaker went on after a ``transcript.eager``."""

    type: ClassVar[str] = "speech.resumed"
    utterance_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStopped(Event):
    """The endpoint: the utterance is over, its final follows."""

    type: ClassVar[str] = "speech.stopped"
    utterance_id: int
    audio_end_ms: int
    """True end of speech, before the hangover."""


@dataclass(frozen=True, slots=True)
class FastResult:
    """What the fast tier had said; None where it gave nothing."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Route:
    """How the final came about."""

    decision: Decision
    reasons: tuple[Reason, ...] = ()
    fast: FastResult | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time went, in ms."""

    hangover_ms: int
    """From the true end of speech to the endpoint, media time."""
    queue_ms: int
    """Spent waiting for a turn at the models, all decodes of this final together."""
    fast_infer_ms: int
    accurate_infer_ms: int
    """0 where the accurate tier was not asked."""
    endpoint_to_final_ms: int
    """From the endpoint to this event, on the server's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinal(Event):
    """The one lasting transcript of an utterance."""

    type: ClassVar[str] = "transcript.final"
    utterance_id: int
    text: str
    words: tuple[Word, ...]
    """Empty unless the session asked for word times."""
    language: str
    language_probability: float
    confidence: float
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    model: str
    tier: Tier
    route: Route
    audio_start_ms: int
    audio_end_ms: int
    timing: Timing
    concealed_ms: int = 0
    """Of the speech: made up by the codec in place of packets that did not come."""
    lost_ms: int = 0
    """Of all that was decoded, pre-roll and hangover included: silence in place of what is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceDropped(Event):
    """The utterance ends without a final, and why."""

    type: ClassVar[str] = "utterance.dropped"
    utterance_id: int
    reason: DropReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized(Event):
    """The answer to one ``finalize``."""

    type: ClassVar[str] = "finalized"
    id: str
    utterance_id: int | None
    """The utterance that the finalize ended; None where there was nothing to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWarning(Event):
    """Something is not as asked, and the session goes on."""

    type: ClassVar[str] = "warning"
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionError(Event):
    """Something failed; where ``fatal``, the session ends."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    fatal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Event):
    """The answer to a ``ping``."""

    type: ClassVar[str] = "pong"
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """The last event of every session."""

    type: ClassVar[str] = "session.ended"
    reason: str
    stats: Mapping[str, int | float | str] = field(default_factory=dict)


EVENT_TYPES: Mapping[str, type[Event]] = {
    cls.type: cls
    for cls in (
        SessionStarted,
        SessionResumed,
        SpeechStarted,
        TranscriptPartial,
        TranscriptEager,
        SpeechResumed,
        SpeechStopped,
        TranscriptFinal,
        UtteranceDropped,
        Finalized,
        SessionWarning,
        SessionError,
        Pong,
        SessionEnded,
    )
}
"""Every event by its wire name."""
