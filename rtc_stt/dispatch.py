"""How what waits is shared out among free slots, and how it fares. Pure: the pool acts on it, and so does
the simulation of one (:mod:`rtc_stt.simulation`)."""

from __future__ import annotations

import math

from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.hypothesis import Tier, Urgency
from rtc_stt.load import Pressure

__all__ = ["OBSERVE_S", "Gauge", "batch_size"]

OBSERVE_S = 0.125
"""Between two looks at the load: some for each time that the ladder waits."""


def batch_size(ready: int, free: int, most: int) -> int:
    """How many a free slot takes: side by side they are done sooner than all in one."""
    return min(most, math.ceil(ready / free))


class Gauge:
    """How the fast tier fares between two looks."""

    def __init__(self) -> None:
        self._longest = {Urgency.FINAL: 0.0, Urgency.PARTIAL: 0.0}  # waits of what began since the last look

    def begin(self, ticket: Ticket, now: float) -> float:
        """A request's decode begins; gives the seconds that it has waited."""
        request, waited_s = ticket.request, max(0.0, now - ticket.since)
        if request.tier is Tier.FAST and request.urgency is not Urgency.RECORDING:
            kind = Urgency.PARTIAL if request.urgency is Urgency.PARTIAL else Urgency.FINAL
            self._longest[kind] = max(self._longest[kind], waited_s)
        return waited_s

    def look(self, now: float, queue: DecodeQueue, utilisation: float) -> Pressure:
        """What was seen since the last look.

        Args:
            utilisation: share of the fast tier's slots that was busy meanwhile, in [0, 1].
        """
        finals = queue.oldest(Tier.FAST, Urgency.FINAL, Urgency.EAGER)
        partials = queue.oldest(Tier.FAST, Urgency.PARTIAL)
        pressure = Pressure(
            utilisation=utilisation,
            final_wait_s=max(self._longest[Urgency.FINAL], 0.0 if finals is None else now - finals),
            partial_wait_s=max(self._longest[Urgency.PARTIAL], 0.0 if partials is None else now - partials),
            fill=queue.fill,
        )
        self._longest = dict.fromkeys(self._longest, 0.0)
        return pressure
