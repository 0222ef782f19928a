"""What ways to a server have in common."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Self

from rtc_stt.testing.conformance.way import Line

__all__ = ["ServerWay", "opening"]


@dataclass(frozen=True, slots=True)
class ServerWay:
    """See :class:`~rtc_stt.testing.conformance.way.Way`.

    Args:
        key: an API key.
    """

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return (self.key,) if self.key else ()

    def at(self, url: str) -> Self:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return replace(self, url=url)

    @property
    def bearer(self) -> dict[str, str]:
        """Headers that show the key."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


@contextlib.asynccontextmanager
async def opening(line: Line) -> AsyncIterator[None]:
    """A line that does not come to be leaves nothing: it is closed where this block fails."""
    try:
        yield
    except BaseException:
        await line.close()
        raise
