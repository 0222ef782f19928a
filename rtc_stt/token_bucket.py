"""How often may something happen? At ``rate`` a second, and ``burst`` at once after a rest."""

from __future__ import annotations

__all__ = ["TokenBucket"]


class TokenBucket:
    """Grants at most ``burst + rate · t`` in any span of ``t`` seconds."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def change(self, rate: float, burst: float) -> None:
        """From here on these hold; what has been saved up beyond ``burst`` is lost."""
        self._rate, self._burst = rate, burst
        self._tokens = min(self._tokens, burst)

    def take(self, now: float) -> bool:
        """Whether one more may happen at ``now``, which never runs backwards; if so it is counted."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait_s(self) -> float:
        """Seconds from the last ``take`` until one would be granted."""
        return max(0.0, (1 - self._tokens) / self._rate)
