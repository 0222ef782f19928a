"""Plays scenes on one line in real time, and stamps what is told.

It keeps one timeline for all scenes of a line: frames leave by absolute deadlines, so a late one does not
make the next ones late. The clock is that of the event loop.
"""

from __future__ import annotations

import asyncio

from rtc_stt.bench.pacing import Pacer
from rtc_stt.bench.turns.conditions import Sound
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.settling import PATIENCE_S, SETTLE_S, is_over
from rtc_stt.bench.turns.target import KnowsTurns, Line
from rtc_stt.bench.turns.told import Failed, Heard, Told

__all__ = ["Ear", "Player"]


class Ear:
    """Stamps what a line tells. It is the line's ``hear``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.heard: list[Heard] = []
        """What was told since :meth:`take`."""
        self.is_dead = False
        """Whether the line is of no more use."""

    def __call__(self, told: Told) -> None:
        """Note it, now."""
        self.heard.append(Heard(self._loop.time(), told))
        self.is_dead = self.is_dead or isinstance(told, Failed)

    def take(self) -> tuple[Heard, ...]:
        """All that was told since this was asked last."""
        taken, self.heard = tuple(self.heard), []
        return taken


class Player:
    """Speaks on one line. Between two scenes nothing is sent, so let there be no time between them.

    Args:
        line: of a target, connected with ``ear``.
        patience_s: how long after the true end of speech a final is waited for.
        settle_s: how long nothing must have been told after a final.
    """

    def __init__(
        self, line: Line, ear: Ear, *, patience_s: float = PATIENCE_S, settle_s: float = SETTLE_S
    ) -> None:
        self._line, self._ear = line, ear
        self._patience_s, self._settle_s = patience_s, settle_s
        self._loop = asyncio.get_running_loop()
        self._pacer: Pacer | None = None

    async def play(self, scene: Scene, sound: Sound, speaker: int = 0) -> Observation:
        """Play a scene, and what follows it until it is over. Returns what was seen of it."""
        pacer = self._pacer = self._pacer or Pacer(self._loop.time())
        line_ms, first = pacer.media_ms, pacer.sent
        begun = pacer.wall(line_ms)
        t_off = begun + scene.turns[-1].end_ms / 1000
        if isinstance(self._line, KnowsTurns):
            self._line.scene_begins(scene.turns, line_ms)
        number = 0
        while number < sound.frames or not self._is_over(scene, t_off):
            if self._ear.is_dead:
                break
            await self._send(pacer, sound, number)
            number += 1
        return Observation(
            scene=scene,
            speaker=speaker,
            begun=begun,
            line_ms=line_ms,
            heard=self._ear.take(),
            ended=self._loop.time(),
            send_lag_ms=tuple(pacer.lags_ms[first:]),
        )

    async def _send(self, pacer: Pacer, sound: Sound, number: int) -> None:
        await asyncio.sleep(max(0.0, pacer.due - self._loop.time()))
        pacer.send(self._loop.time())
        self._line.send(sound.frame(number))

    def _is_over(self, scene: Scene, t_off: float) -> bool:
        return is_over(
            self._ear.heard,
            t_off,
            self._loop.time(),
            turns=len(scene.turns),
            patience_s=self._patience_s,
            settle_s=self._settle_s,
        )
