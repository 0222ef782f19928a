"""How busy calls were between two looks. Pure."""

from __future__ import annotations

__all__ = ["Occupancy"]


class Occupancy:
    """The share of time in which calls that there were ran, whatever comes and goes."""

    def __init__(self, now: float) -> None:
        self._changed_at = now
        self._busy = self._calls = 0
        self._busy_s = self._whole_s = 0.0

    def change(self, busy: int, calls: int, now: float) -> None:
        """From now on so many of so many run."""
        passed = max(0.0, now - self._changed_at)
        self._busy_s += passed * min(self._busy, self._calls)
        self._whole_s += passed * self._calls
        self._changed_at = now
        self._busy, self._calls = busy, calls

    def look(self, now: float) -> float:
        """Since the last look, in [0, 1]; 0 where there were none."""
        self.change(self._busy, self._calls, now)
        share = self._busy_s / self._whole_s if self._whole_s > 0 else 0.0
        self._busy_s = self._whole_s = 0.0
        return min(1.0, share)
