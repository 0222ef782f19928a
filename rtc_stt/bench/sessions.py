"""How many sessions does a server carry within limits? Speakers are added until they are not kept.

What is tried next is decided in :mod:`rtc_stt.search`, what a try came to in
:mod:`rtc_stt.bench.probes`; here they speak.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rtc_stt.audio import Samples
from rtc_stt.bench.limits import Limits
from rtc_stt.bench.meter import Meter
from rtc_stt.bench.probes import Look, Probe, Ramp, answer, figures
from rtc_stt.bench.result import provenance
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.conditions import CLEAN, Sound, apply
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.settling import PATIENCE_S, SETTLE_S
from rtc_stt.bench.turns.speaking import Manner, Speaker
from rtc_stt.bench.turns.target import Target
from rtc_stt.errors import TargetFailed
from rtc_stt.search import next_sessions

__all__ = ["FORM", "Plan", "run"]

FORM = 1
"""Of the result."""

APART_S = 2.0
"""Speakers begin a random part of it apart: nobody speaks in step."""

LOOK_S = 0.5
CALM_S = 30.0
"""How long is waited for a server to recover before the next probe; then that goes as it may."""

REST_S = 1.0
"""Between two probes, after the server is calm."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked."""

    scenes: Sequence[Scene]
    limits: Limits = field(default_factory=Limits)
    seconds: float = 30.0
    """Of each probe; who speaks when it is over finishes the scene."""
    max_sessions: int = 64
    hangover_ms: int = 500
    patience_s: float = PATIENCE_S
    settle_s: float = SETTLE_S
    language: str | None = None
    cost_only: bool = False
    """The models say a fixed text."""
    seed: int = 1
    who: str = "This machine"
    """Carries them, as the subject of the answer."""
    data: Mapping[str, object] = field(default_factory=dict)
    read: Callable[[Scene], Samples] = manifest.read_audio


async def run(
    target: Target, meter: Meter, plan: Plan, tick: Callable[[int, Mapping[str, Any] | None], object]
) -> dict[str, Any]:
    """Search, and tell what was found, fit for JSON. The target is started first and closed last.

    Ctrl-C ends the search: what the probes before it have shown is told.

    Args:
        meter: looks at the same server.
        tick: told of each probe its number of sessions when it begins, and its figures as well when it is
            over.

    Raises:
        TargetFailed: the target does not start.
        BadAudio: a scene cannot be read.
    """
    sounds = {scene.id: apply(CLEAN, plan.read(scene), plan.seed) for scene in plan.scenes}
    ramp, is_broken_off = Ramp(plan.limits), False
    try:
        await target.start()
        crowd = _Crowd(target, meter, plan, sounds)
        await crowd.warm_up()
        while sessions := next_sessions(ramp.trials, most=plan.max_sessions):
            tick(sessions, None)
            probe = await crowd.speak(sessions, seed=plan.seed + len(ramp.trials))
            ramp.add(
                figures(
                    probe,
                    patience_s=plan.patience_s,
                    hangover_ms=plan.hangover_ms,
                    cost_only=plan.cost_only,
                )
            )
            tick(sessions, ramp.probes[-1])
    except asyncio.CancelledError:  # Ctrl-C: what was measured stays
        is_broken_off = True
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
    finally:
        await target.close()
    return {
        "measurement": "load",
        "form": FORM,
        "answer": answer(ramp, who=plan.who, most=plan.max_sessions, is_broken_off=is_broken_off),
        "limits": asdict(plan.limits),
        "target": {"name": target.name, **target.facts},
        "seconds": plan.seconds,
        "hangover_ms": plan.hangover_ms,
        "cost_only": plan.cost_only,
        "interrupted": is_broken_off,
        "alone_ttfs_p95_ms": ramp.alone_ms,
        "cpu_and_memory_of": meter.of,
        "probes": ramp.probes,
        "data": dict(plan.data),
        "provenance": provenance(),
    }


class _Crowd:
    """Those who speak."""

    def __init__(self, target: Target, meter: Meter, plan: Plan, sounds: Mapping[str, Sound]) -> None:
        self._target = target
        self._meter = meter
        self._plan = plan
        self._sounds = sounds
        self._seen: list[Observation] = []

    async def warm_up(self) -> None:
        """One scene that does not count: the first decodes of a process pay for much."""
        scene, speaker = self._plan.scenes[0], self._speaker(0)
        try:
            await speaker.connect()
            await speaker.play(scene, self._sounds[scene.id])
        finally:
            await speaker.leave()

    async def speak(self, sessions: int, *, seed: int) -> Probe:
        """So many at a time for the plan's seconds, once the server is calm."""
        await self._until_calm()
        loop = asyncio.get_running_loop()
        self._seen, looks = [], [await self._meter.look()]
        before, begun = self._meter.held(), loop.time()
        end = begun + self._plan.seconds
        speaking = [loop.create_task(self._talk(n, 1_000 * seed + n, end)) for n in range(sessions)]
        watching = loop.create_task(self._watch(looks))
        try:
            await asyncio.gather(*speaking)
            after = self._meter.held()
        finally:
            for task in (*speaking, watching):
                task.cancel()
            await asyncio.gather(*speaking, watching, return_exceptions=True)
        looks.append(await self._meter.look())
        return Probe(sessions, begun, end, tuple(self._seen), looks, before, after)

    async def _talk(self, number: int, seed: int, end: float) -> None:
        """One speaker: scenes in an order of its own, until the time is up."""
        chance, loop = random.Random(seed), asyncio.get_running_loop()  # noqa: S311 - an order, not a secret
        speaker, left = self._speaker(number), list[Scene]()
        await asyncio.sleep(chance.uniform(0, min(APART_S, self._plan.seconds / 4)) if number else 0)
        try:
            while loop.time() < end:
                left = left or chance.sample(self._plan.scenes, len(self._plan.scenes))
                scene = left.pop()
                self._seen.append(await speaker.play(scene, self._sounds[scene.id]))
        except TargetFailed:
            return  # refused for good; the refusals before this one stand among what was seen
        finally:
            await speaker.leave()

    async def _watch(self, looks: list[Look]) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            looks.append(await self._meter.look())

    async def _until_calm(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + CALM_S
        while not (await self._meter.look()).is_calm and loop.time() < end:
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(REST_S)

    def _speaker(self, number: int) -> Speaker:
        plan = self._plan
        return Speaker(
            self._target, Manner(plan.language, plan.patience_s, plan.settle_s), number, lambda _: None
        )
