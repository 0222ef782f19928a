"""What is asked of a speech model, and what it answers.

Names of the figures (``avg_logprob``, ``no_speech_prob``, ``compression_ratio``) are faster-whisper's.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

from rtc_stt.audio import Samples, samples_to_ms

__all__ = ["DecodeFailure", "DecodeRequest", "Draft", "Hypothesis", "Tier", "Urgency", "Word"]


class Tier(enum.StrEnum):
    """Which model: the small one that always answers, or the larger one that is asked when in doubt."""

    FAST = "fast"
    ACCURATE = "accurate"


class Urgency(enum.IntEnum):
    """Who is served first; lower is sooner."""

    FINAL = 0
    """The speaker is done and waits."""
    EAGER = 1
    """The speaker paused; if they are done, this becomes the final."""
    PARTIAL = 2
    """The speaker goes on; the next partial will replace this one."""
    RECORDING = 3
    """Nobody speaks: a stretch of a recording, which has time, and is not lost either."""

    @property
    def is_last(self) -> bool:
        """Whether nothing will be asked in its place."""
        return self in (Urgency.FINAL, Urgency.RECORDING)


@dataclass(frozen=True, slots=True)
class Draft:
    """What another decode made of the same audio."""

    text: str = field(repr=False)
    language: str
    language_probability: float


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """One stretch of audio to be decoded, with the options of its session.

    ``(stream_id, utterance_id, revision, tier)`` names it. Revisions grow within an utterance, so of two
    requests that are not final the one with the lower revision is stale. Sending the same name again with
    a more urgent ``urgency`` promotes it.
    """

    stream_id: str
    utterance_id: int
    revision: int
    tier: Tier
    urgency: Urgency
    audio: Samples = field(repr=False, compare=False)
    """Shape ``(n,)``, 16 kHz; never mutated after the request is made."""
    audio_start: int
    """Media position of ``audio[0]``, in samples."""
    language: str | None = None
    """Whisper language code, or None to detect it."""
    languages: tuple[str, ...] = ()
    """Where it is detected, one of these is meant; empty: any that the model knows."""
    prompt: str | None = field(default=None, repr=False)
    """What the session said in advance of its topic and spelling."""
    context: str | None = field(default=None, repr=False)
    """What was said just before this audio, in the same utterance."""
    hotwords: str | None = field(default=None, repr=False)
    word_timestamps: bool = False
    draft: Draft | None = None
    """A text that only needs checking: the engine may answer with it, if it finds it probable."""
    request_id: str = field(default="", compare=False)
    """Of what it is for, told to a service that decodes it, as is …"""
    traceparent: str = field(default="", compare=False)
    """… where it stands in a trace (W3C); empty: in none."""

    @property
    def key(self) -> tuple[str, int, int, Tier]:
        """What names this request."""
        return self.stream_id, self.utterance_id, self.revision, self.tier

    @property
    def audio_end(self) -> int:
        """Media position just after the last sample."""
        return self.audio_start + len(self.audio)

    @property
    def duration_ms(self) -> int:
        """Length of the audio in ms."""
        return samples_to_ms(len(self.audio))


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript and where it was said, in ms of media time."""

    word: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a model believes was said in the audio of one request."""

    request: DecodeRequest
    text: str
    language: str
    language_probability: float
    """1.0 where the language was forced."""
    avg_logprob: float
    """Mean log probability per token, the end token included; at most 0."""
    no_speech_prob: float
    """The model's own belief that nobody spoke."""
    compression_ratio: float
    """Length of the text over its zlib-compressed length; loops compress well."""
    tokens: int
    """Text tokens generated."""
    model: str
    """Name of the model that said it."""
    words: tuple[Word, ...] = ()
    verified: bool = False
    """Whether the text is the request's draft, checked by this model and not decoded anew."""
    queue_ms: int = 0
    """How long the request waited for its turn."""
    infer_ms: int = 0
    """How long the model took."""
    batch: int = 1
    """Requests in the same call of it."""

    @property
    def confidence(self) -> float:
        """``exp(avg_logprob)``, in [0, 1]: the geometric mean of the token probabilities."""
        return min(1.0, math.exp(self.avg_logprob))

    @property
    def language_was_forced(self) -> bool:
        """Whether the session named the language, so that its probability says nothing."""
        return self.request.language is not None


@dataclass(frozen=True, slots=True)
class DecodeFailure:
    """The model gave no answer to a request."""

    request: DecodeRequest
    error: str
    """What failed, in words that hold no text and no audio."""
    shed: bool = False
    """Whether it was not tried, because there was no capacity."""
