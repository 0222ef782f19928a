"""The plugin for LiveKit Agents: one of its streams, as the framework uses it. Needs ``rtc-stt[livekit]``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from livekit import rtc
from livekit.agents import APIError
from livekit.agents.stt import SpeechEvent, SpeechEventType

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.plugins.livekit import STT
from rtc_stt.testing.conformance.told import (
    Eager,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay

__all__ = ["LiveKitWay"]


@dataclass(frozen=True, slots=True)
class LiveKitWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`."""

    name: ClassVar[str] = "LiveKit"
    traits: ClassVar[frozenset[Trait]] = frozenset(
        {
            Trait.TURNS,
            Trait.STARTS,
            Trait.PARTIALS,
            Trait.EAGER_STANDS,
            Trait.FLUSH,
            Trait.FLUSHES,
            Trait.SURVIVES_LOSS,
            Trait.WHOLE_SAMPLES,
        }
    )

    async def open(self, hear: Hear) -> LiveKitLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        stt = STT(self.url, key=self.key, language="en", min_silence_ms=500, speculate_after_ms=200)
        return LiveKitLine(stt, hear)


class LiveKitLine:
    """See :class:`~rtc_stt.testing.conformance.way.Line`; for any STT of the framework that streams.

    A FINAL does not say what it answers: who waits for a flush takes the next one.
    """

    def __init__(self, stt: STT, hear: Hear) -> None:
        self._stt, self._hear, self._flushes = stt, hear, 0
        self._stream = stt.stream()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._stream.push_frame(rtc.AudioFrame(pcm, SAMPLE_RATE, 1, len(pcm) // 2))

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._flushes += 1
        self._stream.flush()

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._stream.end_input()
        await self._reading

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._stream.aclose()
        await self._stt.aclose()

    async def _read(self) -> None:
        try:
            async for event in self._stream:
                for told in self._tell(event):
                    self._hear(told)
        except APIError as error:
            self._hear(Failed(repr(error)))

    def _tell(self, event: SpeechEvent) -> list[Told]:
        match event.type:
            case SpeechEventType.START_OF_SPEECH:
                return [Started()]
            case SpeechEventType.END_OF_SPEECH:
                return [Stopped()]
            case SpeechEventType.INTERIM_TRANSCRIPT:
                return [Partial(event.alternatives[0].text)]
            case SpeechEventType.PREFLIGHT_TRANSCRIPT:
                return [Eager(event.alternatives[0].text)]
            case SpeechEventType.FINAL_TRANSCRIPT:
                final = Final(event.alternatives[0].text)
                if self._flushes:
                    self._flushes -= 1
                    return [final, Flushed()]
                return [final]
        return []
