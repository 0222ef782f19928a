"""Eight speakers at a time, in real time, and a ninth who asks for more than anyone should.

Everything is in one process: the real detector, the real pool, the demo models on two cores. The speakers
share the event loop with the sessions, so the lag of the loop is reported beside the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtc_stt.audio import Samples
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.pacing import MAX_SEND_LAG_MS
from rtc_stt.bench.result import Mark, Outcome, percentiles
from rtc_stt.bench.voice import MakeSpeech, Voice, latencies, loop_lag, on_time, silence
from rtc_stt.config import StreamOptions
from rtc_stt.config_keys import keys
from rtc_stt.instrument import Instrument
from rtc_stt.session import Speech

__all__ = ["CORES", "Plan", "Spoken", "flood_mark", "on_cores", "read", "run", "speak_for", "steps"]

CORES = 2
PAUSE_S = 1.0
Spoken = tuple[Clip, Samples]
"""A clip and its audio."""

NOISE_FLOOR_MS = 5.0
"""p95 without the flood is a few ms where finals are ready before the endpoint; there a quarter of it is
less than what the event loop wavers by. So a p95 below this counts as this."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Without and with the flood in turn: ``rounds`` times ``seconds`` each."""

    sessions: int = 8
    seconds: float = 30.0
    rounds: int = 2
    clips: Path = recordings.CLIPS


def steps(plan: Plan) -> int:
    """Seconds that it takes, about."""
    return round(2 * plan.rounds * plan.seconds)


def run(plan: Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> Outcome:
    """Measure on two cores."""
    with on_cores(CORES) as cores:
        figures = asyncio.run(_measure(plan, make_speech, tick))
    figures["cores"] = cores
    quiet, flooded = figures["eight"], figures["eight_beside_a_flood"]
    lags = [part["send_lag_ms"]["p99"] for part in (quiet, flooded) if "p99" in part["send_lag_ms"]]
    p95 = quiet["endpoint_to_final_ms"].get("p95")
    return Outcome(
        figures,
        (
            Mark("endpoint_to_final_p95_ms", p95, 100),
            Mark("finals_lost", quiet["lost"] + flooded["lost"], 0),
            Mark("turns_without_final", quiet["turns_without_final"] + flooded["turns_without_final"], 0),
            flood_mark(p95, flooded["endpoint_to_final_ms"].get("p95")),
            Mark("send_lag_p99_ms", max(lags, default=None), MAX_SEND_LAG_MS),
        ),
    )


def flood_mark(without: float | None, beside: float | None) -> Mark:
    """p95 beside the flood over p95 without it, neither below the noise floor."""
    ratio = None
    if without is not None and beside is not None:
        ratio = round(max(beside, NOISE_FLOOR_MS) / max(without, NOISE_FLOOR_MS), 3)
    return Mark("p95_ratio_beside_a_flood", ratio, 1.25)


async def _measure(plan: Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> dict[str, Any]:
    clean = read(recordings.load("clean", "digits", folder=plan.clips))
    endless, _ = recordings.unbroken([clip for clip, _ in clean], plan.seconds)
    speech = make_speech(Instrument(), {"MAX_CONCURRENCY": str(CORES)})
    without: list[Voice] = []
    beside: list[Voice] = []
    lags: dict[bool, list[float]] = {False: [], True: []}
    floods: list[Voice] = []
    try:
        async with on_time(range(steps(plan)), tick):
            for number in range(plan.rounds):
                for flood in (False, True):
                    async with loop_lag() as lag:
                        eight, ninth = await _round(speech, plan, clean, endless, number, flood)
                    (beside if flood else without).extend(eight)
                    floods += ninth
                    lags[flood] += lag
    finally:
        await speech.aclose()
    return {
        "sessions": plan.sessions,
        "noise_floor_ms": NOISE_FLOOR_MS,
        "eight": latencies(without) | {"loop_lag_ms": percentiles(lags[False])},
        "eight_beside_a_flood": latencies(beside) | {"loop_lag_ms": percentiles(lags[True])},
        "flood": latencies(floods) | {"partials_told": sum(v.partials for v in floods)},
    }


async def _round(
    speech: Speech, plan: Plan, spoken: Sequence[Spoken], endless: Samples, number: int, flood: bool
) -> tuple[list[Voice], list[Voice]]:
    """All speakers for so many seconds; the flood is there from first to last."""
    loop = asyncio.get_running_loop()
    ninth = [loop.create_task(_flood(speech, endless))] if flood else []
    voices = await asyncio.gather(
        *(speak_for(speech, spoken, plan.seconds, seed=100 * number + n) for n in range(plan.sessions))
    )
    return list(voices), list(await asyncio.gather(*ninth))


def read(clips: Sequence[Clip]) -> list[Spoken]:
    """The clips with their audio: nobody reads files while the clock runs."""
    return [(clip, clip.audio()) for clip in clips]


async def speak_for(speech: Speech, spoken: Sequence[Spoken], seconds: float, *, seed: int) -> Voice:
    """One speaker: clips in an order of their own with a second between, until the time is up."""
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    await asyncio.sleep(chance.uniform(0, 2 * PAUSE_S))  # nobody speaks in step
    voice = Voice(speech)
    await voice.say(silence(PAUSE_S / 2))
    while voice.pacer.media_ms < seconds * 1000:
        await voice.say_clip(*chance.choice(spoken))
        await voice.say(silence(PAUSE_S))
    await voice.leave()
    return voice


async def _flood(speech: Speech, endless: Samples) -> Voice:
    """Speech without a pause, and partials as often as they can be asked for."""
    shortest = keys(StreamOptions)["partial_interval_ms"].low
    assert shortest is not None
    options = dataclasses.replace(speech.options, partial_interval_ms=round(shortest))
    voice = Voice(dataclasses.replace(speech, options=options))
    await voice.say(endless)
    await voice.leave()
    return voice


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[int]:
    """Keep this thread, and those it starts, to so many cores where the system lets us. Gives the number."""
    if not hasattr(os, "sched_setaffinity"):
        yield os.cpu_count() or 1
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield min(count, len(before))
    finally:
        os.sched_setaffinity(0, before)
