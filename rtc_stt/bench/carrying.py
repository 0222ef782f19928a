"""By how much calls take longer where sessions are carried beside them.

A call that is measured alone has processor, caches and the interpreter's lock to itself, and follows upon one
like it. In a server the loop, the detector and the network come between. So calls of real sessions are held
against those that were measured alone, with few sessions and with more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.live import Spoken
from rtc_stt.bench.live_calls import live_run
from rtc_stt.config import Decoding, Routing
from rtc_stt.config_keys import Values, build
from rtc_stt.decode_pool import DecodePool, Engine
from rtc_stt.hypothesis import Tier
from rtc_stt.loading import stream_options
from rtc_stt.session import Speech
from rtc_stt.simulation.calls import Call
from rtc_stt.simulation.service_times import ServiceTimes
from rtc_stt.vad import SileroDetector, VadBatcher

__all__ = ["carrying", "measure", "speech_on"]

QUANTILES = 40

LEAST_CALLS = 20
"""Of fewer nothing is said."""


def speech_on(engines: Mapping[Tier, Engine], concurrency: int, values: Values, trace: CallTrace) -> Speech:
    """What sessions share, with engines that are loaded already."""
    decoding = build(Decoding, values)
    pool = DecodePool(
        engines,
        concurrency=concurrency,
        max_batch=decoding.max_batch,
        queue_limit=decoding.queue_limit,
        queue_limit_mb=decoding.queue_limit_mb,
        hang_s=decoding.decode_hang_s,
        instrument=trace,
    )
    vad = VadBatcher(SileroDetector())
    return Speech(vad, pool, stream_options(values), build(Routing, values), instrument=trace)


async def measure(
    speech: Speech,
    trace: CallTrace,
    table: ServiceTimes,
    spoken: Sequence[Spoken],
    loads: Sequence[int],
    seconds: float,
) -> dict[str, Any]:
    """Speak at each of these loads; see :func:`carrying`."""
    runs = {}
    for sessions in sorted(loads):
        runs[sessions] = (await live_run(speech, trace, spoken, sessions, seconds, seed=7)).calls
    return carrying(table, runs)


def carrying(table: ServiceTimes, runs: Mapping[int, Sequence[Call]]) -> dict[str, Any]:
    """What :func:`rtc_stt.simulation.read_times` reads, and how calls are spread in a live process.

    Args:
        table: calls that were measured alone.
        runs: calls by the sessions that were carried beside them, fewest first.
    """
    sessions, stretches, spread = list[int](), list[float](), list[float]()
    for number, calls in runs.items():
        if len(calls) < LEAST_CALLS:
            continue
        ratios = [call.seconds / table.typical(len(call.requests), call.longest_s) for call in calls]
        typical = median(ratios)
        sessions.append(number)
        # More sessions make no call shorter: where that was measured, it was chance.
        stretches.append(round(max([typical, *stretches[-1:]]), 4))
        spread += [ratio / typical for ratio in ratios]
    if not sessions:
        return {}
    told = [round(ratio, 3) for ratio in quantiles(spread, n=QUANTILES, method="inclusive")]
    return {"sessions": sessions, "stretch": stretches, "spread": told}
