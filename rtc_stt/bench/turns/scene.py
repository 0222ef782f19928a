"""What is spoken: scenes of one or more turns, with the true times of everything in them.

A *scene* is one recording, played in one go. A *turn* is what one speaker says before others may speak.
All times come from the synthesis, or from the loudness of the clean recording; none from a detector.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Pause", "Scene", "SpokenWord", "Turn"]


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and when it is spoken, in ms from the start of the scene."""

    word: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence inside a turn, in ms from the start of the scene: the speaker has not finished."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. ``start_ms`` is its t_on and ``end_ms`` its t_off, from the start of the scene."""

    id: str
    text: str
    language: str
    start_ms: int
    end_ms: int
    words: tuple[SpokenWord, ...] = ()
    """Empty where it is not known when they are spoken."""
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """One recording. ``turns`` are in the order of time and do not overlap."""

    id: str
    set: str
    file: str
    turns: tuple[Turn, ...]
    folder: Path = field(default=Path(), repr=False, compare=False)
    licence: str = ""
