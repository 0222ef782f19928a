"""How much the other side may say: a flood would fill the memory of who listens. Pure."""

from __future__ import annotations

__all__ = ["Flow"]

RATE = 1 << 20
"""Characters a second. A transcript with the times of its words, ten times a second, has a tenth of it."""

BURST = 8 << 20

PER_MESSAGE = 1_000
"""What a message costs beside its length, in characters: at most a thousand a second."""


class Flow:
    """A bucket of characters that fills with time."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at: float | None = None

    def take(self, length: int, now: float) -> bool:
        """Whether a message of ``length`` characters may come at ``now`` (seconds, which never run back)."""
        if self._at is not None:
            self._left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        self._left -= length + PER_MESSAGE
        return self._left >= 0
