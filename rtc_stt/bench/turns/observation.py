"""What was seen of one scene: the raw material of every figure. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.told import Heard

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """A scene as it was played on one line, from its first frame until all was told or patience ended."""

    scene: Scene
    speaker: int
    """Which of those who spoke side by side, from 0."""
    begun: float
    """When ms 0 of the scene was spoken, monotonic seconds; ms ``m`` was at ``begun + m / 1000``."""
    line_ms: int
    """How much audio had been sent on this line before, in ms: for targets that count from its start."""
    heard: tuple[Heard, ...]
    """In the order in which it came."""
    ended: float
    """When listening ended."""
    is_complete: bool = True
    """False where the run was broken off before the scene had settled."""
    send_lag_ms: tuple[float, ...] = field(default=(), repr=False)
    """How late each frame left."""

    def wall(self, media_ms: float) -> float:
        """When a moment of the scene was spoken, monotonic seconds."""
        return self.begun + media_ms / 1000
