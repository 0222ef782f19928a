"""What a client hears: events with the times at which they came, and waiting for them with a limit."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rtc_stt.events import Event, SessionEnded, SessionStarted, TranscriptFinal
from rtc_stt.wire import decode_event

__all__ = ["Ear", "Heard"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and when it came (monotonic seconds)."""

    at: float
    event: Event


class Ear:
    """Collects the events of one session, over as many connections as it takes."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def receive(self, message: str | bytes) -> None:
        """Take a message of the data channel. A tick is none of the session's events."""
        if json.loads(message).get("type") == "tick":
            return
        self.heard.append(Heard(time.monotonic(), decode_event(message)))
        self._news.set()

    def events(self, kind: str) -> list[Event]:
        """The events of a kind so far."""
        return [heard.event for heard in self.heard if heard.event.type == kind]

    @property
    def started(self) -> SessionStarted:
        """The first event of the session."""
        return next(h.event for h in self.heard if isinstance(h.event, SessionStarted))

    @property
    def ended(self) -> SessionEnded | None:
        """The last one, once it has come."""
        return next((h.event for h in self.heard if isinstance(h.event, SessionEnded)), None)

    @property
    def finals(self) -> list[TranscriptFinal]:
        """The finals so far."""
        return [heard.event for heard in self.heard if isinstance(heard.event, TranscriptFinal)]

    @property
    def text(self) -> str:
        """What was understood so far."""
        return " ".join(final.text for final in self.finals)

    @property
    def last_seq(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self.heard[-1].event.seq if self.heard else 0

    @property
    def is_whole(self) -> bool:
        """Whether the numbers run from 1 without a gap or a repetition."""
        return [heard.event.seq for heard in self.heard] == list(range(1, len(self.heard) + 1))

    async def wait_for(self, kind: str, *, count: int = 1, timeout: float = 10) -> Event:
        """The ``count``-th event of a kind.

        Raises:
            TimeoutError: it did not come within ``timeout`` seconds.
        """
        return (await self.wait_until(lambda: self.events(kind)[count - 1 : count], timeout))[0]

    async def wait_until(self, ready: Callable[[], T], timeout: float) -> T:
        """What ``ready()`` gives once that is something true, looking whenever an event comes.

        Raises:
            TimeoutError: it was not within ``timeout`` seconds.
        """
        async with asyncio.timeout(timeout):
            while not (found := ready()):
                self._news.clear()
                await self._news.wait()
        return found
