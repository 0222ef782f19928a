"""Which final belongs to which turn: found from what is certain, the order and the words. Pure.

Targets tell it by their own detector or not at all. Certain is that finals come in the order of speech, and
that none can belong to a turn that had not begun when it came. Among the ways left, the one with the fewest
word errors over the whole scene is the best; among equals, the one that gives finals to the latest turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.words import align, normalise

__all__ = ["attribute", "attribute_by_time", "latest_begun"]

_Path: TypeAlias = "tuple[int, _Path] | None"
"""The turn of the last final, and the path before it."""


def attribute(turns: Sequence[Turn], finals: Sequence[tuple[float, str]]) -> tuple[int | None, ...]:
    """The turn of each final.

    The work is (words of all turns) · (words of all finals).

    Args:
        turns: in the order of time.
        finals: receipt in ms of the scene, and text; in the order in which they came.

    Returns:
        For each final the index of its turn. None for an extra one: it has words, but none of them stands for
        a word of a turn, right or wrong, in the alignment of the turn with all its finals; or it came before
        anybody spoke.
    """
    begun = [latest_begun(turns, at) for at, _ in finals]
    early = sum(latest is None for latest in begun)
    texts = [normalise(text) for _, text in finals]
    said = [normalise(turn.text) for turn in turns]
    found: list[int | None] = [None] * early
    found += _best(said, texts[early:], [latest for latest in begun[early:] if latest is not None])
    for number, words in enumerate(said):
        own = [final for final, turn in enumerate(found) if turn == number]
        for final in _without_a_word(words, [texts[final] for final in own]):
            found[own[final]] = None
    return tuple(found)


def attribute_by_time(turns: Sequence[Turn], finals: Sequence[float]) -> tuple[int | None, ...]:
    """The same where texts mean nothing: a final goes to the first turn that is over and has none since.

    Where there is no such turn, it goes to the latest that has begun.

    Args:
        finals: receipts in ms of the scene, in order.
    """
    found: list[int | None] = []
    open_from = 0
    for at in finals:
        latest = latest_begun(turns, at)
        if latest is None:
            found.append(None)
        elif open_from <= latest and turns[open_from].end_ms <= at:
            found.append(open_from)
            open_from += 1
        else:
            found.append(latest)
    return tuple(found)


def latest_begun(turns: Sequence[Turn], at_ms: float) -> int | None:
    """The index of the turn that began last before this moment."""
    return max((number for number, turn in enumerate(turns) if turn.start_ms <= at_ms), default=None)


@dataclass(slots=True)
class _Ways:
    """The best ways to be at each word of one turn when the finals so far have been dealt with."""

    said: list[str]
    cost: list[int]
    """At ``[p]``: all words of the turns before and the first ``p`` of this one are dealt with."""
    path: list[_Path]

    def hear(self, words: Sequence[str], error: int) -> None:
        """A final with these words, all of them for this turn: a column of the table of edits for each."""
        for word in words:
            cost, path = [self.cost[0] + error], [self.path[0]]
            for p, other in enumerate(self.said):
                best = min(
                    (self.cost[p] + (0 if word == other else error), 0),
                    (self.cost[p + 1] + error, 1),
                    (cost[p] + error, 2),
                )
                cost.append(best[0])
                path.append((self.path[p], self.path[p + 1], path[p])[best[1]])
            self.cost, self.path = cost, path

    def enter(self, cost: int, path: _Path, error: int) -> None:
        """The turn before is over: this one may begin, and its first words may be lost."""
        for p in range(len(self.cost)):
            if cost < self.cost[p]:
                self.cost[p], self.path[p] = cost, path
            cost, path = self.cost[p] + error, self.path[p]


def _best(said: Sequence[list[str]], heard: Sequence[list[str]], latest: Sequence[int]) -> list[int]:
    """The turn of each final by the fewest errors: one table of edits over all turns at once.

    An error costs more than all that ties can save; among equals, later turns cost less.
    """
    if len(said) < 2:
        return [0] * len(heard)
    error = len(said) * len(heard) + 1
    nowhere = error * (sum(map(len, said)) + sum(map(len, heard)) + 1)
    ways = [_Ways(words, [nowhere] * (len(words) + 1), [None] * (len(words) + 1)) for words in said]
    _pass_on(ways, error, first=True)
    for words, last in zip(heard, latest, strict=True):
        for turn, way in enumerate(ways):
            if turn <= last:
                way.hear(words, error)
                way.cost = [cost - turn for cost in way.cost]
                way.path = [(turn, path) for path in way.path]
            else:
                way.cost = [nowhere] * len(way.cost)
        _pass_on(ways, error)
    found, path = [], ways[-1].path[-1]
    while path is not None:
        turn, path = path
        found.append(turn)
    return found[::-1]


def _pass_on(ways: Sequence[_Ways], error: int, first: bool = False) -> None:
    """From the end of each turn to the next."""
    if first:
        ways[0].enter(0, None, error)
    for before, after in pairwise(ways):
        after.enter(before.cost[-1], before.path[-1], error)


def _without_a_word(said: list[str], finals: Sequence[list[str]]) -> list[int]:
    """Which of the finals of a turn have words, but none at the place of a word that was said."""
    words = [word for final in finals for word in final]
    paired = {after for before, after in align(said, words) if before is not None}
    ends = list(accumulate(map(len, finals), initial=0))
    return [
        number
        for number, (start, end) in enumerate(pairwise(ends))
        if start < end and paired.isdisjoint(range(start, end))
    ]
