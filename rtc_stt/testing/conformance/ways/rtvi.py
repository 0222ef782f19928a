"""RTVI over a data channel, as Pipecat's browser clients speak it, said by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rtc_stt.testing.conformance.told import Ended, Failed, Final, Flushed, Partial, Started, Stopped, Told
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay, opening
from rtc_stt.testing.conformance.ways.events import OPTIONS
from rtc_stt.testing.conformance.ways.peer import Peer

__all__ = ["RtviReader", "RtviWay"]

LABEL = "chat"

VERSION = "1.3.0"
"""Of RTVI: transcripts come as ``user-transcription`` alone."""


@dataclass(frozen=True, slots=True)
class RtviWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`."""

    name: ClassVar[str] = "RTVI"
    traits: ClassVar[frozenset[Trait]] = frozenset(
        {
            Trait.TURNS,
            Trait.STARTS,
            Trait.PARTIALS,
            Trait.FLUSH,
            Trait.FLUSHES,
            Trait.LIVE,
            Trait.WHOLE_SAMPLES,
        }
    )

    async def open(self, hear: Hear) -> _RtviLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _RtviLine(hear)
        async with opening(line):
            await line.begin(f"{self.url}/api/offer", self.bearer)
        return line


class _RtviLine:
    def __init__(self, hear: Hear) -> None:
        self._hear, self._reader, self._flushes = hear, RtviReader(), 0
        self._peer = Peer(LABEL, self._receive, hear)

    async def begin(self, url: str, headers: Mapping[str, str]) -> None:
        """Connect, and be greeted."""
        body = {"type": "offer", "requestData": {"configure": OPTIONS}}
        await self._peer.open(
            lambda sdp: self._peer.http.post(url, json=body | {"sdp": sdp}, headers=headers),
            lambda answer: str(json.loads(answer)["sdp"]),
        )
        self._say("client-ready", "ready", {"version": VERSION, "about": {"library": "conformance"}})
        await self._peer.until(lambda: self._reader.is_ready)

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.push(pcm)

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.settle()
        self._flushes += 1
        self._say("client-message", f"flush-{self._flushes}", {"t": "finalize"})

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.settle()
        self._say("disconnect-bot", "end")
        await self._peer.until(lambda: self._reader.is_over)

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.close()

    def _say(self, kind: str, name: str, data: object = None) -> None:
        body = {"label": "rtvi-ai", "type": kind, "id": name}
        self._peer.say(json.dumps(body if data is None else body | {"data": data}))

    def _receive(self, message: str) -> None:
        for told in self._reader.read(json.loads(message)):
            self._hear(told)


class RtviReader:
    """One session. Pure."""

    def __init__(self) -> None:
        self.is_ready = False
        """The server has greeted its client."""
        self.is_over = False

    def read(self, message: dict[str, Any]) -> list[Told]:
        """What a message tells.

        Raises:
            LookupError, TypeError: it lacks what it has to have.
        """
        match message["type"]:
            case "bot-ready":
                self.is_ready = True
            case "user-started-speaking":
                return [Started()]
            case "user-stopped-speaking":
                return [Stopped()]
            case "user-transcription":
                text, is_final = message["data"]["text"], message["data"]["final"]
                return [Final(text) if is_final else Partial(text)]
            case "server-response" if message["data"]["t"] == "finalize":
                return [Flushed()]
            case "error" | "error-response":
                return [Failed(f"{message['type']}: {message['data']['error']}")]
            case "signalling" if message["message"]["type"] == "peerLeft":
                self.is_over = True
                return [Ended()]
        return []
