"""Which replicas there are, as far as they have told. Pure: time is an argument.

Each tells itself once a second, and that it drains when it does. One that is silent for :data:`FORGET_S` is
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtc_stt.replicas.replica import MAX_REPLICAS, Replica

__all__ = ["FORGET_S", "Directory", "Report"]

FORGET_S = 5.0
"""Five signs of life that did not come."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a replica tells of itself; all but the first is for the operator, and no gateway is told it."""

    replica: Replica
    node: str
    """Address of its machine."""
    pid: int
    """Of its process there."""
    busy: int
    """Calls under way."""
    queued_audio_s: float
    """Audio that waits at the gateways for its tier, as they told it, in seconds."""
    links: int
    """Gateways."""


class Directory:
    """See above."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, Report]] = {}

    def tell(self, report: Report, now: float) -> bool:
        """A sign of life. False where it is one replica too many."""
        self._forget(now)
        if report.replica.id not in self._reports and len(self._reports) >= MAX_REPLICAS:
            return False
        self._reports[report.replica.id] = (now, report)
        return True

    def leave(self, replica_id: str) -> None:
        """It has ended."""
        self._reports.pop(replica_id, None)

    def reports(self, now: float) -> list[Report]:
        """Of all that are alive, in an order that stays."""
        self._forget(now)
        return sorted(self._living(), key=lambda report: (report.replica.tier, report.replica.id))

    def replicas(self, now: float) -> list[Replica]:
        """Likewise, what a gateway is told."""
        return [report.replica for report in self.reports(now)]

    def _living(self) -> Iterator[Report]:
        return (report for _, report in self._reports.values())

    def _forget(self, now: float) -> None:
        silent = [id_ for id_, (at, _) in self._reports.items() if now - at > FORGET_S]
        for id_ in silent:
            del self._reports[id_]
