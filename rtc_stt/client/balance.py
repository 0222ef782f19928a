"""Which of several servers is asked. Pure: time is given.

::

    well ──a connection refused, or three failures in a row──▶ out for 1 s, then 2, 4 … 30 s
     ▲ ▲                                                        │
     │ └───── an answer, or a probe that finds it ready ────────┤ its time is up: it is probed,
     │                                                          │ and out again if that fails
     └── busy ◀──429, 503── well, for as long as ``Retry-After`` says

A server that is neither busy nor out is asked: the one with the fewest requests under way, and of several the
one that was asked longest ago. A probe costs nobody's request: it looks whether the server is ready, while
others are asked. After it the first failure is enough to be out again, for longer, until there is an answer.

Where nobody is well, the one that comes back soonest is asked: at once if it is out, which is only our guess,
and when its time has come if it is busy, which it has said.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Set
from dataclasses import dataclass

from rtc_stt.client.retries import ceiling

__all__ = ["Balance", "Choice", "Outcome"]

FAILURES = 3
"""In a row, before a server counts as out: one may be the request's, or the network's."""

FIRST_OUT_S, LONGEST_OUT_S = 1.0, 30.0

BUSY_S = 1.0
"""Where a server does not say for how long."""


class Outcome(enum.Enum):
    """What an attempt says of its server."""

    WELL = enum.auto()
    """It answers, whatever it says of the request."""
    BUSY = enum.auto()
    """It says that it is full, draining or asked too often."""
    FAILED = enum.auto()
    """It made a mistake, broke off, or did not answer in time."""
    UNREACHABLE = enum.auto()
    """No connection."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom to ask, and when."""

    place: int
    wait_s: float
    """0 but where nobody is well and all that can be asked has said when."""


@dataclass(slots=True)
class _Place:
    """One server. Times are of the caller's clock."""

    outstanding: int = 0
    begun: int = 0
    """The number of its newest request."""
    failures: int = 0
    """In a row."""
    times_out: int = 0
    """Since the last answer."""
    out_until: float | None = None
    """None: not out."""
    busy_until: float = -math.inf
    is_probed: bool = False

    def is_well(self, now: float) -> bool:
        return self.out_until is None and self.busy_until <= now

    def back_at(self) -> float:
        return max(self.busy_until, -math.inf if self.out_until is None else self.out_until)


class Balance:
    """Of ``places`` servers, which go by their numbers from 0. ``now``: seconds on any clock."""

    def __init__(self, places: int) -> None:
        self._places = [_Place() for _ in range(places)]
        self._requests = 0

    def is_well(self, place: int, now: float) -> bool:
        """Whether it is neither out nor busy."""
        return self._places[place].is_well(now)

    def outstanding(self, place: int) -> int:
        """Requests that it has begun and not ended."""
        return self._places[place].outstanding

    def has_well(self, now: float, *, but: Set[int] = frozenset()) -> bool:
        """Whether somebody is well beside those."""
        return any(p.is_well(now) for n, p in enumerate(self._places) if n not in but)

    def choose(self, now: float, *, tried: Set[int] = frozenset()) -> Choice:
        """Whom to ask. ``tried`` have failed at this very request: they come after others that are well."""
        well = [n for n, place in enumerate(self._places) if place.is_well(now)]
        if well:
            fresh = [n for n in well if n not in tried]
            return Choice(min(fresh or well, key=self._burden), 0.0)
        soonest = min(range(len(self._places)), key=lambda n: (self._places[n].back_at(), self._burden(n)))
        return Choice(soonest, max(0.0, self._places[soonest].busy_until - now))

    def begin(self, place: int) -> None:
        """A request goes there."""
        self._requests += 1
        self._places[place].outstanding += 1
        self._places[place].begun = self._requests

    def end(self, place: int, outcome: Outcome | None, now: float, told_s: float | None = None) -> None:
        """It has come back; None: it was broken off from here, which says nothing.

        Args:
            told_s: ``Retry-After`` of one that is busy.
        """
        at = self._places[place]
        at.outstanding -= 1
        match outcome:
            case Outcome.WELL:
                at.failures = at.times_out = 0
                at.out_until = None
            case Outcome.BUSY:
                at.busy_until = max(at.busy_until, now + (BUSY_S if told_s is None else told_s))
            case Outcome.FAILED:
                at.failures += 1
                if at.failures >= FAILURES:
                    self._eject(at, now)
            case Outcome.UNREACHABLE:
                self._eject(at, now)

    def due(self, now: float) -> list[int]:
        """Whom to probe now; each is told once, until :meth:`probed`."""
        found = [
            n
            for n, place in enumerate(self._places)
            if place.out_until is not None and place.out_until <= now and not place.is_probed
        ]
        for n in found:
            self._places[n].is_probed = True
        return found

    def probed(self, place: int, is_ready: bool, now: float) -> None:
        """What the probe found."""
        at = self._places[place]
        at.is_probed = False
        if at.out_until is None or at.out_until > now:  # a request has found out meanwhile
            return
        if is_ready:
            at.out_until, at.failures = None, FAILURES - 1
        else:
            self._eject(at, now)

    def _eject(self, at: _Place, now: float) -> None:
        """Many requests may fail at a time, for one reason: the next absence is longer, and not this one."""
        if at.out_until is None or at.out_until <= now:
            at.times_out += 1
        at.out_until = now + ceiling(at.times_out - 1, FIRST_OUT_S, LONGEST_OUT_S)

    def _burden(self, place: int) -> tuple[int, int]:
        return self._places[place].outstanding, self._places[place].begun
