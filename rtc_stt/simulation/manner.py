"""How somebody speaks: turns, the pauses in them, and the silence between. Pure."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass

__all__ = ["LEAST_SILENCE_S", "Manner", "Stretch", "Turn"]

LEAST_SILENCE_S = 0.8
"""A little more than the hangover."""

PAUSE_S = 0.4
"""Of a pause that is made up: long enough for an eager final, and shorter than the hangover."""

LEAST_STRETCH_S = 0.2
"""Nobody says less before a pause."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech in which the detector hears no break, and the break behind it."""

    speech_s: float
    """From its first to its last window of speech."""
    faint_s: float = 0.0
    """Of it, at its end: the voice has gone, and the detector has not noticed. The hangover counts it as
    silence."""
    gap_s: float = 0.0
    """Until speech goes on; 0 for the last one of a turn."""


Turn = tuple[Stretch, ...]
"""An utterance."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is drawn from a list is drawn at random."""

    turn_s: tuple[float, ...] = (1.5, 2.2, 2.8, 3.4, 4.5, 7.0)
    """Length of a turn."""
    silence_s: tuple[float, ...] = (5.35,)
    """From the end of a turn to the begin of the next. Longer than the hangover, or it is no end."""
    vary: float = 0.25
    """By so much, up or down, both are varied, as a share."""
    pause_every_s: float = 4.0
    """Between two pauses within a turn that are long enough for an eager final, on average."""
    doubted: float = 0.1
    """Share of finals for which the accurate tier is asked, in [0, 1]."""
    turns: tuple[Turn, ...] = ()
    """Turns as they were recorded, in place of those that ``turn_s`` and ``pause_every_s`` describe."""

    def talking(self, share: float) -> Manner:
        """The same, with silences such that ``share`` of the time, in (0, 1), is speech."""
        lengths = [sum(s.speech_s + s.gap_s for s in turn) for turn in self.turns] or self.turn_s
        mean_s = sum(lengths) / len(lengths)
        return dataclasses.replace(self, silence_s=(max(LEAST_SILENCE_S, mean_s * (1 / share - 1)),))

    def draw_silence(self, chance: random.Random) -> float:
        """Seconds."""
        return chance.choice(self.silence_s) * chance.uniform(1 - self.vary, 1 + self.vary)

    def draw_turn(self, chance: random.Random) -> Turn:
        """One that was recorded, or one that is made up."""
        if self.turns:
            return chance.choice(self.turns)
        left = chance.choice(self.turn_s) * chance.uniform(1 - self.vary, 1 + self.vary)
        turn = list[Stretch]()
        while True:
            speech_s = max(LEAST_STRETCH_S, chance.expovariate(1 / self.pause_every_s))
            if speech_s + PAUSE_S + LEAST_STRETCH_S >= left:
                return (*turn, Stretch(left))
            turn.append(Stretch(speech_s, gap_s=PAUSE_S))
            left -= speech_s + PAUSE_S
