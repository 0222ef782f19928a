"""Batches that wait in a replica for a call of its engine. Pure.

Few do: what waits belongs into the gateways' queues, and each of them sends one more than a replica decodes.
So with several gateways some meet here; whose speaker is done goes first.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from rtc_stt.replicas.payload import Batch

__all__ = ["Door", "Waiting"]


@dataclass(slots=True, eq=False)
class Waiting:
    """A batch at the door, or past it."""

    owner: Hashable
    """The link that it came by."""
    batch: Batch
    came_at: float
    order: int = field(default=0)

    @property
    def rank(self) -> tuple[int, int]:
        """Who is first is lowest."""
        return min(request.urgency for request in self.batch.requests), self.order


class Door:
    """See above.

    Args:
        room: batches of one gateway.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: list[Waiting] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, waiting: Waiting) -> bool:
        """Whether there is room for it."""
        if sum(other.owner == waiting.owner for other in self._waiting) >= self._room:
            return False
        self._count += 1
        waiting.order = self._count
        self._waiting.append(waiting)
        return True

    def pop(self) -> Waiting | None:
        """Who is next: finals, then eager finals, partials, recordings, each in the order they came."""
        first = min(self._waiting, key=lambda waiting: waiting.rank, default=None)
        if first:
            self._waiting.remove(first)
        return first

    def forget(self, owner: Hashable, number: int | None = None) -> None:
        """Leave out what this gateway does not wait for any more: one batch, or all of them."""
        self._waiting = [w for w in self._waiting if w.owner != owner or number not in (None, w.batch.number)]

    def clear(self) -> list[Waiting]:
        """Everything leaves."""
        gone, self._waiting = self._waiting, []
        return gone
