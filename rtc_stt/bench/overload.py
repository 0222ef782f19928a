"""Four times as many speakers as the machine can carry, for minutes, while others knock at the door.

The demo models are so small that the event loop would be overloaded before they are. So the models here have
a true Whisper shape with random weights (:mod:`rtc_stt.bench.shapes`): what they say is a fixed text, what
they cost is real. Every final is doubted (``MIN_WORDS_FOR_CONF`` is out of reach), so that the accurate tier
is under load as well.

Capacity is searched first: the most sessions at which, with nothing left out, p95 TTFS is at most 1.5 times
that of one session and p95 of a partial (its wait and its decode) at most 700 ms. Four times as many sessions
are then let in at once and stay. Each second one more asks to come in, as at the server's door.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import shapes
from rtc_stt.bench.live import CORES, Spoken, on_cores, read, speak_for
from rtc_stt.bench.result import Mark, Outcome, percentiles, rss_bytes
from rtc_stt.bench.voice import MakeSpeech, Voice, latencies
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.session import Speech

__all__ = ["Plan", "Sample", "Watch", "growth", "in_bounds", "run", "steps", "with_weight"]

OVERLOAD = 4
WORDS = 8
"""What the models say: few enough words for the shortest clip, enough for a sentence."""

MOST_SESSIONS = 48
"""Where the search ends: beyond it the speakers themselves load this process too much."""

TTFS_FACTOR, PARTIAL_MS = 1.5, 700.0
RECOVERY_S, RECOVERY_WAIT_S = 10.0, 30.0
VISIT_S = 10.0
"""How long one stays who was let in at the door."""

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Plan:
    """``sessions``: how many are let in at once; None: four times the capacity, which is searched."""

    models: Path
    shape: str = "small"
    sessions: int | None = None
    seconds: float = 180.0
    probe_s: float = 12.0
    clips: Path = recordings.CLIPS


@dataclass(frozen=True, slots=True)
class Sample:
    """The state once a second."""

    at_s: int
    step: int
    waiting: int
    """Requests that wait, both tiers."""
    waiting_bytes: int | None
    rss: int
    sessions: int


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


def steps(plan: Plan) -> int:
    """How many times ``tick`` is called, about: once a second under load, and once a probe."""
    return round(plan.seconds)


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
            sessions = OVERLOAD * await _capacity(speech, watch, spoken, plan.probe_s, probes)
            await _recovery(speech, watch)
        load = _Load(speech, watch, spoken, plan.seconds)
        samples = await load.carry(sessions, tick)
        recovery_s = await load.recovery_s()
    finally:
        await speech.aclose()
    return {
        "words": WORDS,
        "capacity_probes": probes,
        "sessions": sessions,
        "seconds": plan.seconds,
        "has_ladder": hasattr(speech.pool, "step"),
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

    def __init__(self, speech: Speech, watch: Watch, spoken: Sequence[Spoken], seconds: float) -> None:
        self.stayed: list[Voice] = []
        self.visited: list[Voice] = []
        self.refused = 0
        self._speech = speech
        self._watch = watch
        self._spoken = spoken
        self._seconds = seconds
        self._inside = 0
        self._calm_at_end = False
        self._busy_at = 0.0  # when it was last seen that something waits or is left out

    async def carry(self, sessions: int, tick: Callable[[], object]) -> list[Sample]:
        """Hold the load for its time; the state of each second."""
        loop = asyncio.get_running_loop()
        watching = loop.create_task(self._keep_watch())
        staying = [loop.create_task(self._speak(self._seconds, n)) for n in range(sessions)]
        visiting: list[asyncio.Task[Voice]] = []
        samples: list[Sample] = []
        begun = time.monotonic()
        for second in range(round(self._seconds)):
            await asyncio.sleep(max(0.0, begun + second + 1 - time.monotonic()))
            samples.append(self._sample(second + 1))
            if second + VISIT_S <= self._seconds:
                if not getattr(self._speech.pool, "accepts_sessions", True):
                    self.refused += 1
                elif self._inside < 2 * sessions:  # without a ladder nobody is refused
                    visiting.append(loop.create_task(self._speak(VISIT_S, 10_000 + second)))
            tick()
        self.stayed = list(await asyncio.gather(*staying))
        self.visited = list(await asyncio.gather(*visiting))
        watching.cancel()
        self._calm_at_end = _is_calm(self._speech, self._watch)
        return samples

    async def recovery_s(self) -> float | None:
        """From the last word of the last speaker until nothing waits and nothing is left out any more.

        None where that does not come.
        """
        if await _recovery(self._speech, self._watch) is None:
            return None
        silent = max(voice.silent_since or 0.0 for voice in [*self.stayed, *self.visited])
        # Where the watch ended in trouble, the recovery has ended now.
        end = self._busy_at if self._calm_at_end else time.monotonic()
        return round(max(0.0, end - silent), 1)

    async def _keep_watch(self) -> None:
        while True:
            if not _is_calm(self._speech, self._watch):
                self._busy_at = time.monotonic()
            await asyncio.sleep(0.1)

    async def _speak(self, seconds: float, seed: int) -> Voice:
        self._inside += 1
        try:
            return await speak_for(self._speech, self._spoken, seconds, seed=seed)
        finally:
            self._inside -= 1

    def _sample(self, second: int) -> Sample:
        snapshot: dict[str, Any] = getattr(self._speech.pool, "snapshot", dict)()
        return Sample(
            at_s=second,
            step=int(_step(self._speech)),
            waiting=sum(self._watch.waiting.values()),
            waiting_bytes=snapshot.get("queued_bytes"),
            rss=rss_bytes(),
            sessions=self._inside,
        )


async def _capacity(
    speech: Speech,
    watch: Watch,
    spoken: Sequence[Spoken],
    seconds: float,
    probes: list[dict[str, Any]],
) -> int:
    """Double until it is too much, then try the middle. What fails is tried again: it may have been luck."""
    await _probe(speech, watch, spoken, seconds / 2, 1)  # the first decodes of a process pay for much
    alone = (await _probe(speech, watch, spoken, seconds, 1))["ttfs_ms"].get("p95", 0.0)

    async def carries(sessions: int) -> bool:
        for _ in range(2):
            probe = await _probe(speech, watch, spoken, seconds, sessions)
            probe["in_bounds"] = in_bounds(probe, alone)
            probes.append(probe)
            if probe["in_bounds"]:
                return True
        return False

    good = 1
    while 2 * good <= MOST_SESSIONS and await carries(2 * good):
        good *= 2
    middle = good + good // 2
    return middle if good > 1 and 2 * good <= MOST_SESSIONS and await carries(middle) else good


def in_bounds(probe: Mapping[str, Any], alone_ms: float) -> bool:
    """Whether a probe is within the limits of capacity, given p95 TTFS of one session alone."""
    ttfs_ms: float | None = probe["ttfs_ms"].get("p95")
    partial_ms: float = probe["partial_ms"].get("p95", 0.0)
    return (
        ttfs_ms is not None
        and ttfs_ms <= TTFS_FACTOR * alone_ms
        and partial_ms <= PARTIAL_MS
        and probe["highest_step"] == Step.NORMAL.name
    )


async def _probe(
    speech: Speech, watch: Watch, spoken: Sequence[Spoken], seconds: float, sessions: int
) -> dict[str, Any]:
    await _recovery(speech, watch)
    watch.partials_ms.clear()
    highest = Step.NORMAL
    speaking = asyncio.gather(
        *(speak_for(speech, spoken, seconds, seed=1_000 * sessions + n) for n in range(sessions))
    )
    while not speaking.done():
        highest = max(highest, _step(speech))
        await asyncio.wait([speaking], timeout=0.1)
    told = latencies(await speaking)
    return {
        "sessions": sessions,
        "ttfs_ms": told["ttfs_ms"],
        "partial_ms": percentiles(watch.partials_ms),
        "send_lag_ms": told["send_lag_ms"],
        "highest_step": highest.name,
    }


async def _recovery(speech: Speech, watch: Watch) -> float | None:
    """Seconds until nothing waits and nothing is left out any more; None where that does not come."""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < RECOVERY_WAIT_S:
        if _is_calm(speech, watch):
            return round(passed, 1)
        await asyncio.sleep(0.1)
    return None


def _is_calm(speech: Speech, watch: Watch) -> bool:
    return _step(speech) is Step.NORMAL and not sum(watch.waiting.values())


def _step(speech: Speech) -> Step:
    step: Step = getattr(speech.pool, "step", Step.NORMAL)
    return step


def growth(values: Sequence[float], floor: float = 1.0) -> float:
    """The mean of the last third over that of the middle one; both at least ``floor``.

    The first third is the time in which the load sets in.
    """
    third = max(1, len(values) // 3)
    last, middle = values[-third:], values[-2 * third : -third] or values[-third:]
    return round(max(floor, sum(last) / len(last)) / max(floor, sum(middle) / len(middle)), 3)


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


def _row(sample: Sample) -> list[float | None]:
    """``[second, step, requests that wait, MiB that wait, resident MiB, sessions]``."""
    waiting_mib = None if sample.waiting_bytes is None else round(sample.waiting_bytes / MIB, 2)
    rss_mib = round(sample.rss / MIB, 1)
    return [sample.at_s, sample.step, sample.waiting, waiting_mib, rss_mib, sample.sessions]
