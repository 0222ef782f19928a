"""From what was seen of a scene to one row for each of its turns. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.rows import TurnRow

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one scene gave."""

    rows: tuple[TurnRow, ...]
    extra_finals: int = 0
    """Finals with text in them that have no word of any turn."""
    failures: int = 0
    """1 where the line failed."""


def measure(
    observation: Observation, *, patience_s: float, number: int = 0, cost_only: bool = False
) -> Measured:
    """The rows of a scene, in the order of its turns."""
    raise NotImplementedError
