"""Within what limits sessions are carried, and which of them were not kept, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Figures", "Limits", "backlog", "exceeded", "growth"]

LAG_FLOOR_MS = 200.0
"""A lag below this counts as this where growth is looked for: small lags waver, and by large factors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user will bear. None: no such limit."""

    ttfs_ratio: float | None = 1.5
    """p95 TTFS over that of one session."""
    ttfs_p95_ms: float | None = None
    partial_lag_p95_ms: float | None = 700.0
    lost: int | None = 0
    """Turns that stayed without an answer."""
    backlog: float | None = 1.2
    """Partial lag in the last third of the time over that in the middle third."""
    step: int | None = None
    """Of the ladder of load, 0 (all is as asked) to 5 (new sessions are refused)."""

    def words(self) -> str:
        """All of them, as part of a sentence."""
        told = []
        if self.ttfs_ratio is not None:
            told.append(f"p95 TTFS at most {self.ttfs_ratio:g} times that of one session")
        if self.ttfs_p95_ms is not None:
            told.append(f"p95 TTFS at most {self.ttfs_p95_ms:g} ms")
        if self.partial_lag_p95_ms is not None:
            told.append(f"p95 partial lag at most {self.partial_lag_p95_ms:g} ms")
        if self.lost is not None:
            told.append(f"at most {self.lost} turns lost" if self.lost else "no turn lost")
        if self.backlog is not None:
            told.append("no growing backlog")
        if self.step is not None:
            told.append(f"ladder of load at step {self.step} or below")
        return ", ".join(told) or "no limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the limits are held against."""

    ttfs_p95_ms: float | None
    """None: no turn had a final."""
    partial_lag_p95_ms: float | None
    """None: nobody said how far partials had listened."""
    lost: int = 0
    backlog: float | None = None
    """See :func:`backlog`; None: too little to tell."""
    step: int | None = None
    """The highest; None: not known."""


def exceeded(figures: Figures, limits: Limits, alone_ms: float | None) -> tuple[str, ...]:
    """The limits that were not kept, each as a few words; empty: all were.

    Args:
        alone_ms: p95 TTFS of one session; None: not known (yet), and the ratio is no matter.
    """
    if figures.ttfs_p95_ms is None:
        return ("no turn had a final",)
    told = []
    if alone_ms and limits.ttfs_ratio is not None and figures.ttfs_p95_ms > limits.ttfs_ratio * alone_ms:
        ratio = figures.ttfs_p95_ms / alone_ms
        told.append(f"p95 TTFS {figures.ttfs_p95_ms:.0f} ms, {ratio:.2f} times that of one session")
    if limits.ttfs_p95_ms is not None and figures.ttfs_p95_ms > limits.ttfs_p95_ms:
        told.append(f"p95 TTFS {figures.ttfs_p95_ms:.0f} ms")
    lag_ms = figures.partial_lag_p95_ms
    if limits.partial_lag_p95_ms is not None and lag_ms is not None and lag_ms > limits.partial_lag_p95_ms:
        told.append(f"p95 partial lag {lag_ms:.0f} ms")
    if limits.lost is not None and figures.lost > limits.lost:
        told.append(f"{figures.lost} turns lost")
    if limits.backlog is not None and figures.backlog is not None and figures.backlog > limits.backlog:
        told.append(f"partials lag more and more, by {figures.backlog:.2f} in the last third")
    if limits.step is not None and figures.step is not None and figures.step > limits.step:
        told.append(f"ladder of load at step {figures.step}")
    return tuple(told)


def backlog(lags: Sequence[tuple[float, float]], begun: float, ended: float) -> float | None:
    """The median lag of the last third of the time over that of the middle third.

    Args:
        lags: when, in seconds of any clock, and how long a lag in ms.
        begun: of the time, by the same clock.
        ended: likewise.

    Returns:
        None where there is nothing to compare.
    """
    third = (ended - begun) / 3
    middle = [lag for at, lag in lags if begun + third <= at < begun + 2 * third]
    last = [lag for at, lag in lags if begun + 2 * third <= at <= ended]
    if not middle or not last:
        return None
    return round(max(LAG_FLOOR_MS, median(last)) / max(LAG_FLOOR_MS, median(middle)), 3)


def growth(values: Sequence[float], floor: float = 1.0) -> float:
    """The mean of the last third over that of the middle one; both at least ``floor``.

    The first third is the time in which the load sets in.
    """
    third = max(1, len(values) // 3)
    last, middle = values[-third:], values[-2 * third : -third] or values[-third:]
    return round(max(floor, sum(last) / len(last)) / max(floor, sum(middle) / len(middle)), 3)
