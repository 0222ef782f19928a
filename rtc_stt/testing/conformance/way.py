"""A way to a server: anything that takes audio and tells text, in its own protocol or framework.

An adapter is one small class of each kind below. It decides nothing: it says what the other side says.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from rtc_stt.errors import RtcSttError
from rtc_stt.testing.conformance.told import Told

__all__ = ["Hear", "Line", "Trait", "Way", "WayFailed"]

Hear = Callable[[Told], None]
"""Called in the event loop's thread, at once when something has arrived."""


class Trait(enum.Enum):
    """What a way can do, or promises. What it does not name is not asked of it."""

    TURNS = "finds by itself where a turn ends"
    STARTS = "tells starts and stops of speech"
    UTTERANCES = "names utterances: what it tells says whose it is"
    PARTIALS = "tells partials"
    STABLE = "says how much of a partial stands (stable_chars)"
    APPEND_ONLY = "partials of an utterance only ever grow at their end"
    EAGER_STANDS = "a final with the words of the eager text before it has its very letters"
    FLUSH = "can be asked to commit what is heard, and answers each time"
    FLUSHES = "answers each flush, also where several wait for their answer"
    SURVIVES_LOSS = "a lost connection loses no word"
    WHOLE_SAMPLES = "takes audio in whole samples only"
    LIVE = "takes audio no faster than it is spoken"


class WayFailed(RtcSttError):
    """There is no line to be had. The text names no secret."""


class Line(Protocol):
    """One conversation. Audio is s16le at 16 kHz, mono."""

    async def push(self, pcm: bytes) -> None:
        """Speak. Any length; where it breaks off within a sample, what follows goes on from there (but see
        :attr:`Trait.WHOLE_SAMPLES`)."""

    async def flush(self) -> None:
        """Ask for what is heard to be committed. Returns when that is said, not when it is answered."""

    async def finish(self) -> None:
        """No more audio comes. Returns when everything has been told; nothing is told after it."""

    async def close(self) -> None:
        """Hang up, at any time. Never raises."""


class Way(Protocol):
    """See above."""

    @property
    def name(self) -> str:
        """In one or two words, for reports."""

    @property
    def traits(self) -> frozenset[Trait]:
        """What can be asked of it."""

    @property
    def url(self) -> str:
        """Of the server; empty where there is none between."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may hold."""

    def at(self, url: str) -> Way:
        """The same way by another address, such as that of a proxy."""

    async def open(self, hear: Hear) -> Line:
        """A new line.

        Raises:
            WayFailed: there is none to be had.
        """
