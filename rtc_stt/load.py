"""What the machine can carry, and what is left out when it is more: the ladder.

As load rises one thing after another is left out, what is missed least first; as it falls they come back in
reverse. Finals are never left out: a speaker who was let in is answered.

::

    over (someone waits too long, or the queue fills up) for RISE_S     one step up
    not over for FALL_S, and room for what the step below adds          one step down
    up again soon after a step down                                     the next one down takes twice as long,
                                                                        but where there is ample room
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FULL_EFFORT", "LOAD_WARNINGS", "Effort", "Ladder", "Pressure", "Step", "effort_at"]

RISE_S = 0.5
"""Overload for so long is no mere burst."""

SETTLE_S = 1.0
"""Steps up are at least so far apart: a step is felt when what waits already has been decoded."""

FALL_S = 1.5
"""Steps down are at least so far apart: five of them take less than ten seconds."""

MOST_FALL_S = 60.0
"""A load between two steps makes the ladder try the lower one now and then, in the end once in so long."""

RELAPSE_S = 10.0
"""A step up so soon after one down means that there was no room."""

FINAL_WAIT_S = 0.2
"""A final, or an eager one, should not wait longer for its turn. Of a lone speaker none ever does."""

PARTIAL_WAIT_S = 0.4
"""Nor should a partial: with its decode it would come later than 0.7 s, when it helps nobody any more."""

FULL_QUEUE = 0.5
"""Share of the queue's bounds from which it is filling up."""


class Step(enum.IntEnum):
    """How much is left out; each step leaves out what those before it do."""

    NORMAL = 0
    """Nothing."""
    SLOW_PARTIALS = 1
    """Partials come more slowly."""
    FEW_PARTIALS = 2
    """Only those who speak longest get partials."""
    NO_EAGER = 3
    """No final is begun before the endpoint."""
    NO_REDECODE = 4
    """The accurate tier is not asked (``redecode_shed``)."""
    REFUSE = 5
    """No new session is let in."""


LOAD_WARNINGS: Mapping[Step, tuple[str, str]] = {
    Step.NORMAL: ("load_normal", "the server has room again: everything is as asked"),
    Step.SLOW_PARTIALS: ("load_partials_slow", "the server is busy: partials come more slowly"),
    Step.FEW_PARTIALS: ("load_partials_few", "the server is busy: only those who speak longest get partials"),
    Step.NO_EAGER: ("load_no_eager", "the server is busy: finals are not begun before the endpoint"),
    Step.NO_REDECODE: ("load_no_redecode", "the server is busy: doubted finals are not decoded again"),
    Step.REFUSE: ("load_full", "the server is full: new sessions are refused, this one goes on"),
}
"""Code and message of the ``warning`` that tells a step."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What one stream may ask of the machine."""

    partial_stretch: float = 1.0
    """Factor on the time between partials."""
    eager: bool = True
    """Whether final decodes may start in a pause."""
    redecode: bool = True
    """Whether the accurate tier may be asked."""


FULL_EFFORT = Effort()


def effort_at(step: Step) -> Effort:
    """What a stream may ask at this step. Who gets partials at all is the decode queue's to say."""
    return Effort(
        partial_stretch=1.0 if step < Step.SLOW_PARTIALS else 3.0,
        eager=step < Step.NO_EAGER,
        redecode=step < Step.NO_REDECODE,
    )


ROOM = {
    Step.SLOW_PARTIALS: 0.3,  # three times as many partials
    Step.FEW_PARTIALS: 0.3,  # everyone's partials instead of a quarter's
    Step.NO_EAGER: 0.6,  # decodes for pauses that are no ends
    Step.NO_REDECODE: 0.8,  # the accurate tier, which shares the machine but not the threads
    Step.REFUSE: 0.7,  # someone new
}
"""Utilisation from which a step is left downwards: what it left out comes back, and must find room."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """How the fast tier has fared since the last observation."""

    utilisation: float
    """Share of the time that its threads were busy, in [0, 1]."""
    final_wait_s: float
    """Longest wait of a final or eager request, over or not."""
    partial_wait_s: float
    """Likewise of a partial."""
    fill: float
    """Share of the queue's bounds that is taken."""

    @property
    def is_over(self) -> bool:
        """Whether there is more to do than the machine can."""
        return (
            self.final_wait_s > FINAL_WAIT_S or self.partial_wait_s > PARTIAL_WAIT_S or self.fill > FULL_QUEUE
        )


class Ladder:
    """Which step the machine stands on. See the table above."""

    def __init__(self) -> None:
        self.step = Step.NORMAL
        self._seen_at: float | None = None
        self._changed_at = -math.inf
        self._fell_at = -math.inf
        self._fall_s = FALL_S
        self._over_s = 0.0  # grows while it is over, shrinks while it is not
        self._clear_since: float | None = None
        self._recent: deque[tuple[float, float, float]] = deque()  # (when, seconds, of which busy)

    def observe(self, now: float, pressure: Pressure) -> Step:
        """Take what was seen since the last call, some tenths of a second ago. Returns the step."""
        unseen = now - self._seen_at if self._seen_at is not None else 0.0
        passed = min(unseen, RISE_S / 2)  # in a longer time there was nothing to see
        self._over_s = max(0.0, self._over_s - (unseen - passed))
        self._seen_at = now
        self._recent.append((now, passed, passed * pressure.utilisation))
        while self._recent[0][0] <= now - FALL_S:
            self._recent.popleft()
        if pressure.is_over:
            self._clear_since = None
            self._over_s += passed
            if self._over_s >= RISE_S and now - self._changed_at >= SETTLE_S and self.step < Step.REFUSE:
                self._rise(now)
        else:
            self._clear_since = now if self._clear_since is None else self._clear_since
            self._over_s = max(0.0, self._over_s - passed)
            if self.step > Step.NORMAL and self._has_room(now - max(self._clear_since, self._changed_at)):
                self._fell_at = now
                self._change(Step(self.step - 1), now)
        return self.step

    def _has_room(self, clear_s: float) -> bool:
        seconds = sum(passed for _, passed, _ in self._recent)
        utilisation = sum(busy for _, _, busy in self._recent) / seconds if seconds else 0.0
        room = ROOM[self.step]
        return (clear_s >= self._fall_s and utilisation <= room) or (
            clear_s >= FALL_S and utilisation <= room / 2
        )

    def _rise(self, now: float) -> None:
        relapsed = now - self._fell_at < RELAPSE_S
        self._fall_s = min(2 * self._fall_s, MOST_FALL_S) if relapsed else FALL_S
        self._change(Step(self.step + 1), now)

    def _change(self, step: Step, now: float) -> None:
        self.step = step
        self._changed_at = now
        self._over_s = 0.0
