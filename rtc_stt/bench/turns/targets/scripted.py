"""A target that does as it is told, with known delays and known errors: the benchmark is tried on it.

It recognises nothing. It keeps a note of what it told when, so that what is reported can be compared with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.told import Failed, Heard, Told
from rtc_stt.errors import TargetFailed

__all__ = ["Cue", "Script", "ScriptedLine", "ScriptedTarget"]


@dataclass(frozen=True, slots=True)
class Cue:
    """Something to tell, so many ms after the start of the scene was spoken."""

    at_ms: float
    told: Told


Script = Callable[[Sequence[Turn]], Sequence[Cue]]
"""What is told in a scene with these turns."""


class ScriptedTarget:
    """See above.

    Args:
        script: what to tell.
        at_close: what to tell only when the line is closed, as one does who waits for the end of the stream.
        start_s: how long it takes to start.
        connect_s: how long a connection takes.
        refuses: the numbers of the connections, from 0, that it does not take.
    """

    name = "scripted"

    def __init__(
        self,
        script: Script,
        *,
        at_close: Sequence[Told] = (),
        start_s: float = 0.0,
        connect_s: float = 0.0,
        refuses: Sequence[int] = (),
    ) -> None:
        self.script, self.at_close = script, at_close
        self.lines: list[ScriptedLine] = []
        """All that were connected, in this order."""
        self.is_closed = False
        self._start_s, self._connect_s = start_s, connect_s
        self._refuses, self._asked = frozenset(refuses), 0

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        return {"kind": "scripted", "transport": "none", "hangover": "nominal"}

    async def start(self) -> None:
        """Take as long as it was told to."""
        await asyncio.sleep(self._start_s)

    async def connect(self, hear: Hear, language: str | None) -> ScriptedLine:
        """A line that follows the script."""
        await asyncio.sleep(self._connect_s)
        self._asked += 1
        if self._asked - 1 in self._refuses:
            raise TargetFailed("the script refuses this connection")
        self.lines.append(ScriptedLine(self, hear))
        return self.lines[-1]

    async def close(self) -> None:
        """Nothing is left."""
        self.is_closed = True


class ScriptedLine:
    """One session. It finds out from the frames when the audio was spoken: the earliest was in time."""

    def __init__(self, target: ScriptedTarget, hear: Hear) -> None:
        self.told: list[Heard] = []
        """What it told, and when."""
        self.frames = 0
        """That it was given."""
        self.is_closed = False
        self._target, self._hear = target, hear
        self._loop = asyncio.get_running_loop()
        self.begun = float("inf")
        """When its audio began to be spoken, as far as it knows."""
        self._due: list[tuple[int, Cue]] = []
        self._timers: list[asyncio.TimerHandle] = []

    def scene_begins(self, turns: Sequence[Turn], line_ms: int) -> None:
        """See :class:`~rtc_stt.bench.turns.target.KnowsTurns`."""
        self._due = [(line_ms, cue) for cue in self._target.script(turns)]

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        assert frame.shape == (FRAME,), "20 ms at a time"
        self.frames += 1
        self.begun = min(self.begun, self._loop.time() - self.frames * FRAME / SAMPLE_RATE)
        sent_ms = self.frames * FRAME * 1000 / SAMPLE_RATE
        # A cue is set when its time is near, so that the estimate of the beginning is as good as it gets.
        near = [(line_ms, cue) for line_ms, cue in self._due if line_ms + cue.at_ms < sent_ms + 40]
        self._due = [item for item in self._due if item not in near]
        for line_ms, cue in near:
            at = self.begun + (line_ms + cue.at_ms) / 1000
            self._timers.append(self._loop.call_at(at, self._tell, cue.told))

    def _tell(self, told: Told) -> None:
        self.told.append(Heard(self._loop.time(), told))
        self._hear(told)
        if isinstance(told, Failed):
            self._stop()

    def _stop(self) -> None:
        self._due.clear()
        for timer in self._timers:
            timer.cancel()

    async def close(self) -> None:
        """Hang up; who waited for this speaks now."""
        self._stop()
        self.is_closed = True
        for told in self._target.at_close:
            self._tell(told)
