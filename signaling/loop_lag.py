"""How late the event loop is: it tells an operator that something blocks it, or that a core is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["LoopLag"]

INTERVAL_S = 0.02
"""Between looks. Whatever holds the loop for longer than this is seen; a look costs microseconds."""


class LoopLag:
    """Asks to be called at a time, and tells how much later it was.

    Args:
        tell: takes the lag in seconds, fifty times a second.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the running loop."""
        self._set(asyncio.get_running_loop())

    def stop(self) -> None:
        """Watch no more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + INTERVAL_S
        self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._tell(max(0.0, loop.time() - due))
        self._set(loop)
