"""What a way tells while it listens, and a record of it. Pure data.

What every recogniser tells has the words of the benchmark of turns (:mod:`rtc_stt.bench.turns.told`); the
rest is about the order in which things are told, which only conformance looks at.

A way that has no word for something does not tell it; its :class:`~rtc_stt.testing.conformance.way.Trait` set
says so, and then it is not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.bench.turns.told import Dropped, Eager, Failed, Final, Partial

__all__ = [
    "Asked",
    "Dropped",
    "Eager",
    "Ended",
    "Entry",
    "Failed",
    "Final",
    "Finished",
    "Flushed",
    "Partial",
    "Record",
    "Started",
    "Stopped",
    "Told",
]


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody speaks."""

    utterance: str = ""
    """Which one, in the way's own numbering; empty where it has none. Likewise below."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """They do not any more."""

    utterance: str = ""


@dataclass(frozen=True, slots=True)
class Flushed:
    """The answer to one flush: what was heard before it has its final."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word of all."""


Told = Started | Stopped | Partial | Eager | Final | Dropped | Flushed | Failed | Ended


@dataclass(frozen=True, slots=True)
class Asked:
    """The client asked for a flush."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The way has said that all is told: :meth:`~rtc_stt.testing.conformance.way.Line.finish` returned."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a record."""

    at: float
    """Seconds since the line was opened."""
    what: Told | Asked | Finished


@dataclass(frozen=True, slots=True)
class Record:
    """All of one conversation, in the order in which it happened."""

    entries: tuple[Entry, ...]

    @property
    def told(self) -> list[Told]:
        """What the way told."""
        return [e.what for e in self.entries if not isinstance(e.what, Asked | Finished)]

    @property
    def finals(self) -> list[Final]:
        """Those of them with words."""
        return [one for one in self.told if isinstance(one, Final) and one.text.strip()]

    @property
    def text(self) -> str:
        """All that became final."""
        return " ".join(final.text.strip() for final in self.finals)
