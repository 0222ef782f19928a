"""A line that does not come to be leaves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from rtc_stt.testing.conformance.way import Line

__all__ = ["opening"]


@contextlib.asynccontextmanager
async def opening(line: Line) -> AsyncIterator[None]:
    """The line is closed where this block fails."""
    try:
        yield
    except BaseException:
        await line.close()
        raise
