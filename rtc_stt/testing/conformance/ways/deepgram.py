"""Deepgram's live transcription, said by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from rtc_stt.testing.conformance.told import Ended, Failed, Final, Flushed, Partial, Started, Stopped, Told
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay, opening
from rtc_stt.testing.conformance.ways.socket import Socket

__all__ = ["DeepgramReader", "DeepgramWay"]

QUERY = (
    "encoding=linear16&sample_rate=16000&channels=1&language=en&interim_results=true&vad_events=true"
    "&endpointing=500"
)


@dataclass(frozen=True, slots=True)
class DeepgramWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`.

    Starts of speech are told, and no stops: the end of a turn is known with its final.
    """

    name: ClassVar[str] = "Deepgram"
    traits: ClassVar[frozenset[Trait]] = frozenset(
        {Trait.TURNS, Trait.PARTIALS, Trait.STABLE, Trait.FLUSH, Trait.FLUSHES}
    )

    async def open(self, hear: Hear) -> _DeepgramLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _DeepgramLine(hear)
        async with opening(line):
            headers = {"Authorization": f"Token {self.key}"} if self.key else {}
            await line.socket.open(f"{self.url}/v1/listen?{QUERY}", headers)
        return line


class _DeepgramLine:
    def __init__(self, hear: Hear) -> None:
        self._hear, self._reader = hear, DeepgramReader()
        self.socket = Socket(self._receive, hear)

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.send(pcm)

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.say({"type": "Finalize"})

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.say({"type": "CloseStream"})
        await self.socket.until_closed()

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.close()

    def _receive(self, message: str) -> None:
        for told in self._reader.read(json.loads(message)):
            self._hear(told)


class DeepgramReader:
    """One stream. Texts that are ``is_final`` are appended until the turn ends; the rest may change. Pure."""

    def __init__(self) -> None:
        self._said: list[str] = []  # of the turn, and final

    def read(self, message: dict[str, Any]) -> list[Told]:
        """What a message tells.

        Raises:
            LookupError, TypeError: it lacks what it has to have.
        """
        match message["type"]:
            case "SpeechStarted":
                return [Started()]
            case "Results":
                return self._results(message)
            case "Metadata":
                return [Ended()]
            case "Error":
                return [Failed(f"{message['variant']}: {message['description']}")]
        return []

    def _results(self, message: dict[str, Any]) -> list[Told]:
        text: str = message["channel"]["alternatives"][0]["transcript"]
        if not message["is_final"]:
            said = " ".join(self._said)
            return [Partial(f"{said} {text}".strip(), len(said))]
        if text:
            self._said.append(text)
        told: list[Told] = []
        if message["speech_final"] or (message["from_finalize"] and self._said):
            told += [Stopped(), Final(" ".join(self._said))]
            self._said = []
        return [*told, Flushed()] if message["from_finalize"] else told
