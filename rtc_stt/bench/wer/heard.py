"""What both tiers made of a recording, and what would be sent of it under any routing. Pure.

Each part of a recording is decoded once by each tier, whatever the routing. What a service would send is
then asked of the service's own :class:`~rtc_stt.finalizer.Finalizer`: guard, router and all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rtc_stt.bench.wer.corpus import Recording
from rtc_stt.config import Routing
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import Reason
from rtc_stt.finalizer import Finalizer, Kept
from rtc_stt.hypothesis import DecodeFailure, Hypothesis, Tier

__all__ = ["ALWAYS", "NEVER", "Answer", "Cost", "Heard", "Piece", "Routed", "joined"]

Answer = Hypothesis | DecodeFailure

NEVER = Routing(logprob_threshold=0, langprob_threshold=0, min_words=0)
"""Nothing is doubted, but what is no text."""

ALWAYS = Routing(min_words=2**31)
"""Everything is doubted."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one decode took, in seconds."""

    wall_s: float = 0.0
    """Of the call."""
    cpu_s: float = 0.0
    """Of all threads of the process meanwhile."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)


@dataclass(frozen=True, slots=True)
class Routed:
    """What would be sent of a piece."""

    text: str
    """Empty where it is dropped."""
    is_redecoded: bool
    """Whether the accurate tier was asked."""
    reasons: tuple[Reason, ...]
    """Why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a recording that is decoded on its own; often all of it. The answers hold no audio."""

    evidence: SpeechEvidence
    fast: Answer
    accurate: Answer
    fast_cost: Cost
    accurate_cost: Cost

    def routed(self, routing: Routing) -> Routed:
        """By both tiers."""
        finalizer = Finalizer(self.evidence, routing, has_accurate_tier=True)
        finalizer.receive(self.fast)
        is_redecoded = finalizer.awaits is Tier.ACCURATE
        finalizer.receive(self.accurate)
        return Routed(_said(finalizer), is_redecoded, finalizer.reasons if is_redecoded else ())

    def alone(self, tier: Tier) -> str:
        """By a service that has this model only."""
        answer = self.fast if tier is Tier.FAST else self.accurate
        finalizer = Finalizer(self.evidence, NEVER, has_accurate_tier=False)
        finalizer.receive(replace(answer, request=replace(answer.request, tier=Tier.FAST)))
        return _said(finalizer)


def _said(finalizer: Finalizer) -> str:
    verdict = finalizer.verdict
    return verdict.hypothesis.text.strip() if isinstance(verdict, Kept) else ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording, decoded."""

    recording: Recording
    audio_s: float
    pieces: tuple[Piece, ...]
    """In the order of speech; none where no speech was found."""

    def alone(self, tier: Tier) -> str:
        """What a service with this model only would send of it."""
        return joined(piece.alone(tier) for piece in self.pieces)

    def routed(self, routing: Routing) -> str:
        """What a service with both would."""
        return joined(piece.routed(routing).text for piece in self.pieces)


def joined(texts: Iterable[str]) -> str:
    """The text of a recording from those of its pieces."""
    return " ".join(text for text in texts if text)
