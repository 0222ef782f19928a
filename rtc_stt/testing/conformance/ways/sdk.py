"""Our own clients: :class:`~rtc_stt.client.StreamClient` and :class:`~rtc_stt.client.LiveSession`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.client import LiveSession, StreamClient
from rtc_stt.errors import RtcSttError
from rtc_stt.testing.conformance.told import Failed
from rtc_stt.testing.conformance.way import Hear, Trait, WayFailed
from rtc_stt.testing.conformance.ways.base import ServerWay
from rtc_stt.testing.conformance.ways.events import OPTIONS, OURS, EventReader
from rtc_stt.testing.conformance.ways.pcm import samples

__all__ = ["LiveSessionWay", "StreamClientWay"]

PATIENCE_S = 20.0

FRAME = SAMPLE_RATE // 50

ON_ITS_WAY_S = 0.3
"""RTP and the data channel are not in one order: a command that acts on the audio before it waits for it."""


@dataclass(frozen=True, slots=True)
class StreamClientWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`: a WebSocket, and no word lost when it breaks."""

    name: ClassVar[str] = "stream client"
    traits: ClassVar[frozenset[Trait]] = OURS | {Trait.SURVIVES_LOSS}

    async def open(self, hear: Hear) -> _StreamLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _StreamLine(StreamClient(self.url, key=self.key, patience_s=PATIENCE_S), hear)
        await line.begin()
        return line


@dataclass(frozen=True, slots=True)
class LiveSessionWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`: WebRTC."""

    name: ClassVar[str] = "live session"
    traits: ClassVar[frozenset[Trait]] = OURS | {Trait.LIVE, Trait.WHOLE_SAMPLES}

    async def open(self, hear: Hear) -> _LiveLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _LiveLine(LiveSession(self.url, key=self.key, patience_s=PATIENCE_S), hear)
        await line.begin()
        return line


class _SdkLine:
    """What lines of both have in common."""

    def __init__(self, live: StreamClient | LiveSession, hear: Hear) -> None:
        self._session, self._hear, self._reader = live, hear, EventReader()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False

    async def begin(self) -> None:
        """Connect, and listen.

        Raises:
            WayFailed: there is no session to be had.
        """
        try:
            await self._session.__aenter__()
        except RtcSttError as error:
            raise WayFailed(f"no session: {error}") from error
        self._is_open = True
        self._reading = self._start(self._read())
        await self._session.configure(**OPTIONS)

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._start(self._finalize())
        await asyncio.sleep(0)  # the command is said in the task's first step, before more audio

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        try:
            await self._session.stop()
        except TimeoutError:
            raise WayFailed("the session does not end") from None
        await self._reading

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._is_open:
            with contextlib.suppress(RtcSttError, OSError):
                await self._session.__aexit__(None, None, None)

    def _start(self, job: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        return task

    async def _read(self) -> None:
        try:
            async for event in self._session:
                if told := self._reader.read(event):
                    self._hear(told)
        except RtcSttError as error:
            self._hear(Failed(str(error)))

    async def _finalize(self) -> None:
        with contextlib.suppress(RtcSttError):  # the reader tells what is wrong
            await self._session.finalize()


class _StreamLine(_SdkLine):
    def __init__(self, live: StreamClient, hear: Hear) -> None:
        super().__init__(live, hear)
        self._live = live

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._live.push(pcm)


class _LiveLine(_SdkLine):
    def __init__(self, live: LiveSession, hear: Hear) -> None:
        super().__init__(live, hear)
        self._live = live

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._live.send(samples(pcm))

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await asyncio.sleep(ON_ITS_WAY_S)
        await super().flush()

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._live.send(np.zeros(FRAME, np.float32))  # it sends whole frames: the last one is filled up
        await asyncio.sleep(ON_ITS_WAY_S)
        await super().finish()
