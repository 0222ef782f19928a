"""Our own protocol over a WebSocket, said by hand as the guide says it: no SDK, nothing made anew."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from rtc_stt.events import SessionWarning
from rtc_stt.testing.conformance.told import Failed
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay, opening
from rtc_stt.testing.conformance.ways.events import OPTIONS, OURS, EventReader
from rtc_stt.testing.conformance.ways.socket import Socket
from rtc_stt.wire import decode_event

__all__ = ["RawWay"]


@dataclass(frozen=True, slots=True)
class RawWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`."""

    name: ClassVar[str] = "raw protocol"
    traits: ClassVar[frozenset[Trait]] = OURS

    async def open(self, hear: Hear) -> _RawLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _RawLine(hear)
        audio = {"encoding": "pcm_s16le", "sample_rate": 16_000}
        async with opening(line):
            await line.socket.open(f"{self.url}/v1/stream", self.bearer)
            await line.socket.say({"type": "configure", "audio": audio, **OPTIONS})
        return line


class _RawLine:
    def __init__(self, hear: Hear) -> None:
        self._hear, self._reader, self._next_seq = hear, EventReader(), 1
        self._flushes = 0
        self.socket = Socket(self._receive, hear)

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.send(pcm)

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._flushes += 1
        await self.socket.say({"type": "finalize", "id": str(self._flushes)})

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.say({"type": "stop"})
        await self.socket.until_closed()

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.close()

    def _receive(self, message: str) -> None:
        if json.loads(message).get("type") in ("received", "tick"):
            return
        event = decode_event(message)
        if event.seq != self._next_seq:
            self._hear(Failed(f"event {event.seq} came where {self._next_seq} was due"))
        self._next_seq = event.seq + 1
        if isinstance(event, SessionWarning) and not event.code.startswith("load_"):
            self._hear(Failed(f"a warning: {event.code}: {event.message}"))
        if told := self._reader.read(event):
            self._hear(told)
