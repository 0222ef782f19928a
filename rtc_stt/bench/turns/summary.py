"""From rows to figures: percentiles, rates and shares. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rtc_stt.bench.result import percentiles
from rtc_stt.bench.turns.rows import TurnRow

__all__ = ["PAUSES_MS", "pause_of", "summarise"]

PAUSES_MS = (0, 300, 600)
"""Lengths of the pauses that the turn sets hold. A turn counts to the nearest; midway, to the shorter."""


def pause_of(row: TurnRow) -> int:
    """Which of :data:`PAUSES_MS` the longest pause of a turn comes nearest to."""
    return min(PAUSES_MS, key=lambda length: abs(row.pause_ms - length))


def summarise(rows: Sequence[TurnRow], *, hangover_ms: int, extra_finals: int = 0) -> dict[str, Any]:
    """The figures of ``docs/turns.md`` over these turns, fit for JSON.

    Times are in ms; one that timed out counts with the patience of the run. Shares are of all turns together
    (``normalized_erasure`` is all words taken back over all words of finals), and None where there is nothing
    that they could be shares of.
    """
    shown = sum(row.shown_words for row in rows)
    return {
        "turns": len(rows),
        "timed_out": sum(row.is_timed_out for row in rows),
        "ttfs_ms": percentiles(row.ttfs_ms for row in rows),
        "ttfs_less_hangover_ms": percentiles(row.ttfs_ms - hangover_ms for row in rows),
        "eou_ms": _known(row.eou_ms for row in rows),
        "endpoint_to_final_ms": _known(row.endpoint_to_final_ms for row in rows),
        "ttfp_ms": _known(row.ttfp_ms for row in rows),
        "wel_ms": percentiles(ms for row in rows for ms in row.wel_ms),
        "partial_lag_ms": percentiles(ms for row in rows for ms in row.partial_lag_ms),
        "turns_without_right_partial": sum(row.has_partials and row.ttfp_ms is None for row in rows),
        "false_cut_offs": {
            str(length): _cut_offs([row for row in rows if pause_of(row) == length]) for length in PAUSES_MS
        },
        "normalized_erasure": _share(sum(row.erased_words for row in rows), shown),
        "unstable_word_ratio": _share(sum(row.revised_words for row in rows), shown),
        "unstable_turn_ratio": _share(sum(row.revised_words > 0 for row in rows), len(rows)),
        "retractions": sum(row.retractions for row in rows),
        "word_error_rate_percent": _percent(
            sum(row.word_errors for row in rows), sum(row.words for row in rows)
        ),
        "char_error_rate_percent": _percent(
            sum(row.char_errors for row in rows), sum(row.chars for row in rows)
        ),
        "extra_finals": extra_finals,
        "degraded_finals": sum(row.degraded_finals for row in rows),
    }


def _known(values: Iterable[float | None]) -> dict[str, float]:
    return percentiles(value for value in values if value is not None)


def _cut_offs(rows: Collection[TurnRow]) -> dict[str, float | None]:
    cut_off = sum(row.is_cut_off for row in rows)
    return {"turns": len(rows), "cut_off": cut_off, "percent": _percent(cut_off, len(rows))}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None
