"""Who is decoded next? One queue for the tiers of one machine; it decides and holds, others decode.

The rules, in this order:

1. Finals before eager finals before partials, each in the order they came.
2. A session has at most one partial waiting (a newer one replaces it, at the older one's place in the
   line) and at most one running.
3. What a newer request of the same utterance has overtaken is stale and leaves the queue, finals excepted,
   and with them the eager final of a segment that was committed before (its audio starts elsewhere).
4. A request that comes again with more urgency is promoted where it waits, and ignored where it runs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency

__all__ = ["DecodeQueue", "Ticket"]


@dataclass(slots=True)
class Ticket:
    """A place in the line."""

    request: DecodeRequest
    since: float
    """When its wait began, on the clock of ``now``."""
    order: int


class DecodeQueue:
    """See the rules above. ``now`` is only noted, never compared."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int, int, Tier], Ticket] = {}
        self._running: dict[tuple[str, int, int, Tier], Ticket] = {}
        self._count = itertools.count()

    def waiting(self, tier: Tier) -> int:
        """Requests of one tier that wait."""
        return sum(key[3] is tier for key in self._waiting)

    def push(self, request: DecodeRequest, now: float) -> list[DecodeRequest]:
        """Take a request. Returns those that it makes stale, which will never be decoded."""
        if request.key in self._running:
            return []
        known = self._waiting.get(request.key)
        if known:
            if request.urgency < known.request.urgency:
                known.request = request
            return []
        stale = [
            ticket
            for ticket in self._waiting.values()
            if ticket.request.urgency is not Urgency.FINAL and _overtakes(request, ticket.request)
        ]
        order, since = next(self._count), now
        for ticket in stale:
            del self._waiting[ticket.request.key]
            if ticket.request.urgency is request.urgency is Urgency.PARTIAL:
                order, since = min(order, ticket.order), min(since, ticket.since)
        self._waiting[request.key] = Ticket(request, since, order)
        return [ticket.request for ticket in stale]

    def pop(self, tier: Tier) -> Ticket | None:
        """The next request of a tier to decode now, or None where none may run."""
        partial_runs = {key[0] for key, t in self._running.items() if t.request.urgency is Urgency.PARTIAL}
        ready = [
            ticket
            for ticket in self._waiting.values()
            if ticket.request.tier is tier
            and not (ticket.request.urgency is Urgency.PARTIAL and ticket.request.stream_id in partial_runs)
        ]
        if not ready:
            return None
        ticket = min(ready, key=lambda t: (t.request.urgency, t.order))
        del self._waiting[ticket.request.key]
        self._running[ticket.request.key] = ticket
        return ticket

    def done(self, request: DecodeRequest) -> None:
        """The request that was popped has been answered."""
        del self._running[request.key]

    def forget(self, stream_id: str) -> list[DecodeRequest]:
        """Remove all that waits for one stream, which has ended. Returns it."""
        gone = [t.request for t in self._waiting.values() if t.request.stream_id == stream_id]
        for request in gone:
            del self._waiting[request.key]
        return gone


def _overtakes(new: DecodeRequest, old: DecodeRequest) -> bool:
    if new.stream_id != old.stream_id or (new.utterance_id, new.revision) <= (old.utterance_id, old.revision):
        return False
    # Audio with another start is another segment of the utterance, and that one's final is still wanted.
    is_same_segment = new.utterance_id != old.utterance_id or new.audio_start == old.audio_start
    return is_same_segment or old.urgency is Urgency.PARTIAL
