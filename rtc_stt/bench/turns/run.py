"""A run: start the target, let N speakers play every scene, and make a result of what was seen.

What was seen is a result at any moment: Ctrl-C, or a target that dies, ends the run and not the result.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rtc_stt.audio import Samples
from rtc_stt.bench.result import percentiles, provenance
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.conditions import CLEAN, Condition, Sound, apply
from rtc_stt.bench.turns.measure import measure
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.settling import PATIENCE_S, SETTLE_S
from rtc_stt.bench.turns.speaking import Manner, Speaker
from rtc_stt.bench.turns.target import Target
from rtc_stt.bench.turns.timelines import choose, timeline
from rtc_stt.errors import TargetFailed

__all__ = ["Plan", "run", "steps"]

APART_S = 1.0
"""Speakers begin a random part of it apart: nobody speaks in step."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played to whom."""

    scenes: Sequence[Scene]
    speakers: int = 1
    """Side by side; each plays every scene once a round, in an order of its own."""
    rounds: int = 1
    condition: Condition = CLEAN
    hangover_ms: int = 500
    """What the target is configured with, or has by nature: its facts say which."""
    patience_s: float = PATIENCE_S
    language: str | None = None
    cost_only: bool = False
    """The models say a fixed text: no figure about words is told."""
    settle_s: float = SETTLE_S
    seed: int = 1
    """Of the orders, of the starts and of the noise."""
    data: Mapping[str, object] = field(default_factory=dict)
    """What is played: folder and hash, for the result."""
    read: Callable[[Scene], Samples] = manifest.read_audio


def steps(plan: Plan) -> int:
    """Scenes that are played, the one that warms the target included."""
    return 1 + plan.speakers * plan.rounds * len(plan.scenes)


async def run(target: Target, plan: Plan, tick: Callable[[], object]) -> Result:
    """Play it all, and sum it up. The target is started first and closed last, whatever happens.

    Args:
        tick: called when a scene is over, :func:`steps` times in all.

    Raises:
        TargetFailed: the target does not start, or takes not even the first line.
        BadAudio: a scene cannot be read.
    """
    going = _Run(target, plan, tick)
    return await going.go()


class _Run:
    """What was seen so far."""

    def __init__(self, target: Target, plan: Plan, tick: Callable[[], object]) -> None:
        self._target, self._plan, self._tick = target, plan, tick
        self._seen: list[tuple[int, Observation]] = []  # with the round
        self._connect_ms: list[float] = []
        self._cold: dict[str, object] = {}
        self._was_broken_off = False

    async def go(self) -> Result:
        plan = self._plan
        sounds = {scene.id: apply(plan.condition, plan.read(scene), plan.seed) for scene in plan.scenes}
        try:
            await self._start()
            await self._warm_up(sounds)
            await self._measure(sounds)
        except asyncio.CancelledError:  # Ctrl-C: what was measured stays
            self._was_broken_off = True
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        finally:
            await self._target.close()
        return self._result(sounds)

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await self._target.start()
        self._cold["start_ms"] = round((loop.time() - begun) * 1000, 1)

    async def _warm_up(self, sounds: Mapping[str, Sound]) -> None:
        """One scene on a line of its own: what only the first turn pays for is told apart."""
        scene = self._plan.scenes[0]
        speaker = self._speaker(0)
        try:
            await speaker.connect()
            observation = await speaker.play(scene, sounds[scene.id])
        finally:
            await speaker.leave()
        plan = self._plan
        rows = measure(observation, patience_s=plan.patience_s, cost_only=plan.cost_only).rows
        known = [round(row.ttfs_ms, 1) for row in rows[:1] if not row.is_timed_out]
        self._cold["first_turn_ttfs_ms"] = known[0] if known else None
        self._tick()

    async def _measure(self, sounds: Mapping[str, Sound]) -> None:
        loop = asyncio.get_running_loop()
        speaking = [loop.create_task(self._speak(n, sounds)) for n in range(self._plan.speakers)]
        try:
            await asyncio.gather(*speaking)
        finally:
            for task in speaking:
                if not task.cancelling():  # who is hanging up already is not disturbed
                    task.cancel()
            await asyncio.gather(*speaking, return_exceptions=True)

    async def _speak(self, number: int, sounds: Mapping[str, Sound]) -> None:
        plan = self._plan
        chance = random.Random(f"{plan.seed} {number}")  # noqa: S311 - an order, not a secret
        speaker = self._speaker(number)
        try:
            if plan.speakers > 1:
                await asyncio.sleep(chance.uniform(0, APART_S))
            for turn in range(plan.rounds):
                for scene in chance.sample(plan.scenes, len(plan.scenes)):
                    self._seen.append((turn, await speaker.play(scene, sounds[scene.id])))
                    self._tick()
        except TargetFailed:  # it is gone; the others find out for themselves
            self._was_broken_off = True
        finally:
            await speaker.leave()

    def _speaker(self, number: int) -> Speaker:
        plan = self._plan
        manner = Manner(plan.language, plan.patience_s, plan.settle_s)
        return Speaker(self._target, manner, number, self._connect_ms.append)

    def _result(self, sounds: Mapping[str, Sound]) -> Result:
        """What was seen, summed up."""
        plan = self._plan
        measured = [
            (
                seen,
                measure(seen, patience_s=plan.patience_s, number=turn, cost_only=plan.cost_only),
            )
            for turn, seen in self._seen
        ]
        rows = [row for _, found in measured for row in found.rows]
        extra = Counter[str]()
        for seen, found in measured:
            extra[seen.scene.set] += found.extra_finals
        return Result(
            rows=rows,
            target={"name": self._target.name, **self._target.facts},
            condition=plan.condition.to_json(),
            speakers=plan.speakers,
            rounds=plan.rounds,
            hangover_ms=plan.hangover_ms,
            patience_s=plan.patience_s,
            cost_only=plan.cost_only,
            interrupted=self._was_broken_off,
            failures=sum(found.failures for _, found in measured),
            extra_finals={name: count for name, count in extra.items() if count},
            cold={**self._cold, "connect_ms": percentiles(self._connect_ms)},
            send_lag_ms=percentiles((lag for _, seen in self._seen for lag in seen.send_lag_ms), digits=3),
            timelines=[
                timeline(seen, sounds[seen.scene.id].audio)
                for seen in choose([seen for _, seen in self._seen], rows)
            ],
            data=dict(plan.data),
            provenance=provenance(),
        )
