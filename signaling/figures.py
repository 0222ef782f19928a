"""What a session tells of its line in ``session.ended.stats``: pure sums over its connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

__all__ = ["Figure", "Figures"]

Figure = int | float | str

SUMMED = {
    "packets_received": "rtp_packets_received",
    "packets_lost": "rtp_packets_lost",
    "packets_late": "rtp_packets_late",
    "packets_refused": "rtp_packets_refused",
    "recovered": "rtp_packets_recovered",
    "concealed_ms": "concealed_ms",
    "lost_ms": "lost_ms",
}
"""Figures of a receiver that add up over connections, and what they are called in a session."""

LATEST = ("codec", "jitter_ms", "bit_rate_kbps", "round_trip_ms")
"""Those of which the last one counts, where there is one."""


class Figures:
    """Owned by whoever owns the session."""

    def __init__(self) -> None:
        self._past: Counter[str] = Counter()
        self._connections = 0

    def with_connection(self, figures: Mapping[str, Figure]) -> dict[str, Figure]:
        """The session's figures, with those of the connection that it has now."""
        told: dict[str, Figure] = {"connections": self._connections + 1}
        for name, shown in SUMMED.items():
            told[shown] = self._past[shown] + int(figures.get(name, 0))
        for name in LATEST:
            if figures.get(name, "") != "":
                told[name] = figures[name]
        return told

    def keep(self, figures: Mapping[str, Figure]) -> None:
        """A connection is over: its figures are added to the past."""
        self._connections += 1
        for name, shown in SUMMED.items():
            self._past[shown] += int(figures.get(name, 0))
