"""Side by side: the figures of every system, and whether ours hold what was asked of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rtc_stt.bench.peers.recipe import OURS, PEERS
from rtc_stt.bench.result import Mark
from rtc_stt.bench.turns.result import Result

__all__ = ["ASKED", "By", "figure", "marks", "overtaken", "standings"]

By = Mapping[tuple[str, int], Mapping[str, Any]]
"""What :func:`entry` makes, by system and number of sessions."""

ASKED = {
    "share_of_the_best_peer": 0.2,
    "p95_many_to_one": 1.5,
    "ttfp_p50_ms": 500.0,
    "retractions": 0.0,
    "normalized_erasure": 0.2,
}
"""At most."""

LOWER_IS_BETTER = {
    "TTFS less hangover, p50": ("ttfs_less_hangover_ms", "p50"),
    "TTFS less hangover, p95": ("ttfs_less_hangover_ms", "p95"),
    "TTFP, p50": ("ttfp_ms", "p50"),
    "WEL, p50": ("wel_ms", "p50"),
    "normalized erasure": ("normalized_erasure",),
    "word error rate": ("word_error_rate_percent",),
    "timed out": ("timed_out",),
    "extra finals": ("extra_finals",),
}
"""What may turn out against us, and where it stands in a summary."""


def entry(result: Result) -> dict[str, Any]:
    """One result in little: its summary, and what must be known to trust it."""
    return {
        "summary": result.summary["all"],
        "cold": result.cold,
        "send_lag_ms": result.send_lag_ms,
        "void": result.void,
        "interrupted": result.interrupted,
        "failures": result.failures,
        "rounds": result.rounds,
        "facts": {name: value for name, value in result.target.items() if name != "name"},
    }


def standings(results: Mapping[tuple[str, int], Result], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the tables show, fit for JSON.

    Args:
        results: by name of the system and number of sessions; rounds merged.
        settings: of the run, as a reader needs them to repeat it.
    """
    by = {key: entry(result) for key, result in results.items()}
    names = [name for name in (*OURS, *PEERS) if any(system == name for system, _ in by)]
    return {
        "measurement": "peers",
        "form": 1,
        "settings": dict(settings),
        "marks": {
            name: {mark.name: mark.to_json() for mark in marks(by, name)} for name in names if name in OURS
        },
        "better_than_ours": overtaken(by),
        "systems": {
            name: {str(n): by[system, n] for system, n in sorted(by) if system == name} for name in names
        },
    }


def marks(by: By, ours: str) -> list[Mark]:
    """What was asked of one of ours. A mark without a value could not be measured."""
    counts = sorted(n for system, n in by if system == ours)
    if not counts:
        return []
    few, many = counts[0], counts[-1]
    one = by[ours, few]["summary"]
    best = _best(by, few, ("ttfs_less_hangover_ms", "p50"))
    best_p95 = _best(by, few, ("ttfs_less_hangover_ms", "p95"))
    rate = _best(by, few, ("word_error_rate_percent",))
    made = [
        Mark(
            "ttfs_less_hangover_p50_to_best_peer", _ratio(one, "p50", best), ASKED["share_of_the_best_peer"]
        ),
        Mark(
            "ttfs_less_hangover_p95_to_best_peer",
            _ratio(one, "p95", best_p95),
            ASKED["share_of_the_best_peer"],
        ),
        Mark("ttfp_p50_ms", figure(one, ("ttfp_ms", "p50")), ASKED["ttfp_p50_ms"]),
        Mark(
            "retractions",
            float(sum(by[ours, n]["summary"]["retractions"] for n in counts)),
            ASKED["retractions"],
        ),
        Mark("normalized_erasure", figure(one, ("normalized_erasure",)), ASKED["normalized_erasure"]),
    ]
    if rate is not None:
        made.append(Mark("word_error_rate_percent", figure(one, ("word_error_rate_percent",)), rate))
    if many > few:
        alone, crowd = one["ttfs_ms"].get("p95"), by[ours, many]["summary"]["ttfs_ms"].get("p95")
        ratio = round(crowd / alone, 3) if alone and crowd is not None else None
        made.append(Mark(f"ttfs_p95_{many}_sessions_to_{few}", ratio, ASKED["p95_many_to_one"]))
    return made


def overtaken(by: By) -> list[dict[str, Any]]:
    """Where a peer is better than the best of ours with the same weights, at as many sessions."""
    ours = [name for name, one in OURS.items() if one.is_same_weights]
    found = []
    for count in sorted({n for _, n in by}):
        for title, path in LOWER_IS_BETTER.items():
            own = [v for name in ours if (v := _value(by, name, count, path)) is not None]
            if not own:
                continue
            for peer in PEERS:
                value = _value(by, peer, count, path)
                if value is not None and value < min(own) and _says_something(by, peer, count, path):
                    found.append(
                        {"figure": title, "sessions": count, "peer": peer, "peers": value, "ours": min(own)}
                    )
    return found


def _says_something(by: By, peer: str, count: int, path: tuple[str, ...]) -> bool:
    """Who shows no partials takes nothing back, and is not praised for it."""
    shows = figure(by[peer, count]["summary"], ("ttfp_ms", "n"))
    return bool(shows) or path != ("normalized_erasure",)


def figure(summary: Mapping[str, Any], path: Iterable[str]) -> float | None:
    """A number in a summary; None where there is none."""
    value: Any = summary
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def _value(by: By, system: str, count: int, path: Iterable[str]) -> float | None:
    return figure(by[system, count]["summary"], path) if (system, count) in by else None


def _best(by: By, count: int, path: tuple[str, ...]) -> float | None:
    values = [v for peer in PEERS if (v := _value(by, peer, count, path)) is not None]
    return min(values, default=None)


def _ratio(summary: Mapping[str, Any], rank: str, best: float | None) -> float | None:
    """Of nothing that is above zero there is no ratio."""
    own = figure(summary, ("ttfs_less_hangover_ms", rank))
    return round(own / best, 3) if own is not None and best is not None and best > 0 else None
