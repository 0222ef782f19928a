"""Whether a request is made again, and when. Pure: time and chance are given.

::

    what came                          alone                                 where another server is well
    ─────────────────────────────────  ────────────────────────────────────  ────────────────────────────
    429, 502, 503, 504                 later, not before ``Retry-After``     at once, there
    other 5xx                          never: the server says it cannot      at once, there
    anything else                      never: the request is wrong           never
    no connection                      later                                 at once, there
    no whole answer, or none in time   later, if doing it twice is harmless  likewise, at once, there
    an answer that cannot be read      never: that is no rtc-stt             at once, there

Later means: a time between 0 and a limit, at random, so that the clients of a server that comes back do not
come all at once ("full jitter": Exponential Backoff And Jitter, AWS Architecture Blog, 2015). The limit
doubles from 0.25 s to 8 s. ``Retry-After`` is waited for, and such a time added to it.

There are at most so many attempts; all of them and the waits between them have to fit into ``patience_s``.
A random time takes at most half of what is left, so that there is time for the attempt after it. A server
that wants to be asked later than that is not asked again.
"""

from __future__ import annotations

import enum

__all__ = ["Fault", "Retries", "ceiling"]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 8.0

SHORTEST_ATTEMPT_S = 0.1
"""With less time left there is no point in another one: its error would tell less than the one at hand."""

BUSY = frozenset({429, 502, 503, 504})


class Fault(enum.Enum):
    """Why there is no answer."""

    NO_CONNECTION = enum.auto()
    """Nothing was sent."""
    BROKEN = enum.auto()
    """The connection was lost before the answer was whole."""
    TOO_LATE = enum.auto()
    """There was no whole answer in time."""
    UNREADABLE = enum.auto()
    """It is not what a server of this kind says."""


class Retries:
    """The table above, for one call.

    Args:
        now: seconds on any clock.
        attempts: how many at most, the first one included.
        patience_s: for all of them.
        idempotent: whether the server may do it twice. Transcribing is: it costs time, and counts twice
            against a quota, but changes nothing.
    """

    def __init__(self, now: float, *, attempts: int, patience_s: float, idempotent: bool = True) -> None:
        self._until = now + patience_s
        self._attempts = attempts
        self._idempotent = idempotent
        self._made = 0

    def time_left(self, now: float) -> float:
        """Seconds that are left for the call."""
        return max(0.0, self._until - now)

    def answered(
        self, status: int, told_s: float | None, *, now: float, chance: float, elsewhere: bool = False
    ) -> float | None:
        """Seconds to wait before the next attempt, after an answer that is none of success; None: give up.

        Args:
            told_s: by ``Retry-After``.
            chance: in [0, 1).
            elsewhere: whether another server is well, and the next attempt goes there.
        """
        can_help = status in BUSY or (elsewhere and status >= 500)
        return self._next(told_s or 0.0, now, chance, elsewhere) if can_help else None

    def failed(self, fault: Fault, *, now: float, chance: float, elsewhere: bool = False) -> float | None:
        """Likewise, after no answer."""
        may_be_done = fault in (Fault.BROKEN, Fault.TOO_LATE)
        if (may_be_done and not self._idempotent) or (fault is Fault.UNREADABLE and not elsewhere):
            return None
        return self._next(0.0, now, chance, elsewhere)

    def _next(self, told_s: float, now: float, chance: float, elsewhere: bool) -> float | None:
        self._made += 1
        room = self._until - now - (0.0 if elsewhere else told_s)
        if self._made >= self._attempts or room < SHORTEST_ATTEMPT_S:
            return None
        if elsewhere:
            return 0.0
        return told_s + min(chance * ceiling(self._made - 1, FIRST_WAIT_S, LONGEST_WAIT_S), room / 2)


def ceiling(failures: int, first_s: float, longest_s: float) -> float:
    """The longest wait after so many failures before this one: doubling, up to a limit."""
    return min(longest_s, first_s * 2.0 ** min(failures, 30))
