"""Sessions in real time, and the calls that their pool makes meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.live import Spoken, speak_for
from rtc_stt.bench.voice import latencies
from rtc_stt.load import Step
from rtc_stt.session import Speech
from rtc_stt.simulation.calls import Call, of_tier

__all__ = ["WARM_UP_S", "LiveRun", "live_run"]

WARM_UP_S = 5.0
"""In which the sessions begin one after the other: it does not count."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """What came of it."""

    calls: list[Call]
    """Of the fast tier, whose requests came after the warm-up."""
    seconds: float
    """In which these were."""
    figures: dict[str, Any]
    """What was told to those who spoke; see :func:`~rtc_stt.bench.voice.latencies`."""
    step: Step
    """The highest of the ladder."""


async def live_run(
    speech: Speech, trace: CallTrace, spoken: Sequence[Spoken], sessions: int, seconds: float, seed: int = 1
) -> LiveRun:
    """Let so many speak for so long, behind the warm-up.

    Args:
        trace: the instrument of the pool.
    """
    trace.clear()
    begun = time.monotonic() + WARM_UP_S
    talks = (
        speak_for(speech, spoken, WARM_UP_S + seconds, seed=1_000 * seed + 100_000 * sessions + n)
        for n in range(sessions)
    )
    voices = await asyncio.gather(*talks)
    calls = [
        call
        for call in of_tier(trace.calls)
        if begun <= call.began - min(one.queued_s for one in call.requests) <= begun + seconds
    ]
    return LiveRun(
        calls, seconds, latencies(voices), max((step for _, step in trace.steps), default=speech.pool.step)
    )
