"""How many sessions does this machine carry with nothing left out?

The most at which p95 TTFS is at most 1.5 times that of one session, p95 of a partial (its wait and its
decode) is at most 700 ms, and the ladder of load stays at its foot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.bench.limits import Figures, Limits, exceeded
from rtc_stt.bench.live import Spoken, speak_for
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.voice import latencies
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.search import Trial, Verdict, found, next_sessions
from rtc_stt.session import Speech

__all__ = ["PROBES", "Search", "Watch", "in_bounds", "is_calm", "until_calm"]

MOST_SESSIONS = 48
"""Where the search ends: beyond it the speakers themselves load this process too much."""

LIMITS = Limits(backlog=None, step=Step.NORMAL)
NEAR = 0.5
"""One step back is near enough: four times as many are let in afterwards."""

PROBES = 8
"""Of a search, about."""

RECOVERY_WAIT_S = 30.0


@dataclass
class Watch(Instrument):
    """Sees what a partial takes from its request to its answer, and what waits."""

    partials_ms: list[float] = field(default_factory=list)
    waiting: dict[Tier, int] = field(default_factory=dict)
    _queued: dict[tuple[str, int, int, Tier], float] = field(default_factory=dict)

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        """See :class:`Instrument`."""
        self._queued[request.key] = queued_s

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """See :class:`Instrument`."""
        queued_s = self._queued.pop(answer.request.key, 0.0)
        if answer.request.urgency is Urgency.PARTIAL and isinstance(answer, Hypothesis):
            self.partials_ms.append((queued_s + infer_s) * 1000)

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        """See :class:`Instrument`."""
        self.waiting[tier] = waiting


class Search:
    """Finds how many sessions are carried with nothing left out."""

    def __init__(
        self,
        speech: Speech,
        watch: Watch,
        spoken: Sequence[Spoken],
        seconds: float,
        tick: Callable[[], object],
    ) -> None:
        self.probes: list[dict[str, Any]] = []
        self._speech = speech
        self._watch = watch
        self._spoken = spoken
        self._seconds = seconds
        self._tick = tick

    async def capacity(self) -> int:
        """Double until it is too much, then try the middle."""
        await self._probe(1)  # the first decodes of a process pay for much
        alone_ms = (await self._probe(1))["ttfs_ms"].get("p95", 0.0)
        trials = [Trial(1, Verdict.CARRIED)]
        while sessions := next_sessions(trials, most=MOST_SESSIONS, near=NEAR):
            probe = await self._probe(sessions)
            probe["in_bounds"] = in_bounds(probe, alone_ms)
            self.probes.append(probe)
            trials.append(Trial(sessions, Verdict.CARRIED if probe["in_bounds"] else Verdict.TOO_MANY))
        return found(trials).carried

    async def _probe(self, sessions: int) -> dict[str, Any]:
        await until_calm(self._speech, self._watch)
        self._watch.partials_ms.clear()
        highest = Step.NORMAL
        speaking = asyncio.gather(
            *(
                speak_for(self._speech, self._spoken, self._seconds, seed=1_000 * sessions + n)
                for n in range(sessions)
            )
        )
        while not speaking.done():
            highest = max(highest, self._speech.pool.step)
            await asyncio.wait([speaking], timeout=0.1)
        told = latencies(await speaking)
        self._tick()
        return {
            "sessions": sessions,
            "ttfs_ms": told["ttfs_ms"],
            "partial_ms": percentiles(self._watch.partials_ms),
            "send_lag_ms": told["send_lag_ms"],
            "highest_step": highest.name,
        }


def in_bounds(probe: Mapping[str, Any], alone_ms: float) -> bool:
    """Whether a probe is within the limits of capacity, given p95 TTFS of one session alone."""
    figures = Figures(
        ttfs_p95_ms=probe["ttfs_ms"].get("p95"),
        partial_lag_p95_ms=probe["partial_ms"].get("p95"),
        step=Step[probe["highest_step"]],
    )
    return not exceeded(figures, LIMITS, alone_ms)


async def until_calm(speech: Speech, watch: Watch) -> float | None:
    """Seconds until nothing waits and nothing is left out any more; None where that does not come."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < RECOVERY_WAIT_S:
        if is_calm(speech, watch):
            return round(passed, 1)
        await asyncio.sleep(0.1)
    return None


def is_calm(speech: Speech, watch: Watch) -> bool:
    """Whether nothing waits and nothing is left out."""
    return speech.pool.step is Step.NORMAL and not sum(watch.waiting.values())
