"""An event loop whose time jumps to whatever is due next: minutes of speech in milliseconds, and exact."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np

from rtc_stt.audio import Samples, ms_to_samples
from rtc_stt.bench.turns.conditions import CLEAN, Sound, apply
from rtc_stt.bench.turns.scene import Pause, Scene, SpokenWord, Turn

T = TypeVar("T")

BEGIN = 1_000.0
"""What the clock says at first."""


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and nothing is about to happen"
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above. Nothing in it may wait for the world: no thread, no socket, no process."""

    def __init__(self) -> None:
        self.now = BEGIN
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now


def virtually(job: Coroutine[Any, Any, T]) -> T:
    """Run it in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(job)


def turn(text: str, start_ms: int, end_ms: int, *, id: str = "1", pause: Pause | None = None) -> Turn:
    """A turn whose words are equally long."""
    words = text.split()
    step = (end_ms - start_ms) / len(words)
    spoken = tuple(
        SpokenWord(word, round(start_ms + n * step), round(start_ms + (n + 1) * step))
        for n, word in enumerate(words)
    )
    return Turn(id, text, "en", start_ms, end_ms, spoken, (pause,) if pause else ())


def scene(*turns: Turn, id: str = "a", set: str = "single") -> Scene:
    """A scene of these turns."""
    return Scene(id, set, f"{id}.flac", turns)


def audio(of: Scene) -> Samples:
    """Silence of the length of a scene, half a second after its last turn included."""
    return np.zeros(ms_to_samples(of.turns[-1].end_ms + 500), np.float32)


def sound(of: Scene) -> Sound:
    """The same, as it is played."""
    return apply(CLEAN, audio(of), 1)
