"""Chunks of one track in their order, where the carrier does not promise it. Pure.

A chunk that comes before its time waits for those before it, but not for long: when :data:`WINDOW` of them
wait, what is missing is given up. Once all is there again nothing waits. And where what was waited for has
never come, :data:`PATIENCE` times, it is not waited for any more: such numbers have gaps of their own.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["WINDOW", "ChunkOrder"]

T = TypeVar("T")

WINDOW = 8
"""Chunks that wait at most: 160 ms of those that carriers send."""

PATIENCE = 16

FIRST = 1
"""Numbers begin with it, or with 0; a stream that is joined later begins anywhere."""

FAR = 1_000
"""Beyond so many chunks a number is of another count: it began anew."""


class ChunkOrder(Generic[T]):
    """See above. What it holds is never more than :data:`WINDOW` chunks."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, T] = {}
        self.late = 0
        """Chunks that came when they had been given up, or twice."""
        self.lost = 0
        """Chunks that were given up."""

    def push(self, number: int, chunk: T) -> list[tuple[T, bool]]:
        """Take a chunk; gives those whose turn it is, each with whether some before it were given up."""
        at = self._next if self._next is not None else min(self._held, default=number)
        if abs(number - at) > FAR:
            out = self.flush()
            self._next = number + 1
            return [*out, (chunk, False)]
        if self._next is None and number <= FIRST:
            self._next = number
        if number in self._held or (self._next is not None and number < self._next):
            self.late += 1
            return []
        self._held[number] = chunk
        out = self._ready()
        window = WINDOW if self.late or self.lost < PATIENCE else 1
        while len(self._held) >= window:
            out += self._skip()
        return out

    def flush(self) -> list[tuple[T, bool]]:
        """All that waits: nothing more will come."""
        out = []
        while self._held:
            out += self._skip()
        return out

    def _ready(self) -> list[tuple[T, bool]]:
        out = []
        while self._next is not None and self._next in self._held:
            out.append((self._held.pop(self._next), False))
            self._next += 1
        return out

    def _skip(self) -> list[tuple[T, bool]]:
        """Give up what is missing before the first that waits."""
        first = min(self._held)
        missing = first - self._next if self._next is not None else 0
        self.lost += missing
        self._next = first + 1
        return [(self._held.pop(first), missing > 0), *self._ready()]
