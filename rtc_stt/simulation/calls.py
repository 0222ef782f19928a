"""What a pool did, call by call: real ones and simulated ones are told in the same words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from rtc_stt.hypothesis import Tier, Urgency
from rtc_stt.percentiles import nearest_rank

__all__ = ["Asked", "Call", "of_tier", "rates", "waits_ms"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a call."""

    urgency: Urgency
    audio_s: float
    queued_s: float
    """From its request to the begin of the call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an engine, done."""

    tier: Tier
    began: float
    """In seconds, on whatever clock."""
    seconds: float
    requests: tuple[Asked, ...]

    @property
    def longest_s(self) -> float:
        """The longest audio in it: what it takes goes by that."""
        return max(one.audio_s for one in self.requests)


def of_tier(calls: Iterable[Call], tier: Tier = Tier.FAST) -> list[Call]:
    """Those of one tier."""
    return [call for call in calls if call.tier is tier]


def waits_ms(calls: Iterable[Call], *urgencies: Urgency) -> list[float]:
    """From each such request to its answer, in order of size."""
    return sorted(
        1000 * (one.queued_s + call.seconds)
        for call in calls
        for one in call.requests
        if one.urgency in urgencies
    )


def rates(calls: Sequence[Call], seconds: float, concurrency: int) -> dict[str, Any]:
    """What a load consists of: by this a simulation is right, or wrong, for a reason.

    Args:
        calls: of one tier.
        seconds: in which they were.
        concurrency: calls at a time, at most.
    """
    told: dict[str, Any] = {
        "calls_a_s": round(len(calls) / seconds, 2),
        "busy": round(sum(call.seconds for call in calls) / seconds / concurrency, 3),
        "call_ms": _mean(1000 * call.seconds for call in calls),
        "requests_a_call": _mean(len(call.requests) for call in calls),
    }
    for name, kinds in (("partials", (Urgency.PARTIAL,)), ("finals", (Urgency.EAGER, Urgency.FINAL))):
        asked = [one for call in calls for one in call.requests if one.urgency in kinds]
        queued_ms = sorted(1000 * one.queued_s for one in asked)
        told[name] = {
            "a_s": round(len(asked) / seconds, 2),
            "audio_s": _mean(one.audio_s for one in asked),
            "queued_ms_mean": _mean(queued_ms),
            "queued_ms_p95": round(nearest_rank(queued_ms, 95), 1) if queued_ms else 0.0,
        }
    return told


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return round(mean(listed), 3) if listed else 0.0
