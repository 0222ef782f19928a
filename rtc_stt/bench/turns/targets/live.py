"""What our WebRTC and WebSocket targets have in common: a session of the SDK whose events are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Protocol

from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.ours import tell
from rtc_stt.bench.turns.told import Failed
from rtc_stt.client import State
from rtc_stt.errors import RtcSttError, TargetFailed
from rtc_stt.events import Event, SessionStarted

__all__ = ["PATIENCE_S", "Live", "Talk"]

PATIENCE_S = 5.0
"""For how long a server that is full is asked again."""


class Live(Protocol):
    """What is used of the SDK's sessions."""

    async def __aenter__(self) -> Live: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def configure(self, **options: object) -> None:
        """As the command ``configure``."""
        ...


class Talk:
    """One session of the SDK, from its connection to its end.

    A connection that is lost counts as the end of the line, though the SDK would make it anew: the turns
    after it would measure something else.
    """

    def __init__(self, hear: Hear) -> None:
        self._hear: Hear | None = hear
        self._live: Live | None = None
        self._reading: asyncio.Task[None] | None = None
        self.models: Mapping[str, str | None] = {}
        """As ``session.started`` tells them."""

    def watch(self, state: State) -> None:
        """The session's ``on_state``."""
        if state is State.RECONNECTING and self._hear:
            self._hear(Failed("the connection was lost"))

    async def begin(
        self, live: Live, options: Mapping[str, object], ready: Callable[[], None] = lambda: None
    ) -> None:
        """Connect, and configure the session.

        Raises:
            TargetFailed: the server is not there, or refuses.
        """
        try:
            await live.__aenter__()
        except (RtcSttError, OSError) as error:
            raise TargetFailed(f"no session is to be had: {error}") from error
        self._live = live
        ready()
        self._reading = asyncio.get_running_loop().create_task(self._read(live))
        await live.configure(**options)

    async def _read(self, live: Live) -> None:
        try:
            async for event in live:
                if isinstance(event, SessionStarted):
                    self.models = event.models
                if self._hear and (told := tell(event)):
                    self._hear(told)
        except RtcSttError as error:
            if self._hear:
                self._hear(Failed(f"the session is lost: {type(error).__name__}"))

    async def end(self) -> None:
        """Hang up; nothing more is told. Never raises."""
        self._hear = None
        live, self._live = self._live, None
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if live:
            with contextlib.suppress(RtcSttError, OSError):
                await live.__aexit__(None, None, None)
