"""Error rates with the confidence that so many recordings allow. Pure.

Recordings are drawn again with replacement, as many as there are, over and over (the bootstrap of M. Bisani
and H. Ney, ICASSP 2004): words of one recording are not independent of each other, recordings mostly are.
Of a difference between two systems both are counted on the same draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rtc_stt.percentiles import nearest_rank

__all__ = ["RESAMPLES", "Floats", "draws", "interval", "percent", "rate"]

Floats = npt.NDArray[np.float64]

RESAMPLES = 2_000
"""Enough that the ends of a 95 % interval are settled to about a tenth of its width."""

SEED = 1

AT_ONCE = 4_000_000
"""Numbers of one block of draws: 32 MB."""


def draws(recordings: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each recording is drawn: blocks of shape ``(b, recordings)``, ``resamples`` rows in all.

    The same ones each time it is called.
    """
    generator = np.random.default_rng(SEED)
    even = np.full(recordings, 1 / recordings)
    rows = max(1, AT_ONCE // recordings)
    for done in range(0, resamples, rows):
        yield generator.multinomial(recordings, even, min(rows, resamples - done)).astype(np.float64)


def rate(errors: Floats, of: Floats) -> float:
    """Errors of all recordings over words (characters …) of all, in percent; 0.0 without any."""
    total = float(of.sum())
    return 100 * float(errors.sum()) / total if total else 0.0


def percent(errors: Floats, of: Floats, resamples: int = RESAMPLES) -> dict[str, object]:
    """:func:`rate` and its 95 % interval, rounded for a result.

    Args:
        errors, of: by recording, shape ``(n,)``. Errors may be a difference between two systems.
    """
    return {"percent": round(rate(errors, of), 2), "interval_95": interval(errors, of, resamples)}


def interval(errors: Floats, of: Floats, resamples: int = RESAMPLES) -> list[float]:
    """The 95 % interval of :func:`rate` in percent, by percentiles of the draws."""
    drawn: list[float] = []
    for counts in draws(len(of), resamples):
        drawn += _ratios(counts @ errors, counts @ of)
    drawn.sort()
    return [round(nearest_rank(drawn, p), 2) for p in (2.5, 97.5)]


def _ratios(errors: Floats, of: Floats) -> Sequence[float]:
    """In percent; a draw without a word says nothing."""
    spoken = of > 0
    ratios: list[float] = (100 * errors[spoken] / of[spoken]).tolist()
    return ratios or [0.0]
