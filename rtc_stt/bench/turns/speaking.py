"""One of those who speak side by side: its lines, one after the other where one fails, and what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc_stt.bench.turns.conditions import Sound
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.player import Ear, Player
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.target import Line, Target
from rtc_stt.bench.turns.told import Failed, Heard
from rtc_stt.errors import TargetFailed

__all__ = ["MAX_REFUSALS", "Manner", "Speaker"]

MAX_REFUSALS = 3
"""A target that refuses so many lines in a row is gone."""

RETRY_S = 0.5
"""From one that was refused to the next try."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How all of them speak."""

    language: str | None
    patience_s: float
    settle_s: float


@dataclass
class Speaker:
    """See above. Speak with :meth:`play`, end with :meth:`leave`.

    Args:
        number: which it is, from 0.
        connected: told how many ms each line took to connect.
    """

    target: Target
    manner: Manner
    number: int
    connected: Callable[[float], object]
    _line: Line | None = field(default=None, init=False)
    _ear: Ear | None = field(default=None, init=False)
    _player: Player | None = field(default=None, init=False)
    _refusals: int = field(default=0, init=False)

    async def play(self, scene: Scene, sound: Sound) -> Observation:
        """Play a scene on the line that there is, or on a new one. A line that fails is left.

        Raises:
            TargetFailed: the target has refused :data:`MAX_REFUSALS` lines in a row.
        """
        try:
            player = await self.connect()
        except TargetFailed as refusal:
            self._refusals += 1
            if self._refusals >= MAX_REFUSALS:
                raise
            await asyncio.sleep(RETRY_S)
            return self._not_played(scene, refusal)
        self._refusals = 0
        observation = await player.play(scene, sound, self.number)
        if any(isinstance(item.told, Failed) for item in observation.heard):
            await self.leave()
        return observation

    async def connect(self) -> Player:
        """The line that there is, or a new one.

        Raises:
            TargetFailed: there is none to be had.
        """
        if self._ear and self._ear.is_dead:  # it failed between two scenes
            await self.leave()
        if self._player is None:
            loop = asyncio.get_running_loop()
            self._ear, begun = Ear(), loop.time()
            self._line = await self.target.connect(self._ear, self.manner.language)
            self.connected((loop.time() - begun) * 1000)
            self._player = Player(
                self._line, self._ear, patience_s=self.manner.patience_s, settle_s=self.manner.settle_s
            )
        return self._player

    def _not_played(self, scene: Scene, refusal: TargetFailed) -> Observation:
        """All its turns time out."""
        now = asyncio.get_running_loop().time()
        heard = (Heard(now, Failed(str(refusal))),)
        return Observation(scene=scene, speaker=self.number, begun=now, line_ms=0, heard=heard, ended=now)

    async def leave(self) -> None:
        """Hang up."""
        line, self._line, self._player, self._ear = self._line, None, None, None
        if line:
            await line.close()
