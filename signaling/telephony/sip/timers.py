"""Many deadlines, by name: which is next, which are due. Pure."""

from __future__ import annotations

import heapq
from typing import Any

__all__ = ["Name", "Timers"]

Name = tuple[str, Any]
"""The kind of a deadline, and whose it is."""

SLACK = 64
"""Entries of the heap that may be out of date, besides as many as there are deadlines."""


class Timers:
    """A deadline for each name. Setting one again moves it."""

    def __init__(self) -> None:
        self._at: dict[Name, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Name]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._at)

    def set(self, name: Name, at: float) -> None:
        """It is due at ``at``."""
        self._count += 1
        self._at[name] = at, self._count
        heapq.heappush(self._heap, (at, self._count, name))
        if len(self._heap) > 2 * len(self._at) + SLACK:
            self._heap = [(at, number, name) for name, (at, number) in self._at.items()]
            heapq.heapify(self._heap)

    def cancel(self, name: Name) -> None:
        """It is not due any more, if it was."""
        self._at.pop(name, None)

    def next(self) -> float | None:
        """When the first is due."""
        while self._heap:
            at, number, name = self._heap[0]
            if self._at.get(name) == (at, number):
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self, now: float) -> Name | None:
        """The first that is due by ``now``, which is forgotten; None where there is none."""
        at = self.next()
        if at is None or at > now:
            return None
        _, _, name = heapq.heappop(self._heap)
        del self._at[name]
        return name
