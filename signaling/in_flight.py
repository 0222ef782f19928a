"""Requests that were let in and are not answered yet: how many there may be, and how they end in a drain."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from rtc_stt.errors import Unavailable

__all__ = ["InFlight"]

RETRY_S = 2
"""To ask again where all places are taken. One is free as soon as any recording is done."""

FLUSH_S = 1.0
"""For those that a drain has cut off to be told so."""


class InFlight:
    """Called on the event loop.

    Args:
        limit: requests at a time.
        refused: told ``requests`` or ``draining`` when one is turned away.
    """

    def __init__(self, limit: int, refused: Callable[[str], None]) -> None:
        self._limit = limit
        self._refused = refused
        self._timers: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._timers)

    @contextlib.asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """A place, for the block.

        Raises:
            Unavailable: all are taken; the server drains; or its drain did not wait for the end of the block.
        """
        if self.draining:
            self._refused("draining")
            raise _shutting_down()
        if len(self._timers) >= self._limit:
            self._refused("requests")
            raise Unavailable(
                f"{self._limit} recordings are being worked on, and that is all this server takes at a time",
                retry_after_s=RETRY_S,
            )
        timer = asyncio.timeout(None)
        self._timers.add(timer)
        self._idle.clear()
        try:
            async with timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            raise _shutting_down() from None
        finally:
            self._timers.discard(timer)
            if not self._timers:
                self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Admit nobody more, and return when all are done. Who is not within ``seconds`` is told to go."""
        self.draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        for timer in self._timers:
            timer.reschedule(asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), FLUSH_S)


def _shutting_down() -> Unavailable:
    return Unavailable("the server is shutting down")
