"""What this gateway holds of places that are counted over all, and when it has to say so again. Pure.

A place is held for ten seconds at a time, so that those of a gateway that died are free; each is said again
every second. Where Redis was away, or came back empty, all are said again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from signaling.shared.limits import Limit

__all__ = ["AGAIN_S", "MAX_AT_ONCE", "Places"]

AGAIN_S = 0.9
"""Less than the time between two looks."""

MAX_AT_ONCE = 64
"""Places that one script is told."""

Parts = tuple[str, ...]
"""Of a name in Redis."""


class Places:
    """See above. ``now`` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._held: dict[Parts, dict[str, float]] = {}  # by member: when it was said last
        self._elsewhere: dict[Parts, int] = {}
        self._dropped: dict[Parts, list[str]] = {}

    def __len__(self) -> int:
        """How many are held."""
        return sum(map(len, self._held.values()))

    @property
    def has_dropped(self) -> bool:
        """Whether there is something to say at once."""
        return bool(self._dropped)

    def hold(self, limits: Iterable[Limit], member: str, now: float | None) -> None:
        """These are held; ``now`` is None where it has not been said."""
        for limit in limits:
            if limit.kind == "room":
                self._held.setdefault(limit.parts, {})[member] = -math.inf if now is None else now

    def drop(self, parts: Parts, member: str) -> None:
        """It is free; one that was not held is no error."""
        held = self._held.get(parts)
        if held is not None:
            held.pop(member, None)
            if not held:
                del self._held[parts]
                self._elsewhere.pop(parts, None)
        self._dropped.setdefault(parts, []).append(member)

    def forget_all(self) -> None:
        """Redis may know nothing of them."""
        for held in self._held.values():
            for member in held:
                held[member] = -math.inf

    def elsewhere(self, parts: Parts) -> int:
        """How many the others hold of it, as was told last; 0 where this one holds none, for then nothing is
        told."""
        return self._elsewhere.get(parts, 0)

    def take_dropped(self) -> list[tuple[Parts, list[str]]]:
        """What is to be said at once."""
        dropped, self._dropped = self._dropped, {}
        return [(parts, part) for parts, members in dropped.items() for part in _cut(members)]

    def take_due(self, now: float) -> list[tuple[Parts, list[str]]]:
        """What is to be said again."""
        found = []
        for parts, held in self._held.items():
            due = [member for member, at in held.items() if at + AGAIN_S <= now]
            found += [(parts, part) for part in _cut(due)]
        return found

    def said(self, parts: Parts, members: Sequence[str], taken: int, now: float) -> None:
        """It was said; so many are taken in all."""
        held = self._held.get(parts)
        if held is None:
            return
        for member in members:
            if member in held:
                held[member] = now
        self._elsewhere[parts] = max(0, taken - len(held))


def _cut(members: list[str]) -> list[list[str]]:
    return [members[start : start + MAX_AT_ONCE] for start in range(0, len(members), MAX_AT_ONCE)]
