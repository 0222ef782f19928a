"""What was told, sorted by utterance: partials, eager texts and endpoints find their final. Pure.

An utterance is what a target makes one final of, or drops. Where it names its utterances, the name says what
belongs together; where it does not, everything up to a final is one. A turn may come in several utterances.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Heard, Partial, Resumed

__all__ = ["Shown", "Utterance", "sort"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A text that took the place of what the utterance showed before."""

    at: float
    text: str
    told: Partial | Eager | Final | Dropped


@dataclass(slots=True)
class Utterance:
    """One of them, in the order in which it came. All stamps are monotonic seconds."""

    begun: float
    """When the first was told of it."""
    shown: list[Shown] = field(default_factory=list)
    """Without eager texts that were taken back: nobody was to take them for the final text."""
    endpoints: list[float] = field(default_factory=list)
    final: Final | None = None
    final_at: float = 0.0
    turn: int | None = None
    """Set by who knows: the index of the turn that it belongs to, or that it disturbed; None: of none."""
    is_extra: bool = False
    """Set by who knows: its final has no word of any turn."""

    def retractions(self) -> int:
        """How often text that had been declared stable was changed or taken away, by exact characters.

        After one, only what is declared stable from then on is held to.
        """
        stable, count = "", 0
        for shown in self.shown:
            if isinstance(shown.told, Eager):  # promises nothing, and is no final
                continue
            held = shown.text[: shown.told.stable_chars] if isinstance(shown.told, Partial) else ""
            if not shown.text.startswith(stable):
                count, stable = count + 1, held
            stable = max(stable, held, key=len)
        return count


def sort(heard: Iterable[Heard]) -> list[Utterance]:
    """All utterances of a scene, in the order in which the first was told of each.

    What comes after a failed line is not listened to.
    """
    utterances: list[Utterance] = []
    open_ones: dict[str, Utterance] = {}
    closed: dict[str, Utterance] = {}

    def of(name: str, at: float) -> Utterance:
        if name not in open_ones:
            open_ones[name] = Utterance(at)
            utterances.append(open_ones[name])
        return open_ones[name]

    for item in heard:
        at, told = item.at, item.told
        if isinstance(told, Failed):
            break
        name = told.utterance
        if isinstance(told, Resumed):
            if name in open_ones:
                _take_back(open_ones[name].shown)
        elif isinstance(told, Endpoint):
            before = closed.get(name)
            late = name not in open_ones and before is not None and (name or not before.endpoints)
            (before if late and before else of(name, at)).endpoints.append(at)
        elif isinstance(told, Dropped):
            if name in open_ones:
                open_ones[name].shown.append(Shown(at, "", told))
                closed[name] = open_ones.pop(name)
        else:
            utterance = of(name, at)
            utterance.shown.append(Shown(at, told.text, told))
            if isinstance(told, Final):
                utterance.final, utterance.final_at = told, at
                closed[name] = open_ones.pop(name)
    return utterances


def _take_back(shown: list[Shown]) -> None:
    shown[:] = [item for item in shown if not isinstance(item.told, Eager)]
