"""Whether one result is faster or better than another, or whether the difference is noise.

Each figure of B is held against that of A: times as a ratio B/A, rates as a difference B - A. How far chance
alone may have moved it is found by a percentile bootstrap over turns (Efron & Tibshirani, An Introduction to
the Bootstrap, 13.3): turns are drawn with replacement, and the figures are computed anew from those drawn. A
turn is drawn with all that belongs to it (its words, its partials), for those are not independent of each
other. Where both results played the same turns, a draw takes the same turns on both sides, so that what makes
a turn hard in itself is no noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.rows import TurnRow

__all__ = ["MIN_TURNS", "Comparison", "Difference", "Verdict", "compare"]

MIN_TURNS = 10
"""Of fewer turns a bootstrap makes intervals that are much too narrow: nothing is told of them."""

LEVEL = 95.0
RESAMPLES = 2_000
Verdict = Literal["faster", "slower", "better", "worse", "noise"]
Key = tuple[str, str, int, int]
Weights = npt.NDArray[np.float32]
"""How often each turn was drawn, shape ``(resamples, turns)``; in a type that multiplies fast
and is exact up to 2**24."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of B against that of A."""

    name: str
    """Of the figure, as in a result's summary, e.g. ``ttfs_ms.p95``."""
    label: str
    kind: Literal["ratio", "difference"]
    unit: str
    """Of ``a`` and ``b``: ``ms``, ``%`` or nothing."""
    a: float
    b: float
    change: float
    """B/A of a ratio; B - A, in the unit, of a difference. Above 1 or 0 is to the worse, for every figure."""
    low: float
    high: float
    """The ends of the interval of ``change``."""
    turns: tuple[int, int]
    """From how many turns of A and of B."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures that both results have."""

    differences: tuple[Difference, ...]
    is_paired: bool
    turns: tuple[int, int]
    """That were compared, of A and of B; equal where they are paired."""
    warnings: tuple[str, ...]
    """What makes the comparison less than one of like with like."""
    seed: int
    resamples: int

    @property
    def got_worse(self) -> tuple[Difference, ...]:
        """What is slower or worse, and not by chance."""
        return tuple(d for d in self.differences if d.verdict in {"slower", "worse"})

    def to_json(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {"measurement": "turns_compared", "form": 1, "level_percent": LEVEL} | asdict(self)


def compare(a: Result, b: Result, *, seed: int = 1, resamples: int = RESAMPLES) -> Comparison:
    """Hold ``b`` against ``a``.

    Args:
        seed: of the draws; the same seed gives the same intervals.
        resamples: how many draws.
    """
    warnings = list(_unlike(a, b))
    is_paired, rows_a, rows_b = _match(a, b, warnings)
    if min(len(rows_a), len(rows_b)) < MIN_TURNS:
        warnings.append(
            f"only {len(rows_a)} and {len(rows_b)} turns to compare: of fewer than {MIN_TURNS} "
            "every difference is called noise"
        )
    draw = _draws(len(rows_a), len(rows_b), is_paired, seed, resamples)
    found = (
        _difference(figure, _Side(rows_a, a.hangover_ms), _Side(rows_b, b.hangover_ms), draw)
        for figure in _figures()
    )
    return Comparison(
        tuple(one for one in found if one is not None),
        is_paired,
        (len(rows_a), len(rows_b)),
        tuple(warnings),
        seed,
        resamples,
    )


@dataclass(frozen=True, slots=True)
class _Side:
    rows: Sequence[TurnRow]
    hangover_ms: float


@dataclass(frozen=True, slots=True)
class _Percentile:
    """Of the values of all turns; a turn may have none, one or many."""

    name: str
    label: str
    percent: int
    values: Callable[[TurnRow, float], Sequence[float]]


@dataclass(frozen=True, slots=True)
class _Rate:
    """A sum over turns through another."""

    name: str
    label: str
    share: Callable[[TurnRow], tuple[float, float]]
    unit: str = "%"
    scale: float = 100.0


def _figures() -> Iterator[_Percentile | _Rate]:
    for name, label, values in _TIMES:
        for percent in (50, 95):
            yield _Percentile(f"{name}.p{percent}", f"{label} p{percent}", percent, values)
    yield from _RATES


def _known(value: float | None) -> tuple[float, ...]:
    return () if value is None else (value,)


_TIMES: tuple[tuple[str, str, Callable[[TurnRow, float], Sequence[float]]], ...] = (
    ("ttfs_ms", "TTFS", lambda row, hangover: (row.ttfs_ms,)),
    ("ttfs_less_hangover_ms", "TTFS less hangover", lambda row, hangover: (row.ttfs_ms - hangover,)),
    ("eou_ms", "EOU", lambda row, hangover: _known(row.eou_ms)),
    ("endpoint_to_final_ms", "endpoint to final", lambda row, hangover: _known(row.endpoint_to_final_ms)),
    ("ttfp_ms", "TTFP", lambda row, hangover: _known(row.ttfp_ms)),
    ("wel_ms", "WEL", lambda row, hangover: row.wel_ms),
    ("partial_lag_ms", "partial lag", lambda row, hangover: row.partial_lag_ms),
)

_RATES: tuple[_Rate, ...] = (
    _Rate("word_error_rate_percent", "WER", lambda row: (row.word_errors, row.words)),
    _Rate("char_error_rate_percent", "CER", lambda row: (row.char_errors, row.chars)),
    _Rate("normalized_erasure", "NE", lambda row: (row.erased_words, row.shown_words), unit="", scale=1.0),
    _Rate(
        "unstable_word_ratio", "UPWR", lambda row: (row.revised_words, row.shown_words), unit="", scale=1.0
    ),
    _Rate("unstable_turn_ratio", "UPSR", lambda row: (row.revised_words > 0, 1), unit="", scale=1.0),
    _Rate("retractions", "retractions in 100 turns", lambda row: (row.retractions, 1), unit=""),
    _Rate("false_cut_offs", "false cut-offs", lambda row: (row.is_cut_off, 1)),
    _Rate("timed_out", "time-outs", lambda row: (row.is_timed_out, 1)),
    _Rate(
        "turns_without_right_partial",
        "turns without a right partial",
        lambda row: (row.has_partials and row.ttfp_ms is None, row.has_partials),
    ),
    _Rate("degraded_finals", "degraded finals", lambda row: (row.degraded_finals, row.finals)),
)


def _match(a: Result, b: Result, warnings: list[str]) -> tuple[bool, list[TurnRow], list[TurnRow]]:
    """The turns that both have, in one order; where that is less than half of either, all of each."""
    left = {_key(row): row for row in a.rows}
    right = {_key(row): row for row in b.rows}
    common = sorted(left.keys() & right.keys())
    if _of(a.data, "sha256") == _of(b.data, "sha256") and 2 * len(common) >= max(len(left), len(right), 1):
        if apart := len(left) + len(right) - 2 * len(common):
            warnings.append(f"{apart} turns are in one result only and are left out")
        return True, [left[key] for key in common], [right[key] for key in common]
    warnings.append(
        "the turns are not the same ones: they are drawn apart for each result, and little does not show"
    )
    return False, list(a.rows), list(b.rows)


def _key(row: TurnRow) -> Key:
    return row.scene, row.turn, row.speaker, row.round


def _draws(turns_a: int, turns_b: int, is_paired: bool, seed: int, resamples: int) -> tuple[Weights, Weights]:
    chance = np.random.default_rng(seed)
    drawn_a = _weights(chance, turns_a, resamples)
    return drawn_a, drawn_a if is_paired else _weights(chance, turns_b, resamples)


def _weights(chance: np.random.Generator, turns: int, resamples: int) -> Weights:
    if turns == 0:
        return np.zeros((resamples, 0), np.float32)
    picked = chance.integers(turns, size=(resamples, turns))
    picked += np.arange(resamples)[:, None] * turns
    counted = np.bincount(picked.ravel(), minlength=resamples * turns)
    return counted.astype(np.float32).reshape(resamples, turns)


def _difference(
    figure: _Percentile | _Rate, a: _Side, b: _Side, drawn: tuple[Weights, Weights]
) -> Difference | None:
    """None where one of the results does not have it."""
    sides = [_sample(figure, side, weights) for side, weights in zip((a, b), drawn, strict=True)]
    if any(side is None for side in sides):
        return None
    (of_a, drawn_a, turns_a), (of_b, drawn_b, turns_b) = (side for side in sides if side is not None)
    is_ratio = isinstance(figure, _Percentile) and of_a > 0 and of_b > 0 and not (drawn_a <= 0).any()
    change, changes = (of_b / of_a, drawn_b / drawn_a) if is_ratio else (of_b - of_a, drawn_b - drawn_a)
    tail = (100 - LEVEL) / 2
    # A draw may hold no turn that has the figure: it says nothing.
    low, high = (float(end) for end in np.nanpercentile(changes, (tail, 100 - tail)))
    neutral = 1.0 if is_ratio else 0.0
    verdict: Verdict = "noise"
    if min(turns_a, turns_b) >= MIN_TURNS and not low <= neutral <= high:
        to_the_worse = low > neutral
        if isinstance(figure, _Percentile):
            verdict = "slower" if to_the_worse else "faster"
        else:
            verdict = "worse" if to_the_worse else "better"
    return Difference(
        name=figure.name,
        label=figure.label,
        kind="ratio" if is_ratio else "difference",
        unit="ms" if isinstance(figure, _Percentile) else figure.unit,
        a=round(of_a, 4),
        b=round(of_b, 4),
        change=round(change, 4),
        low=round(low, 4),
        high=round(high, 4),
        turns=(turns_a, turns_b),
        verdict=verdict,
    )


def _sample(figure: _Percentile | _Rate, side: _Side, weights: Weights) -> tuple[float, Values, int] | None:
    """The figure, what it is in each draw, and how many turns have it; None where none has."""
    whole = np.ones((1, len(side.rows)), np.float32)
    if isinstance(figure, _Rate):
        shares = np.array([figure.share(row) for row in side.rows], np.float32).reshape(-1, 2)
        has_it = shares[:, 1] > 0
        if not has_it.any():
            return None
        point, drawn = (_rate(w, shares) * figure.scale for w in (whole, weights))
        return float(point[0]), drawn, int(has_it.sum())
    told = [figure.values(row, side.hangover_ms) for row in side.rows]
    values = np.array([value for one in told for value in one], np.float64)
    if not len(values):
        return None
    owner = np.repeat(np.arange(len(told)), [len(one) for one in told])
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    point, drawn = (_percentile(w, values, owner, figure.percent) for w in (whole, weights))
    return float(point[0]), drawn, sum(1 for one in told if one)


def _rate(weights: Weights, shares: Weights) -> Values:
    above, below = (weights @ shares).T.astype(np.float64)
    rates: Values = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return rates


def _percentile(weights: Weights, values: Values, owner: npt.NDArray[np.intp], percent: int) -> Values:
    """By nearest rank, of ascending ``values``, each as often as its owner was drawn; NaN of none.

    In two steps, for thousands of draws of thousands of values: into which block of values the rank falls, by
    one product of matrices, and then where in that block.
    """
    draws, block = np.arange(len(weights)), math.isqrt(len(values)) + 1
    blocks = -(-len(values) // block)
    counts = np.zeros((weights.shape[1], blocks), np.float32)
    np.add.at(counts, (owner, np.arange(len(values)) // block), 1)
    inside = weights @ counts
    until = np.cumsum(inside, axis=1)
    rank = np.ceil(until[:, -1].astype(np.float64) * percent / 100)
    found = (until >= rank[:, None]).argmax(axis=1)
    before = until[draws, found] - inside[draws, found]
    places = found[:, None] * block + np.arange(block)
    drawn = weights[draws[:, None], owner[np.minimum(places, len(values) - 1)]]
    reached = before[:, None] + np.cumsum(drawn, axis=1) >= rank[:, None]
    chosen = np.minimum(places[draws, reached.argmax(axis=1)], len(values) - 1)
    return np.where(until[:, -1] > 0, values[chosen], np.nan)


def _unlike(a: Result, b: Result) -> Iterator[str]:
    """What differs and should not."""
    for name, of in _CONDITIONS:
        first, second = of(a), of(b)
        if first != second:
            yield f"{name} differs: {_short(first)} and {_short(second)}"
    for name, result in (("A", a), ("B", b)):
        if result.void:
            yield f"{name} is void: its sender was late"
        if result.interrupted:
            yield f"{name} was interrupted"
        if result.failures:
            yield f"in {name} the target failed {result.failures} times"


_CONDITIONS: tuple[tuple[str, Callable[[Result], object]], ...] = (
    ("the machine", lambda result: _of(result.provenance, "machine")),
    ("the models", lambda result: _of(result.target, "models") or _of(result.provenance, "models")),
    ("the data", lambda result: _of(result.data, "sha256")),
    ("the hangover", lambda result: f"{result.hangover_ms:g} ms"),
    ("the condition", lambda result: result.condition),
    ("the number of speakers", lambda result: result.speakers),
    ("what counts as a time-out", lambda result: f"{result.patience_s:g} s"),
    ("whether only the cost counts", lambda result: result.cost_only),
)


def _of(mapping: Any, name: str) -> object:
    return mapping.get(name) if isinstance(mapping, dict) else None


def _short(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
