"""Four times as many speakers as the machine can carry, for minutes, while others knock at the door.

The demo models are so small that the event loop would be overloaded before they are. So the models here have
a true Whisper shape with random weights (:mod:`rtc_stt.bench.shapes`): what they say is a fixed text, what
they cost is real. Every final is doubted (``MIN_WORDS_FOR_CONF`` is out of reach), so that the accurate tier
is under load as well.

Four times as many sessions as the machine carries (:mod:`rtc_stt.bench.capacity`) are let in at once and
stay. Each second one more asks to come in, as at the server's door, and stays for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import shapes
from rtc_stt.bench.capacity import PROBES, Search, Watch, is_calm, until_calm
from rtc_stt.bench.limits import growth
from rtc_stt.bench.live import CORES, Spoken, on_cores, read, speak_for
from rtc_stt.bench.result import Mark, Outcome, percentiles, rss_bytes
from rtc_stt.bench.voice import MakeSpeech, Voice, latencies
from rtc_stt.decode_pool import DecodePool
from rtc_stt.load import Step
from rtc_stt.session import Speech

__all__ = ["Plan", "Sample", "run", "steps", "with_weight"]

OVERLOAD = 4
WORDS = 8
"""What the models say: few enough words for the shortest clip, enough for a sentence."""

RECOVERY_S = 10.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """``sessions``: how many are let in at once; None: four times the capacity, which is searched."""

    models: Path
    shape: str = "base"
    sessions: int | None = None
    seconds: float = 180.0
    probe_s: float = 12.0
    visit_s: float = 30.0
    """How long one stays who was let in at the door."""
    clips: Path = recordings.CLIPS


@dataclass(frozen=True, slots=True)
class Sample:
    """The state once a second."""

    at_s: int
    step: int
    waiting: int
    """Requests that wait, both tiers."""
    waiting_bytes: int
    rss: int
    sessions: int


def steps(plan: Plan) -> int:
    """How many times ``tick`` is called, about: once a second under load, and once a probe."""
    return round(plan.seconds) + (PROBES if plan.sessions is None else 0)


def with_weight(models: Path, shape: str) -> dict[str, str]:
    """The configuration: models of this shape in both tiers, and every final doubted."""
    folder = str(shapes.model_folder(models, shape, WORDS))
    return {
        "CT2_SMALL_PATH": folder,
        "CT2_MEDIUM_PATH": folder,
        "MIN_WORDS_FOR_CONF": "100",
        "MAX_CONCURRENCY": str(CORES),
        "BEAM_SIZE": "1",
    }


def run(plan: Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> Outcome:
    """Measure on two cores."""
    with on_cores(CORES) as cores:
        figures = asyncio.run(_measure(plan, make_speech, tick))
    admitted, door = figures["admitted"], figures["door"]
    return Outcome(
        {"shape": plan.shape, "cores": cores, **figures},
        (
            Mark("utterances_of_the_admitted_lost", admitted["lost"] + door["lost"], 0),
            Mark("sessions_broken", admitted["errors"] + door["errors"], 0),
            Mark("queue_growth", figures["queue_growth"], 1.5),
            Mark("memory_growth", figures["memory_growth"], 1.1),
            Mark("recovery_s", figures["recovery_s"], RECOVERY_S),
        ),
    )


async def _measure(plan: Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> dict[str, Any]:
    spoken = read(recordings.load("clean", "digits", folder=plan.clips))
    watch = Watch()
    speech = make_speech(watch, with_weight(plan.models, plan.shape))
    try:
        probes: list[dict[str, Any]] = []
        sessions = plan.sessions
        if sessions is None:
            search = Search(speech, watch, spoken, plan.probe_s, tick)
            sessions = OVERLOAD * await search.capacity()
            probes = search.probes
            await until_calm(speech, watch)
        load = _Load(speech, watch, spoken, plan)
        samples = await load.carry(sessions, tick)
        recovery_s = await load.recovery_s()
    finally:
        await speech.aclose()
    return {
        "words": WORDS,
        "capacity_probes": probes,
        "sessions": sessions,
        "seconds": plan.seconds,
        "highest_step": Step(max(sample.step for sample in samples)).name,
        "longest_queue": max(sample.waiting for sample in samples),
        "queue_growth": growth([sample.waiting for sample in samples], floor=sessions),
        "memory_growth": growth([sample.rss for sample in samples]),
        "recovery_s": recovery_s,
        "admitted": _told(load.stayed) | {"errors": sum(v.errors for v in load.stayed)},
        "door": {
            "let_in": len(load.visited),
            "refused": load.refused,
            "lost": sum(voice.lost for voice in load.visited),
            "errors": sum(voice.errors for voice in load.visited),
        },
        "by_decision": _decisions([*load.stayed, *load.visited]),
        "partial_ms": percentiles(watch.partials_ms),
        "seconds_told": [_row(sample) for sample in samples],
    }


class _Load:
    """The speakers: those who stay, and those who come to the door."""

    def __init__(self, speech: Speech, watch: Watch, spoken: Sequence[Spoken], plan: Plan) -> None:
        self.stayed: list[Voice] = []
        self.visited: list[Voice] = []
        self.refused = 0
        self._speech = speech
        self._watch = watch
        self._spoken = spoken
        self._plan = plan
        self._inside = 0
        self._calm_at_end = False
        self._busy_at = 0.0  # when it was last seen that something waits or is left out

    async def carry(self, sessions: int, tick: Callable[[], object]) -> list[Sample]:
        """Hold the load for its time; the state of each second."""
        loop = asyncio.get_running_loop()
        watching = loop.create_task(self._keep_watch())
        staying = [loop.create_task(self._speak(self._plan.seconds, n)) for n in range(sessions)]
        visiting: list[asyncio.Task[Voice]] = []
        samples: list[Sample] = []
        begun = time.monotonic()
        for second in range(round(self._plan.seconds)):
            await asyncio.sleep(max(0.0, begun + second + 1 - time.monotonic()))
            samples.append(self._sample(second + 1))
            if not self._speech.pool.accepts_sessions:
                self.refused += 1
            elif left := min(self._plan.visit_s, self._plan.seconds - second - 1):
                visiting.append(loop.create_task(self._speak(left, 10_000 + second)))
            tick()
        self.stayed = list(await asyncio.gather(*staying))
        self.visited = list(await asyncio.gather(*visiting))
        watching.cancel()
        self._calm_at_end = is_calm(self._speech, self._watch)
        return samples

    async def recovery_s(self) -> float | None:
        """From the last word of the last speaker until nothing waits and nothing is left out any more.

        None where that does not come.
        """
        if await until_calm(self._speech, self._watch) is None:
            return None
        silent = max(voice.silent_since or 0.0 for voice in [*self.stayed, *self.visited])
        # Where the watch ended in trouble, the recovery has ended now.
        end = self._busy_at if self._calm_at_end else time.monotonic()
        return round(max(0.0, end - silent), 1)

    async def _keep_watch(self) -> None:
        while True:
            if not is_calm(self._speech, self._watch):
                self._busy_at = time.monotonic()
            await asyncio.sleep(0.1)

    async def _speak(self, seconds: float, seed: int) -> Voice:
        self._inside += 1
        try:
            return await speak_for(self._speech, self._spoken, seconds, seed=seed)
        finally:
            self._inside -= 1

    def _sample(self, second: int) -> Sample:
        pool = self._speech.pool
        assert isinstance(pool, DecodePool), "the queue is in another process"
        return Sample(
            at_s=second,
            step=int(pool.step),
            waiting=sum(self._watch.waiting.values()),
            waiting_bytes=pool.snapshot()["queued_bytes"],
            rss=rss_bytes(),
            sessions=self._inside,
        )


def _told(voices: Sequence[Voice]) -> dict[str, object]:
    """The latencies, less what a fixed text can say nothing about."""
    figures = latencies(voices)
    return {name: value for name, value in figures.items() if name not in ("ttfp_ms", "partial_lag_ms")}


def _decisions(voices: Sequence[Voice]) -> dict[str, int]:
    told: dict[str, int] = {}
    for voice in voices:
        for final in voice.finals:
            told[str(final.route.decision)] = told.get(str(final.route.decision), 0) + 1
    return told


def _row(sample: Sample) -> list[float]:
    """``[second, step, requests that wait, MiB that wait, resident MiB, sessions]``."""
    waiting_mib = round(sample.waiting_bytes / MIB, 2)
    rss_mib = round(sample.rss / MIB, 1)
    return [sample.at_s, sample.step, sample.waiting, waiting_mib, rss_mib, sample.sessions]
