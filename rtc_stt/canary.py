"""Whether a new version is taken back: two sides of one service, compared. Pure.

A canary is judged against the old version beside it, over the same minutes, so that a busy hour is not held
against it (Google, The Site Reliability Workbook, chapter 16). The rules, each of which takes it back:

==================  ====================================================================================
slow                its p95 is more than ``slower`` times the baseline's at every look of the whole time
errors              more of what it is asked fails than at the baseline, and than ``errors`` in any case
fallback            the same of second opinions, and ``fallback``
away                none of its processes can be scraped
restarts            its processes begin anew, as they do when they crash, and the baseline's do not
==================  ====================================================================================

Who has had too little to do is not judged by that rule. To be let through it has to be judged by its p95, of
live speech or of recordings, and by its errors; of second opinions there may be none.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "EVERY_S",
    "LATENCIES",
    "NO_ROOM",
    "SERVERS_FAULT",
    "Judgement",
    "Rules",
    "Share",
    "Side",
    "Verdict",
    "judge",
    "looks",
    "read",
    "sums",
]

SERVERS_FAULT = 'type=~"unavailable|decode_failed|fallback_failed|internal"'
"""Errors that come with a status of 500 or more. Wrong keys, bad audio and rates are their senders'."""

NO_ROOM = 'reason=~"full|load|unhealthy|ports"'
"""Refusals that are this server's fault."""

LATENCIES = {
    "endpoint to final": "rtc_stt_endpoint_to_final_seconds",
    "recordings": "stt_request_total_seconds",
}
"""What p95 is compared of: histograms, by what a person calls them."""

EVERY_S = 30.0
"""Between two looks at a p95."""

MIN_BAD = 5
"""Failures that are a pattern: fewer may be one client that tries again."""


class Verdict(enum.IntEnum):
    """What comes of it, and the exit code that says so."""

    GO_ON = 0
    ABORT = 1
    CANNOT_JUDGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When it is taken back."""

    for_s: float = 600.0
    """The time that is looked at."""
    slower: float = 1.5
    """Times the baseline's p95."""
    errors: float = 0.01
    """Share of failures below which nobody is taken back, whatever the baseline has."""
    fallback: float = 0.02
    """Likewise of second opinions."""
    worse: float = 2.0
    """Times the baseline's share of failures."""
    min_events: int = 50
    """With fewer, within the time and on either side, a rule does not judge."""
    coverage: float = 0.8
    """Share of looks at which there has to be a p95 of both."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of events within the time."""

    bad: float = 0.0
    all: float = 0.0

    @property
    def ratio(self) -> float:
        """0 where nothing happened."""
        return self.bad / self.all if self.all else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What was measured of one of the two."""

    targets: int
    """Processes that Prometheus knows."""
    up: int
    """Those that it could scrape just now."""
    restarts: float = 0.0
    p95: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """By the name of :data:`LATENCIES`: seconds at each look, oldest first; None where nothing happened."""
    counts: Mapping[str, float] = field(default_factory=dict)
    """By the same: events within the time."""
    errors: Share = Share()
    fallback: Share = Share()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why."""

    verdict: Verdict
    reasons: tuple[str, ...]
    """Fit for a person; of an abort those of the abort alone."""


def judge(canary: Side, baseline: Side, rules: Rules) -> Judgement:
    """By all rules: one is enough to take it back."""
    if not canary.targets:
        return Judgement(Verdict.CANNOT_JUDGE, ("Prometheus knows no process of the canary",))
    if not canary.up:
        return Judgement(Verdict.ABORT, ("away: no process of the canary can be scraped",))
    if not baseline.up:
        return Judgement(Verdict.CANNOT_JUDGE, ("no process of the baseline can be scraped",))
    slow = list(_slow(canary, baseline, rules))
    errors = list(_failing("errors", canary.errors, baseline.errors, rules.errors, rules))
    others = [
        *_failing("fallback", canary.fallback, baseline.fallback, rules.fallback, rules),
        *_restarting(canary, baseline),
    ]
    found = [*slow, *errors, *others]
    if against := [says for verdict, says in found if verdict is Verdict.ABORT]:
        return Judgement(Verdict.ABORT, tuple(against))
    needed = (slow, errors)
    is_judged = all(any(verdict is Verdict.GO_ON for verdict, _ in rule) for rule in needed)
    verdict = Verdict.GO_ON if is_judged else Verdict.CANNOT_JUDGE
    return Judgement(verdict, tuple(says for found_verdict, says in found if found_verdict is verdict))


Finding = tuple[Verdict, str]


def _slow(canary: Side, baseline: Side, rules: Rules) -> Iterator[Finding]:
    for name in LATENCIES:
        counts = canary.counts.get(name, 0.0), baseline.counts.get(name, 0.0)
        if min(counts) < rules.min_events:
            yield Verdict.CANNOT_JUDGE, _too_few(f"slow, {name}", *counts)
            continue
        taken = list(zip(canary.p95.get(name, ()), baseline.p95.get(name, ()), strict=False))
        both = [(mine, other) for mine, other in taken if mine is not None and other is not None]
        if not both or len(both) < rules.coverage * len(taken):
            yield Verdict.CANNOT_JUDGE, f"slow, {name}: a p95 of both at {len(both)} of {len(taken)} looks"
            continue
        is_slow = all(mine > rules.slower * other for mine, other in both)
        mine, other = both[-1]
        says = f"slow, {name}: p95 {mine:.3f} s, the baseline's {other:.3f} s, at {len(both)} looks"
        yield (Verdict.ABORT if is_slow else Verdict.GO_ON), says


def _failing(rule: str, mine: Share, other: Share, least: float, rules: Rules) -> Iterator[Finding]:
    # What fails more often than not is judged even without a baseline.
    is_hopeless = mine.all >= rules.min_events and mine.ratio > 0.5
    if min(mine.all, other.all) < rules.min_events and not is_hopeless:
        yield Verdict.CANNOT_JUDGE, _too_few(rule, mine.all, other.all)
        return
    limit = max(least, rules.worse * other.ratio)
    says = f"{rule}: {mine.ratio:.2%} of {mine.all:.0f}, the baseline's {other.ratio:.2%} of {other.all:.0f}"
    yield (Verdict.ABORT if mine.ratio > limit and mine.bad >= MIN_BAD else Verdict.GO_ON), says


def _restarting(canary: Side, baseline: Side) -> Iterator[Finding]:
    """Twice a process, on average: once is a start."""
    each, others = canary.restarts / canary.targets, baseline.restarts / max(baseline.targets, 1)
    if each >= 2 and each > 2 * others:
        yield Verdict.ABORT, f"restarts: {canary.restarts:.0f} by {canary.targets} processes"


def _too_few(rule: str, mine: float, other: float) -> str:
    return f"{rule}: too little to judge by, {mine:.0f} events, {other:.0f} at the baseline"


# ── What Prometheus is asked ────────────────────────────────────────────────────────────

DECISIONS = "redecoded|redecode_failed|redecode_timeout"


def sums(match: str, for_s: float) -> dict[str, str]:
    """What is asked once of a side, by name: one number each.

    Args:
        match: label matchers, as they stand in braces: ``job="rtc-stt",version="2"``.
        for_s: the time that is looked at.
    """
    window = f"{max(round(for_s), 1)}s"

    def events(metric: str, more: str = "") -> str:
        return f"sum(increase({metric}{{{match}{',' if more else ''}{more}}}[{window}]))"

    return {
        "targets": f"count(up{{{match}}})",
        "up": f"sum(up{{{match}}})",
        "restarts": f"sum(changes(process_start_time_seconds{{{match}}}[{window}]))",
        "failed requests": events("stt_requests_exceptions_total", SERVERS_FAULT),
        "no room": events("rtc_stt_rejected_total", NO_ROOM),
        "requests": events("stt_requests_total"),
        "sessions": events("rtc_stt_session_seconds_count"),
        "failed opinions on recordings": events("stt_fallback_total", 'result="failed"'),
        "opinions on recordings": events("stt_fallback_total", 'result=~"used|failed"'),
        "failed opinions on speech": events(
            "rtc_stt_routes_total", 'decision=~"redecode_failed|redecode_timeout"'
        ),
        "opinions on speech": events("rtc_stt_routes_total", f'decision=~"{DECISIONS}"'),
        **{name: events(f"{metric}_count") for name, metric in LATENCIES.items()},
    }


def looks(match: str, for_s: float) -> dict[str, str]:
    """What is asked at each look, by the name of :data:`LATENCIES`: a p95 over the last minutes."""
    window = f"{round(min(max(for_s / 5, 60.0), 300.0))}s"
    return {
        name: f"histogram_quantile(0.95, sum by (le) (rate({metric}_bucket{{{match}}}[{window}])))"
        for name, metric in LATENCIES.items()
    }


def read(told: Mapping[str, float | None], p95: Mapping[str, Sequence[float | None]]) -> Side:
    """The answers to all of :func:`sums`, None where there is no such series, and to :func:`looks`."""
    number = {name: value or 0.0 for name, value in told.items()}
    return Side(
        targets=round(number["targets"]),
        up=round(number["up"]),
        restarts=number["restarts"],
        p95=p95,
        counts={name: number[name] for name in LATENCIES},
        errors=Share(
            number["failed requests"] + number["no room"],
            number["requests"] + number["sessions"] + number["no room"],
        ),
        fallback=Share(
            number["failed opinions on recordings"] + number["failed opinions on speech"],
            number["opinions on recordings"] + number["opinions on speech"],
        ),
    )
