"""Where a recogniser of files begins and ends, which cannot find it out itself: at the true times. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtc_stt.audio import Samples, ms_to_samples
from rtc_stt.bench.turns.scene import Turn

__all__ = ["Cut", "TurnCutter"]

PRE_ROLL_MS = 300
"""What is left before a turn: models lose a syllable with which a recording begins."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A turn that is over, and its sound."""

    turn: str
    samples: Samples = field(repr=False)
    """16 kHz mono, shape ``(n,)``."""


@dataclass(frozen=True, slots=True)
class _Due:
    """In samples of all sound of the line."""

    turn: str
    start: int
    end: int
    at: int


class TurnCutter:
    """One line. A turn is due when its end and the hangover after it have been sent.

    Its sound goes from a little before its start to that moment, but never into its neighbours.
    """

    def __init__(self, hangover_ms: int) -> None:
        self._hangover = ms_to_samples(hangover_ms)
        self._due: deque[_Due] = deque()
        self._frames: deque[Samples] = deque()  # what of the line may still be wanted
        self._kept_from = self._sent = 0

    def scene_begins(self, turns: Sequence[Turn], line_ms: int) -> None:
        """See :class:`~rtc_stt.bench.turns.target.KnowsTurns`."""
        origin = ms_to_samples(line_ms)
        spans = [(origin + ms_to_samples(t.start_ms), origin + ms_to_samples(t.end_ms)) for t in turns]
        for number, (turn, (start, end)) in enumerate(zip(turns, spans, strict=True)):
            before = spans[number - 1][1] if number else 0
            after = spans[number + 1][0] if number + 1 < len(spans) else end + self._hangover
            due = end + self._hangover
            roll = max(before, start - ms_to_samples(PRE_ROLL_MS))
            self._due.append(_Due(turn.id, roll, min(due, after), due))

    def push(self, frame: Samples) -> list[Cut]:
        """More of the line, shape ``(n,)``; gives the turns that are due with its last sample."""
        self._frames.append(frame)
        self._sent += len(frame)
        cuts = []
        while self._due and self._due[0].at <= self._sent:
            due = self._due.popleft()
            cuts.append(Cut(due.turn, self._sound(due.start, due.end)))
        self._forget()
        return cuts

    def _sound(self, start: int, end: int) -> Samples:
        held = np.concatenate(list(self._frames))
        first = max(0, start - self._kept_from)
        return held[first : max(first, end - self._kept_from)].copy()

    def _forget(self) -> None:
        """Drop what no turn wants. A scene may begin any time with a turn, so the pre-roll of one is kept."""
        wanted = self._due[0].start if self._due else self._sent - ms_to_samples(PRE_ROLL_MS)
        while self._frames and self._kept_from + len(self._frames[0]) <= wanted:
            self._kept_from += len(self._frames.popleft())
