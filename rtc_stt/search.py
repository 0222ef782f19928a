"""Which number of sessions is tried next, and what the tries have shown. Pure.

::

    nothing tried yet                        1
    all went well so far                     twice as many, at most as many as were allowed
    the last one did not go well             the same again: it may have been ill luck
    a number failed every time               the middle between the most that went well and it,
                                             until the two are near enough to each other
    the speaking side was too slow, twice    no more: what was measured were the speakers
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["NEAR", "TRIES", "Found", "Trial", "Verdict", "found", "next_sessions"]

TRIES = 2
"""How often a number that does not go well is tried."""

NEAR = 0.125
"""The search ends when the least that was too much is at most so much over the most that was not, as a share
of that."""


class Verdict(enum.Enum):
    """What came of one try."""

    CARRIED = "carried"
    """All limits were kept."""
    TOO_MANY = "too many"
    """Some were not."""
    VOID = "void"
    """Those who speak were late themselves: the try says nothing of who listens."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One try."""

    sessions: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Found:
    """What is known after some tries."""

    carried: int
    """The most that went well; 0: not even one."""
    too_many: int | None
    """The least that failed every time; None: none did."""
    is_void: bool
    """The search ended at the speaking side."""

    @property
    def is_at_least(self) -> bool:
        """Whether it may be more: nothing was too much yet, or the speakers were too slow to say."""
        return self.too_many is None or self.is_void


def found(trials: Sequence[Trial]) -> Found:
    """What these tries, in their order, have shown."""
    carried = max((trial.sessions for trial in trials if trial.verdict is Verdict.CARRIED), default=0)
    failed = [trial for trial in trials if trial.sessions > carried]
    given_up = {
        trial.sessions: trial.verdict
        for n, trial in enumerate(failed)
        if sum(other.sessions == trial.sessions for other in failed[: n + 1]) == TRIES
    }
    too_many = [sessions for sessions, verdict in given_up.items() if verdict is Verdict.TOO_MANY]
    return Found(carried, min(too_many, default=None), Verdict.VOID in given_up.values())


def next_sessions(trials: Sequence[Trial], *, most: int, near: float = NEAR) -> int | None:
    """How many sessions to try now; None: the search is over.

    Args:
        trials: all tries so far, in their order.
        most: never more than this, at least 1.
        near: see :data:`NEAR`. For small numbers the search ends at neighbours.
    """
    if not trials:
        return 1
    last = trials[-1]
    again = sum(trial.sessions == last.sessions for trial in trials) < TRIES
    if last.verdict is not Verdict.CARRIED and again:
        return last.sessions
    known = found(trials)
    if known.is_void:
        return None
    if known.too_many is None:
        return min(2 * known.carried, most) if known.carried < most else None
    if known.too_many - known.carried <= max(1, int(near * known.carried)):
        return None
    return (known.carried + known.too_many) // 2
