"""What other thresholds of the routing would cost, and what they would be worth. Pure.

Each of the three keys is moved over its range while the others stay as configured. Both tiers have decoded
everything once, so each setting is only counted, not decoded again: its word error rate, and its decode
seconds, which are those of the fast tier for all and those of the accurate tier for what it would be asked.

**The front** are the settings than which no other is both as cheap and as right.

**The knee** is the setting of the front that lies farthest below the straight line (the chord) between its
cheapest and its most accurate end, both axes scaled to that span (the Kneedle of V. Satopää et al., 2011,
for a curve of few points): up to there each second buys more than it does on average, from there on less.
Where no setting lies below the chord there is no bend: then it is the accurate end if that is better by
more than chance (95 %), else the cheap one.

**How settled it is**: the same is chosen anew on each of many draws of recordings (:mod:`.rates`). A
setting that was chosen on some recordings looks better on them than on others; what it gives on recordings
that had no part in choosing it is told by those that a draw left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtc_stt.bench.wer.heard import ALWAYS, NEVER, Cost, Heard, Piece, joined
from rtc_stt.bench.wer.rates import Floats, draws, interval, rate
from rtc_stt.config import Routing
from rtc_stt.config_keys import keys
from rtc_stt.percentiles import nearest_rank

__all__ = ["GRIDS", "Choice", "Point", "Stability", "Sweep", "choose", "front", "knee", "stability", "sweep"]

GRIDS: dict[str, tuple[float, ...]] = {
    "logprob_threshold": tuple(round(n / 100, 2) for n in range(101)),
    "langprob_threshold": tuple(round(n / 20, 2) for n in range(21)),
    "min_words": tuple(range(11)),
}
"""Values that are tried, by field of :class:`~rtc_stt.config.Routing`. Each rises: the higher, the more is
doubted."""

FLAT = 1e-9
"""Not below the chord but by rounding."""

CHOICES = 500
"""Draws on which the knee is chosen anew."""


@dataclass(frozen=True, slots=True)
class Point:
    """A setting of one key. On these recordings all values from ``low`` to ``high`` do the same."""

    key: str
    """As in the configuration."""
    low: float
    high: float
    value: float
    """The middle of them, which is the farthest from doing something else."""
    redecoded_percent: float
    """Of the pieces."""
    wer_percent: float
    cost: float
    """Decode seconds for an hour of audio."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """All settings, and by recording what they come to. ``P`` settings, ``n`` recordings."""

    points: tuple[Point, ...]
    errors: Floats
    """Word errors, shape ``(P, n)``."""
    seconds: Floats
    """Decode seconds, shape ``(P, n)``."""
    words: Floats
    """Shape ``(n,)``."""
    audio_s: Floats
    """Shape ``(n,)``."""

    def curve(self, key: str) -> list[Point]:
        """The settings of one key, rising."""
        return [point for point in self.points if point.key == key]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is recommended."""

    point: Point
    has_bend: bool
    """Whether it is a knee; else one end of the front."""
    front: tuple[int, ...]
    """Indices of points, cheapest first."""


@dataclass(frozen=True, slots=True)
class Stability:
    """What is chosen on draws of the recordings."""

    draws: int
    same_key_percent: float
    """Where the choice falls on the same key."""
    value_95: tuple[float, float]
    """Of that key: 95 of 100 choices lie between."""
    unseen_wer_percent: float | None
    """Word error rate of the choice on recordings that had no part in it; None where each draw had all."""


class _Counted:
    """One recording: its word errors by which of its pieces are decoded again."""

    def __init__(
        self, heard: Heard, errors: Callable[[str, str], int], seconds: Callable[[Cost], float]
    ) -> None:
        self._text = heard.recording.text
        self._errors_of = errors
        self._kept = [piece.routed(NEVER).text for piece in heard.pieces]
        self._redecoded = [piece.routed(ALWAYS).text for piece in heard.pieces]
        self._fast_s = sum(seconds(piece.fast_cost) for piece in heard.pieces)
        self._accurate_s = [seconds(piece.accurate_cost) for piece in heard.pieces]
        self._known: dict[tuple[bool, ...], int] = {}

    def errors(self, redecoded: tuple[bool, ...]) -> int:
        if redecoded not in self._known:
            ways = zip(redecoded, self._redecoded, self._kept, strict=True)
            said = joined(better if again else kept for again, better, kept in ways)
            self._known[redecoded] = self._errors_of(self._text, said)
        return self._known[redecoded]

    def seconds(self, redecoded: tuple[bool, ...]) -> float:
        again = zip(redecoded, self._accurate_s, strict=True)
        return self._fast_s + sum(seconds for is_again, seconds in again if is_again)


def sweep(
    heards: Sequence[Heard],
    routing: Routing,
    *,
    words: Floats,
    errors: Callable[[str, str], int],
    seconds: Callable[[Cost], float],
) -> Sweep:
    """Every setting of every key.

    Args:
        routing: as configured.
        words: of each recording's transcript, shape ``(n,)``.
        errors: word errors of a text against a transcript: ``errors(transcript, text)``.
        seconds: what counts of a :class:`~rtc_stt.bench.wer.heard.Cost`.
    """
    counted = [_Counted(heard, errors, seconds) for heard in heards]
    audio_s = np.array([heard.audio_s for heard in heards])
    pieces = sum(len(heard.pieces) for heard in heards)
    points: list[Point] = []
    rows_of_errors: list[list[int]] = []
    rows_of_seconds: list[list[float]] = []
    for field, grid in GRIDS.items():
        firsts = [[_first(piece, routing, field) for piece in heard.pieces] for heard in heards]
        starts = sorted({0, *(first for of in firsts for first in of if first < len(grid))})
        for start, end in zip(starts, [*starts[1:], len(grid)], strict=True):
            redecoded = [tuple(start >= first for first in of) for of in firsts]
            row = [c.errors(again) for c, again in zip(counted, redecoded, strict=True)]
            spent = [c.seconds(again) for c, again in zip(counted, redecoded, strict=True)]
            rows_of_errors.append(row)
            rows_of_seconds.append(spent)
            points.append(
                Point(
                    key=keys(Routing)[field].name,
                    low=grid[start],
                    high=grid[end - 1],
                    value=grid[(start + end - 1) // 2],
                    redecoded_percent=100 * sum(map(sum, redecoded)) / max(1, pieces),
                    wer_percent=rate(np.array(row, float), words),
                    cost=3600 * sum(spent) / float(audio_s.sum()),
                )
            )
    return Sweep(
        tuple(points), np.array(rows_of_errors, float), np.array(rows_of_seconds, float), words, audio_s
    )


def _first(piece: Piece, routing: Routing, field: str) -> int:
    """Index of the lowest value of a key at which the accurate tier is asked; one more than all: never."""

    def asks(value: float) -> bool:
        return piece.routed(replace(routing, **{field: value})).is_redecoded  # type: ignore[arg-type]

    return bisect_left(GRIDS[field], True, key=asks)


def front(costs: Floats, errors: Floats) -> list[int]:
    """Indices than which none is both as cheap and as right, cheapest first. Of equals the first."""
    best, found = float("inf"), []
    for index in np.lexsort((np.arange(len(costs)), errors, costs)):
        if errors[index] < best:
            best = float(errors[index])
            found.append(int(index))
    return found


def knee(costs: Floats, errors: Floats) -> int | None:
    """Which point of a front is farthest below its chord; None where none is.

    Args:
        costs: rising.
        errors: falling.
    """
    if len(costs) < 3:
        return None
    across = (costs - costs[0]) / (costs[-1] - costs[0])
    upward = (errors - errors[-1]) / (errors[0] - errors[-1])
    depth = 1 - across - upward
    deepest = int(np.argmax(depth))
    return deepest if depth[deepest] > FLAT else None


def choose(swept: Sweep) -> Choice:
    """The knee of the front, or one end of it: see above."""
    costs = np.array([point.cost for point in swept.points])
    rates = np.array([point.wer_percent for point in swept.points])
    best = front(costs, rates)
    bend = knee(costs[best], rates[best])
    if bend is not None:
        return Choice(swept.points[best[bend]], True, tuple(best))
    saved = swept.errors[best[0]] - swept.errors[best[-1]]
    is_better = interval(saved, swept.words)[0] > 0
    return Choice(swept.points[best[-1 if is_better else 0]], False, tuple(best))


def stability(swept: Sweep, choice: Choice, resamples: int = CHOICES) -> Stability:
    """What would have been chosen on other draws of the recordings, and what that is worth to the others."""
    otherwise = 0 if choice.point == swept.points[choice.front[0]] else -1
    values, total = list[float](), 0
    wrong = unseen = 0.0
    for counts in draws(len(swept.words), resamples):
        rates = (counts @ swept.errors.T) / np.maximum(counts @ swept.words, 1)[:, None]
        # Settings of two keys may do the same: they shall not differ by the order of a sum.
        costs = np.round(counts @ swept.seconds.T / (counts @ swept.audio_s)[:, None], 12)
        for drawn, some_costs, some_rates in zip(counts, costs, rates, strict=True):
            best = front(some_costs, some_rates)
            bend = knee(some_costs[best], some_rates[best])
            chosen = best[otherwise if bend is None else bend]
            total += 1
            if swept.points[chosen].key == choice.point.key:
                values.append(swept.points[chosen].value)
            left_out = drawn == 0
            wrong += float(swept.errors[chosen][left_out].sum())
            unseen += float(swept.words[left_out].sum())
    same = 100 * len(values) / total
    values = sorted(values) or [choice.point.value]
    low, high = (nearest_rank(values, p) for p in (2.5, 97.5))
    return Stability(
        draws=total,
        same_key_percent=round(same, 1),
        value_95=(low, high),
        unseen_wer_percent=round(100 * wrong / unseen, 2) if unseen else None,
    )
