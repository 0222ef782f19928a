"""Real time without drift: frames leave by absolute deadlines, and how late they left is known.

Pure: the clock is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtc_stt.audio import SAMPLE_RATE

__all__ = ["FRAME", "MAX_SEND_LAG_MS", "Pacer"]

FRAME = SAMPLE_RATE // 50
"""Samples in 20 ms, as a microphone sends them."""

MAX_SEND_LAG_MS = 10.0
"""A run whose p99 send lag is over this is void: the sender, not what it measures, was late."""


@dataclass
class Pacer:
    """The frame that holds media time ``[n·20 ms, (n + 1)·20 ms)`` is due when that span is over."""

    begun: float
    """When media time 0 was spoken, in seconds of the caller's clock."""
    sent: int = 0
    """Frames that have left."""
    lags_ms: list[float] = field(default_factory=list)
    """How late each left."""

    @property
    def due(self) -> float:
        """When the next frame should leave."""
        return self.begun + (self.sent + 1) * FRAME / SAMPLE_RATE

    def send(self, now: float) -> None:
        """Note that the next frame leaves. One that is late does not make the next ones late."""
        self.lags_ms.append(max(0.0, (now - self.due) * 1000))
        self.sent += 1

    def wall(self, media_ms: float) -> float:
        """When a moment of the media timeline was spoken."""
        return self.begun + media_ms / 1000

    @property
    def media_ms(self) -> int:
        """How much was sent."""
        return self.sent * FRAME * 1000 // SAMPLE_RATE
