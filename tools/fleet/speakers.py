"""Clients of a fleet: who speaks, with a note of when each thing was said and told; who has just come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import aiohttp

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.client import LiveSession, StreamClient
from rtc_stt.errors import RtcSttError
from rtc_stt.events import Event, SessionStarted, TranscriptFinal, TranscriptPartial
from tools.fleet.figures import Said, Told
from tools.operations.processes import KEY
from tools.operations.traffic import Spoken, Talker, Way

__all__ = ["Arrivals", "Speaker"]

LAST_WORDS_S = 1.5
END_S = 60.0
"""After the last word: what is not told by then is lost."""

ARRIVAL_TIMEOUT_S = 10.0


class _Streams(StreamClient):
    """That tells of each event, also of those that its user does not get (pongs have a number too)."""

    note: Callable[[Event], None]

    def _keep(self, event: Event) -> None:
        self.note(event)
        super()._keep(event)


class _Lives(LiveSession):
    """Likewise."""

    note: Callable[[Event], None]

    def _keep(self, event: Event) -> None:
        self.note(event)
        super()._keep(event)


class Speaker(Talker):
    """A talker who looks at the clock.

    Args:
        pause_s: shortest and longest, between two recordings.
    """

    def __init__(
        self, way: Way, url: str, said: Sequence[Spoken], seed: int, pause_s: tuple[float, float]
    ) -> None:
        super().__init__(way, url, said, seed)
        self._pause_s = pause_s
        self.said: list[Said] = []
        self.told: list[Told] = []
        self.missing_ms = 0
        """Of audio that finals say did not arrive."""
        self.session = ""
        """Id of the one that it has."""

    async def talk(self, until: asyncio.Event) -> None:
        """Speak, pause, speak … and stop; what goes wrong is noted."""
        try:
            async with self._client() as live:
                hearing = asyncio.create_task(self._hear(live))
                await asyncio.sleep(self._chance.uniform(0, 1))
                while not until.is_set():
                    await self._say(live)
                await live.send(self._silence(LAST_WORDS_S))
                async with asyncio.timeout(END_S):
                    await live.stop()
                    await hearing
        except (RtcSttError, TimeoutError) as error:
            self.error = f"{type(error).__name__}: {error}"[:200]

    async def _say(self, live: LiveSession | StreamClient) -> None:
        one = self._chance.choice(self._said)
        begun = time.monotonic()
        await live.send(one.audio)
        self.spoken.append(one.text)
        self.said.append(Said(one.text, begun, time.monotonic()))
        await live.send(self._silence(self._chance.uniform(*self._pause_s)))

    def _client(self) -> LiveSession | StreamClient:
        live: _Lives | _Streams
        if self.way == "webrtc":
            live = _Lives(self._url, key=KEY, on_state=self._note)
        else:
            live = _Streams(self._url, key=KEY, on_state=self._note, on_lost_audio=self._lose)
        live.note = self._note_event
        return live

    def _note_event(self, event: Event) -> None:
        if isinstance(event, SessionStarted):
            self.sessions += 1
            self.session = event.session_id
        text = event.text if isinstance(event, TranscriptFinal) else None
        if isinstance(event, TranscriptFinal):
            self.heard.append(event.text)
            self.missing_ms += event.lost_ms + event.concealed_ms
        is_transcript = isinstance(event, TranscriptFinal | TranscriptPartial)
        self.told.append(Told(time.monotonic(), self.session, event.seq, text, is_transcript))

    async def _hear(self, live: LiveSession | StreamClient) -> None:
        async for _ in live:
            pass


class Arrivals:
    """Somebody new each half second, over a WebSocket: greeted, or not, and when. Nobody asks again."""

    def __init__(self, url: str, every_s: float = 0.5) -> None:
        self._url, self._every_s = url, every_s
        self.welcomed: list[float] = []
        """When each came who was greeted."""
        self.refused: list[tuple[float, str]] = []
        """When each came who was not, and why."""

    async def come(self, until: asyncio.Event) -> None:
        """Until told to stop."""
        async with asyncio.TaskGroup() as group:
            while not until.is_set():
                group.create_task(self._one())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), self._every_s)

    async def _one(self) -> None:
        begun = time.monotonic()
        audio = {"encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}
        try:
            async with (
                asyncio.timeout(ARRIVAL_TIMEOUT_S),
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http,
                http.ws_connect(self._url + "/v1/stream") as socket,
            ):
                await socket.send_json({"type": "configure", "audio": audio})
                first = await socket.receive_json(timeout=ARRIVAL_TIMEOUT_S)
                if first["type"] != "session.started":
                    raise ValueError(f"the first word was {first['type']}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError) as error:
            self.refused.append((begun, f"{type(error).__name__}: {error}"[:120]))
        else:
            self.welcomed.append(begun)

    def refused_until(self, moment: float) -> float:
        """Seconds from a moment until the last who was refused after it; 0 where nobody was."""
        return max((at - moment for at, _ in self.refused if at >= moment), default=0.0)
