"""What can be measured: anything that takes audio as it is spoken and tells text.

An adapter is one small class of each kind below. It decides nothing about time: the player sends frames when
they are due, and stamps what is told when it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.told import Told

__all__ = ["Hear", "KnowsTurns", "Line", "Target"]

Hear = Callable[[Told], None]
"""Called in the event loop's thread, at once when something has arrived."""


class Line(Protocol):
    """One session with a target."""

    def send(self, frame: Samples) -> None:
        """Give it 20 ms of audio, now: 16 kHz mono float32 in [-1, 1], shape ``(320,)``. Never blocks; what
        the target is too slow to take is queued, and that delay is the target's."""
        ...

    async def close(self) -> None:
        """Hang up. What is still open is not waited for. Never raises."""
        ...


@runtime_checkable
class KnowsTurns(Protocol):
    """A line that is told the true times: for recognisers of files, which cannot find out where a turn ends.

    The player asks ``isinstance(line, KnowsTurns)``; every other line must find it out by itself.
    """

    def scene_begins(self, turns: Sequence[Turn], line_ms: int) -> None:
        """Called just before the first frame of a scene: ``line_ms`` is how much audio was sent before it."""
        ...


class Target(Protocol):
    """A recogniser. Whoever makes one calls :meth:`start` first and :meth:`close` last."""

    @property
    def name(self) -> str:
        """In one or two words, for tables."""
        ...

    @property
    def facts(self) -> Mapping[str, object]:
        """What a reader needs to repeat the run: kind, models, settings. Fit for JSON, without secrets."""
        ...

    async def start(self) -> None:
        """Make it ready: start its process, load its models. This is the cold start, timed apart.

        Raises:
            TargetFailed: it cannot be had; the message says what to do.
        """
        ...

    async def connect(self, hear: Hear, language: str | None) -> Line:
        """A new session.

        Args:
            language: as ISO 639-1; None where the target shall find it out itself.

        Raises:
            TargetFailed: there is none to be had.
        """
        ...

    async def close(self) -> None:
        """Let go of all that :meth:`start` made. Never raises."""
        ...
