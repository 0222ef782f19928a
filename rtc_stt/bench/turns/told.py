"""What a target tells while it listens, in words that fit every recogniser. Pure data.

Most of them are those of :mod:`rtc_stt.testing.conformance.told` too.

A target that has no word for something does not tell it: who never says where a turn ends is not asked when.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Dropped", "Eager", "Endpoint", "Failed", "Final", "Heard", "Partial", "Resumed", "Told"]


@dataclass(frozen=True, slots=True)
class Partial:
    """What is understood so far of what has no final yet. It replaces the partial before it."""

    text: str
    stable_chars: int = 0
    """The first so many characters are declared to stand; 0 where the target makes no such promise."""
    utterance: str = ""
    """Whose partial it is, in the target's own numbering; empty where it has none."""
    audio_end_ms: int | None = None
    """Up to where it has listened, in ms of all audio sent on this line, where the target says so."""


@dataclass(frozen=True, slots=True)
class Eager:
    """What the final would be if nothing more is said."""

    text: str
    utterance: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The speaker went on: the eager text is taken back."""

    utterance: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The target holds that the turn is over."""

    utterance: str = ""


@dataclass(frozen=True, slots=True)
class Final:
    """What will not change any more. Several of them may make up a turn."""

    text: str
    utterance: str = ""
    degraded: bool = False
    """The target says itself that this is not as good as it should be."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """The target heard something and decided that it was nothing."""

    reason: str = ""
    utterance: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The target is of no more use on this line. ``reason`` names no text and no secret."""

    reason: str


Told = Partial | Eager | Resumed | Endpoint | Final | Dropped | Failed


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that was told, and when the client had it (monotonic seconds)."""

    at: float
    told: Told
