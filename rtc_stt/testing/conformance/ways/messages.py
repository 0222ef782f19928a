"""The messages of a connection that is spoken by hand, whatever carries them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rtc_stt.testing.conformance.told import Failed
from rtc_stt.testing.conformance.way import Hear, WayFailed

__all__ = ["Messages"]


class Messages:
    """What comes in, and who waits for it.

    Args:
        receive: takes one text. What it raises fails the line: such a message cannot be understood.
    """

    def __init__(self, receive: Callable[[str], None], hear: Hear) -> None:
        self._receive, self._hear = receive, hear
        self._news = asyncio.Event()
        self._is_over = False

    async def until(self, ready: Callable[[], bool]) -> None:
        """Return when it is; asked again after each message.

        Raises:
            WayFailed: the connection ended before.
        """
        while not ready():
            if self._is_over:
                raise WayFailed("the connection has ended too early")
            self._news.clear()
            await self._news.wait()

    def _take(self, message: object) -> bool:
        """One message; whether it was understood."""
        try:
            if not isinstance(message, str):
                raise TypeError("it is no text")
            self._receive(message)
        except (LookupError, TypeError, ValueError) as error:
            self._hear(Failed(f"a message that cannot be understood ({error!r}): {str(message)[:300]!r}"))
            return False
        finally:
            self._news.set()
        return True

    def _end(self) -> None:
        """Nothing more comes."""
        self._is_over = True
        self._news.set()
