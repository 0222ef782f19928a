"""What happens next? A clock that stands still between events. Pure."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

__all__ = ["Timeline"]


class Timeline:
    """Events in the order of their times; those of one time in the order in which they were set."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call it then."""
        heapq.heappush(self._events, (self.now + seconds, next(self._count), call))

    def run(self, until: float) -> None:
        """Let time pass; with no event left it stands at ``until``."""
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = until
