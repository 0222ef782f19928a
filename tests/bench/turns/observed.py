"""Observations made by hand: what was told, and at which ms of the scene."""

from __future__ import annotations

from rtc_stt.bench.turns.measure import measure
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.scene import Pause, Scene, SpokenWord, Turn
from rtc_stt.bench.turns.told import Heard, Told

BEGUN = 1_000.0
"""A monotonic clock on which most ms of a scene are floats that need rounding."""


def turn(text: str, start: int = 0, *, word_ms: int = 250, pause: int = 0, name: str = "t0") -> Turn:
    """Each word takes 250 ms, and one ends where the next begins."""
    words = [
        SpokenWord(word, start + n * word_ms, start + (n + 1) * word_ms)
        for n, word in enumerate(text.split())
    ]
    pauses = (Pause(start + 100, start + 100 + pause),) if pause else ()
    return Turn(name, text, "en", start, words[-1].end_ms, tuple(words), pauses)


def observation(
    *told: tuple[float, Told],
    turns: tuple[Turn, ...] = (),
    complete: bool = True,
    ended: float = 60_000,
    line_ms: int = 0,
    **scene: str,
) -> Observation:
    """What was told at which ms; in that order."""
    named = Scene(scene.get("id", "s"), scene.get("set", "single"), "s.flac", turns)
    return Observation(
        scene=named,
        speaker=0,
        begun=BEGUN,
        line_ms=line_ms,
        heard=tuple(Heard(BEGUN + at / 1000, what) for at, what in told),
        ended=BEGUN + ended / 1000,
        is_complete=complete,
    )


def row(
    *told: tuple[float, Told], said: str = "book a table", cost_only: bool = False, **turn_facts: int
) -> TurnRow:
    """The row of a scene of one turn from 0 to 250 ms a word."""
    seen = observation(*told, turns=(turn(said, **turn_facts),))
    return measure(seen, patience_s=10, cost_only=cost_only).rows[0]
