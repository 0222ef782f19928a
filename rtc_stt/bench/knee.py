"""Where more requests at a time only wait longer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["GROWTH", "SLOWDOWN", "Stride", "knee"]

GROWTH = 1.10
"""A step is worth it if it carries a tenth more than the one before."""

SLOWDOWN = 2.0
"""And if nobody waits twice as long as who is alone."""


@dataclass(frozen=True, slots=True)
class Stride:
    """What one step of a load came to."""

    concurrency: int
    """Requests at a time."""
    throughput: float
    """Seconds of audio that were answered in a second."""
    p95_ms: float


def knee(steps: Sequence[Stride]) -> int | None:
    """The last step, from the first on, that was worth it by :data:`GROWTH` and :data:`SLOWDOWN`.

    Returns:
        Its concurrency; None where not even the first answered anything.
    """
    if not steps or steps[0].throughput <= 0:
        return None
    last = steps[0]
    for step in steps[1:]:
        if step.throughput < GROWTH * last.throughput or step.p95_ms > SLOWDOWN * steps[0].p95_ms:
            break
        last = step
    return last.concurrency
