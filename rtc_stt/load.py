"""What the machine can carry, and what is left out when it is more: the ladder.

As load rises one thing after another is left out, what is missed least first; as it falls they come back in
reverse. Finals are never left out: a speaker who was let in is answered.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["FULL_EFFORT", "Effort", "Step", "effort_at"]


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
