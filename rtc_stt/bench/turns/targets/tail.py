"""The last words of another program."""

from __future__ import annotations

import asyncio

__all__ = ["Tail"]

MAX_BYTES = 4_000

PIECE = 64 * 1024


class Tail:
    """Reads a pipe to its end, so that its writer never waits, and remembers the last of it."""

    def __init__(self, pipe: asyncio.StreamReader) -> None:
        self._kept = b""
        self._task = asyncio.get_running_loop().create_task(self._drain(pipe))

    async def _drain(self, pipe: asyncio.StreamReader) -> None:
        while piece := await pipe.read(PIECE):
            self._kept = (self._kept + piece)[-MAX_BYTES:]

    async def end(self, seconds: float) -> str:
        """What was last said, when the pipe has ended or so much time is over; fit for a terminal."""
        await asyncio.wait([self._task], timeout=seconds)
        self._task.cancel()
        said = self._kept.decode("utf-8", "replace")
        return "".join(c if c.isprintable() or c == "\n" else " " for c in said).strip()
