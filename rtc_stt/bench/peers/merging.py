"""The rounds of one system as one result. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rtc_stt.bench.result import percentiles
from rtc_stt.bench.turns.result import Result

__all__ = ["merge"]


def merge(rounds: Sequence[Result]) -> Result:
    """One result of several that differ only in when they were made.

    Rows keep the number of their round. Of the send lag the worst of each percentile is taken: where one
    round is void, all is. Of the cold start all values are kept, one a round.

    Raises:
        ValueError: there is nothing to merge, or the rounds are not of one kind.
    """
    if not rounds:
        raise ValueError("no rounds")
    first = rounds[0]
    for other in rounds[1:]:
        if _kind(other) != _kind(first):
            raise ValueError("rounds of different systems or settings")
    rows = [replace(row, round=n) for n, one in enumerate(rounds) for row in one.rows]
    return replace(
        first,
        rows=rows,
        rounds=len(rounds),
        interrupted=any(one.interrupted for one in rounds),
        failures=sum(one.failures for one in rounds),
        extra_finals=_sum([one.extra_finals for one in rounds]),
        cold=_cold([one.cold for one in rounds]),
        send_lag_ms=_worst([one.send_lag_ms for one in rounds]),
        timelines=first.timelines,
    )


def _kind(one: Result) -> tuple[object, ...]:
    """What the rounds of one result have in common."""
    return (
        one.target.get("name"),
        one.speakers,
        one.hangover_ms,
        one.patience_s,
        one.cost_only,
        one.condition,
        one.data,
    )


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = sorted({name for one in counts for name in one})
    return {name: sum(one.get(name, 0) for one in counts) for name in names}


def _worst(lags: Sequence[Mapping[str, float]]) -> dict[str, float]:
    known = [lag for lag in lags if lag.get("n")]
    if not known:
        return {"n": 0}
    worst = {name: max(lag[name] for lag in known) for name in ("p50", "p95", "p99")}
    return worst | {"n": sum(lag["n"] for lag in known)}


def _cold(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The same names, for the median of the rounds where there is a number."""
    starts = [one["start_ms"] for one in rounds if one.get("start_ms") is not None]
    firsts = [one["first_turn_ttfs_ms"] for one in rounds if one.get("first_turn_ttfs_ms") is not None]
    connects = [one["connect_ms"] for one in rounds if one.get("connect_ms", {}).get("n")]
    return {
        "start_ms": percentiles(starts).get("p50"),
        "connect_ms": _worst(connects),
        "first_turn_ttfs_ms": percentiles(firsts).get("p50"),
        "starts_ms": starts,
    }
