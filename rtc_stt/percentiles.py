"""Percentiles of the newest values: what a client and a server say about their latency. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Percentiles", "RollingPercentiles", "nearest_rank"]

WINDOW_VALUES = 1_000
"""Enough for ten values above the p99, and sorted in a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """In the unit of the values; None where there are none yet."""

    count: int
    """Of the values in the window."""
    p50: float | None
    p95: float | None
    p99: float | None


class RollingPercentiles:
    """The newest ``window`` values. Memory is bounded; adding is O(1), asking sorts."""

    def __init__(self, window: int = WINDOW_VALUES) -> None:
        self._values: deque[float] = deque(maxlen=window)

    def add(self, value: float) -> None:
        """Note a value; the oldest one goes where the window is full.

        Raises:
            ValueError: it is no finite number; it would spoil all the others.
        """
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place among others")
        self._values.append(value)

    def summary(self) -> Percentiles:
        """By nearest rank (ISO 3534-1): each figure is a value that was added."""
        values = sorted(self._values)
        if not values:
            return Percentiles(0, None, None, None)
        return Percentiles(len(values), *(nearest_rank(values, percent) for percent in (50, 95, 99)))


def nearest_rank(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the sorted values that at least ``percent`` (0 < p ≤ 100) of a hundred do not exceed.

    Raises:
        IndexError: there are none.
    """
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
