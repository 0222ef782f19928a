"""What became of what was said: from notes with times to figures. Pure; times are seconds of one clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

from rtc_stt.bench.words import normalise

__all__ = [
    "Phases",
    "Said",
    "Told",
    "by_phase",
    "delays",
    "gone_on_after",
    "longest_silence",
    "missed_events",
    "percentile",
]


@dataclass(frozen=True, slots=True)
class Said:
    """A recording that was spoken."""

    text: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Told:
    """An event that came."""

    at: float
    session: str
    """Id of its session."""
    seq: int
    final: str | None = None
    """Its text, where it is a final."""
    is_transcript: bool = False
    """Whether it is a partial or a final."""


@dataclass(frozen=True, slots=True)
class Phases:
    """Before a fault, while it lasts and is got over, and after."""

    fault: float
    over: float

    def of(self, at: float) -> str:
        """Which one a moment is in."""
        if at < self.fault:
            return "before"
        return "during" if at < self.over else "after"


def delays(said: Sequence[Said], told: Iterable[Told]) -> list[tuple[float, float]]:
    """From the end of each recording to its final: when it ended, and the delay.

    Finals come in the order in which was spoken, so both are laid beside each other. Recordings whose words
    came otherwise (in two finals, misheard) are left out here: they are counted by their words.
    """
    finals = [event for event in told if event.final is not None]
    spoken = [" ".join(normalise(one.text)) for one in said]
    heard = [" ".join(normalise(event.final or "")) for event in finals]
    pairs = SequenceMatcher(a=spoken, b=heard, autojunk=False).get_matching_blocks()
    beside = [(said[one.a + n], finals[one.b + n]) for one in pairs for n in range(one.size)]
    return [(one.ended, event.at - one.ended) for one, event in beside if event.at > one.begun]


def longest_silence(told: Sequence[Told], begin: float, end: float) -> float:
    """The longest time between two transcripts, partial or final, that ended within these bounds."""
    times = [event.at for event in told if event.is_transcript]
    gaps = (later - earlier for earlier, later in pairwise(times) if begin <= later < end)
    return max(gaps, default=0.0)


def gone_on_after(told: Sequence[Told], said: Sequence[Said], moment: float) -> float | None:
    """Seconds from the end of the first recording that began after a moment, to the first transcript after it
    began; negative where it was told while it was spoken. None: nothing came any more."""
    for one in said:
        if one.begun >= moment:
            came = [event.at for event in told if event.is_transcript and event.at > one.begun]
            return came[0] - one.ended if came else None
    return None


def missed_events(told: Iterable[Told]) -> int:
    """Numbers that are missing within sessions; a client takes none twice."""
    last: dict[str, int] = {}
    missing = 0
    for event in told:
        missing += max(0, event.seq - last.get(event.session, 0) - 1)
        last[event.session] = max(event.seq, last.get(event.session, 0))
    return missing


def percentile(values: Iterable[float], share: float) -> float | None:
    """Rounded to ms; None where there is nothing."""
    found = list(values)
    return round(float(np.percentile(found, share)), 3) if found else None


def by_phase(pairs: Iterable[tuple[float, float]], phases: Phases) -> dict[str, list[float]]:
    """Values by the phase of their moment."""
    found: dict[str, list[float]] = {"before": [], "during": [], "after": []}
    for at, value in pairs:
        found[phases.of(at)].append(value)
    return found
