"""One try of the search for capacity: its figures, and what all tries together say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.bench.limits import Figures, Limits, backlog, exceeded
from rtc_stt.bench.pacing import FRAME, MAX_SEND_LAG_MS
from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.turns.measure import measure
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.summary import summarise
from rtc_stt.bench.turns.told import Dropped
from rtc_stt.search import Trial, Verdict, found

__all__ = ["Held", "Look", "Probe", "Ramp", "answer", "figures", "picture"]

LOST_REASONS = frozenset({"cancelled", "decode_failed"})
"""A drop for one of these says nothing of the speech: the turn was lost."""

FRAME_S = FRAME / 16_000


@dataclass(frozen=True, slots=True)
class Look:
    """The server at a moment."""

    step: int | None = None
    """Of the ladder of load, 0 (all is as asked) to 5 (new sessions are refused); None: it does not say."""
    waiting: int = 0
    """Requests that wait for a turn at a model."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """How often the ladder led to each step since the start, by the code of the ``load_*`` warning that every
    session then gets."""

    @property
    def is_calm(self) -> bool:
        """Whether nothing waits and nothing is left out."""
        return not self.step and not self.waiting


@dataclass(frozen=True, slots=True)
class Held:
    """What the server's processes have used and hold."""

    cpu_s: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen while so many spoke."""

    sessions: int
    begun: float
    """When the first began to speak, in seconds of the loop's clock."""
    ended: float
    """When the time was up; who spoke then finished the scene."""
    observations: Sequence[Observation]
    looks: Sequence[Look] = ()
    before: Held | None = None
    after: Held | None = None
    """None: the server is not on this machine, or not ours."""


def figures(probe: Probe, *, patience_s: float, hangover_ms: int, cost_only: bool = False) -> dict[str, Any]:
    """What one probe came to, fit for JSON; the words are those of ``docs/turns.md``.

    A turn is *lost* that has no final, and no drop with a reason that lies in the speech. Who was dropped has
    no TTFS; who was lost counts with the patience.
    """
    answered: list[TurnRow] = []
    lags: list[tuple[float, float]] = []
    lost = dropped = 0
    for seen in probe.observations:
        ends = {turn.id: turn for turn in seen.scene.turns}
        for row in measure(seen, patience_s=patience_s, cost_only=cost_only).rows:
            turn = ends[row.turn]
            lags += [(seen.wall(turn.end_ms), lag) for lag in row.partial_lag_ms]
            without = row.is_timed_out and not row.finals
            if without and _was_dropped(seen, seen.wall(turn.start_ms)):
                dropped += 1
                continue
            lost += without
            answered.append(row)
    sums = summarise(answered, hangover_ms=hangover_ms)
    return {
        "sessions": probe.sessions,
        "turns": len(answered) + dropped,
        "lost": lost,
        "dropped": dropped,
        **{
            name: sums[name]
            for name in (
                "ttfs_ms", "ttfs_less_hangover_ms", "ttfp_ms", "partial_lag_ms", "word_error_rate_percent",
                "degraded_finals",
            )
        },
        "backlog": backlog(lags, probe.begun, probe.ended),
        "send_lag_ms": percentiles(
            (lag for seen in probe.observations for lag in seen.send_lag_ms), digits=2
        ),
        **_of_the_server(probe),
    }  # fmt: skip


def _was_dropped(seen: Observation, since: float) -> bool:
    return any(
        isinstance(item.told, Dropped) and item.told.reason not in LOST_REASONS and item.at >= since
        for item in seen.heard
    )


def _of_the_server(probe: Probe) -> dict[str, Any]:
    steps = Counter(look.step for look in probe.looks if look.step is not None)
    audio_s = FRAME_S * sum(len(seen.send_lag_ms) for seen in probe.observations)
    cpu_ms = rss_mib = None
    if probe.before and probe.after:
        cpu_ms = round(1000 * (probe.after.cpu_s - probe.before.cpu_s) / audio_s, 2) if audio_s else None
        rss_mib = round(probe.after.rss_bytes / 2**20, 1)
    first, last = (probe.looks[0], probe.looks[-1]) if probe.looks else (Look(), Look())
    more = {code: count - first.warnings.get(code, 0) for code, count in last.warnings.items()}
    return {
        "highest_step": max(steps, default=None),
        "steps": {str(step): round(n / steps.total(), 3) for step, n in sorted(steps.items())},
        "load_warnings": {code: count for code, count in more.items() if count > 0},
        "audio_s": round(audio_s, 1),
        "cpu_ms_per_audio_s": cpu_ms,
        "rss_mib": rss_mib,
    }


class Ramp:
    """All probes of a search, each judged as it comes."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.trials: list[Trial] = []
        self.probes: list[dict[str, Any]] = []
        """As :func:`figures`, with ``verdict`` and ``exceeded``."""
        self.alone_ms: float | None = None
        """p95 TTFS of one session: of its best try."""

    def add(self, told: Mapping[str, Any]) -> Verdict:
        """Judge a probe's figures."""
        held = Figures(
            ttfs_p95_ms=told["ttfs_ms"].get("p95"),
            partial_lag_p95_ms=told["partial_lag_ms"].get("p95"),
            lost=told["lost"],
            backlog=told["backlog"],
            step=told["highest_step"],
        )
        if told["sessions"] == 1 and held.ttfs_p95_ms is not None:
            self.alone_ms = min(held.ttfs_p95_ms, self.alone_ms or held.ttfs_p95_ms)
        reasons = exceeded(held, self.limits, self.alone_ms)
        if told["send_lag_ms"].get("p99", 0.0) > MAX_SEND_LAG_MS:
            verdict = Verdict.VOID
            reasons = (f"those who speak were late themselves, p99 by {told['send_lag_ms']['p99']:.0f} ms",)
        else:
            verdict = Verdict.TOO_MANY if reasons else Verdict.CARRIED
        self.trials.append(Trial(told["sessions"], verdict))
        self.probes.append({**told, "verdict": verdict.value, "exceeded": list(reasons)})
        return verdict


def answer(ramp: Ramp, *, who: str, most: int, is_broken_off: bool = False) -> dict[str, Any]:
    """The answer in one sentence, and its parts.

    Args:
        who: carries them, as the subject of the sentence.
        most: that were to be tried.
    """
    known = found(ramp.trials)
    at_least = known.is_at_least or is_broken_off
    because = [
        words for probe in ramp.probes if probe["sessions"] == known.too_many for words in probe["exceeded"]
    ]
    because = list(dict.fromkeys(because))
    number = f"{known.carried} session{'' if known.carried == 1 else 's'}"
    within = f"within these limits: {ramp.limits.words()}"
    if known.carried:
        told = f"{who} carries {'at least ' if at_least else ''}{number} {within}"
    elif at_least:
        told = f"It is not known what {who[0].lower()}{who[1:]} carries {within}"
    else:
        told = f"{who} does not carry even one session {within}"
    if is_broken_off:
        told += "; the search was broken off"
    elif known.is_void:
        told += (
            "; those who speak were too slow for more: let nothing run beside them, or another machine speak"
        )
    elif known.too_many is None and known.carried == most:
        told += "; more were not tried (--max-sessions)"
    if known.too_many is not None:
        told += (
            f"; {known.too_many} {'was' if known.too_many == 1 else 'were'} too many: {'; '.join(because)}"
        )
    return {
        "sessions": known.carried,
        "at_least": at_least,
        "too_many": known.too_many,
        "because": because,
        "limited_by": "speakers" if known.is_void else None if known.too_many is None else "limits",
        "sentence": told + ".",
    }


def picture(result: Mapping[str, Any]) -> str:
    """What grows with the sessions, as SVG; the answer is marked. Of several tries the last one is drawn."""
    by_sessions = {probe["sessions"]: probe for probe in result["probes"]}
    probes = [by_sessions[sessions] for sessions in sorted(by_sessions)]
    mark = result["answer"]["sessions"] or None

    def ranks(name: str) -> list[Line]:
        return [
            Line(rank, [(p["sessions"], p[name][rank]) for p in probes if rank in p[name]])
            for rank in ("p50", "p95", "p99")
        ]

    def one(name: str) -> list[Line]:
        return [Line("", [(p["sessions"], p[name]) for p in probes if p[name] is not None])]

    charts = [
        Chart("TTFS", "sessions", "ms", ranks("ttfs_ms"), mark=mark),
        Chart("Partial lag", "sessions", "ms", ranks("partial_lag_ms"), mark=mark),
        Chart("CPU", "sessions", "ms in a second of audio", one("cpu_ms_per_audio_s"), mark=mark),
        Chart("Ladder of load", "sessions", "highest step", one("highest_step"), mark=mark),
    ]
    return write([chart for chart in charts if any(line.points for line in chart.lines)])
