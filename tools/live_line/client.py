"""A WebRTC client that speaks audio in real time and notes when each event reaches it.

Frames of 20 ms leave by absolute deadlines, as a microphone would send them: the frame that holds media
time ``[n·20 ms, n·20 ms + 20 ms)`` leaves when that span is over. ``wall(ms)`` is when a moment of the media
timeline was spoken.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.commands import Command
from rtc_stt.events import Event, SessionEnded
from rtc_stt.wire import decode_event, encode_command

__all__ = ["LiveClient", "Received", "Speaker"]

FRAME = SAMPLE_RATE // 50

TICK = '{"type":"tick"}'
"""No event: it makes the transport send a lost one again soon."""


class Speaker(MediaStreamTrack):
    """A microphone: what is put in is spoken in real time, and silence between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._audio = np.empty(0, np.float32)
        self._sent = 0  # samples
        self._begun: float | None = None
        self.lags_ms: list[float] = []
        """How late each frame left."""

    @property
    def begun(self) -> float:
        """When media time 0 was spoken, on the monotonic clock."""
        assert self._begun is not None, "nothing was sent yet"
        return self._begun

    def speak(self, audio: Samples) -> int:
        """Say this after what is being said. Returns the media time at which it begins, in samples."""
        position = self._sent + len(self._audio)
        self._audio = np.concatenate([self._audio, audio])
        return position

    @property
    def seconds_left(self) -> float:
        """How long what was put in will still take."""
        return len(self._audio) / SAMPLE_RATE

    async def recv(self) -> av.AudioFrame:
        """Called by aiortc for each frame."""
        if self.readyState != "live":
            raise MediaStreamError
        if self._begun is None:
            self._begun = time.monotonic()
        due = self._begun + (self._sent + FRAME) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        self.lags_ms.append((time.monotonic() - due) * 1000)
        samples, self._audio = self._audio[:FRAME], self._audio[FRAME:]
        samples = np.pad(samples, (0, FRAME - len(samples)))
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self._sent, fractions.Fraction(1, SAMPLE_RATE)
        self._sent += FRAME
        return frame


@dataclass(frozen=True)
class Received:
    """An event, and when it reached the client (monotonic seconds)."""

    at: float
    event: Event


@dataclass
class LiveClient:
    """One session. ``async with LiveClient(url) as client``."""

    url: str
    dialect: str = "whip"
    """``whip`` or ``offer``."""
    key: str | None = None
    received: list[Received] = field(default_factory=list)
    on_event: Callable[[Event], None] | None = None

    def __post_init__(self) -> None:
        self.speaker = Speaker()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("rtc-stt")
        self.resource: str | None = None
        self.answer_sdp = ""
        self._news = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self.connection.addTrack(self.speaker)
        self.channel.on("message", self._receive)

    async def __aenter__(self) -> LiveClient:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Offer, answer, and wait for ``session.started``."""
        self._http = aiohttp.ClientSession(
            self.url, headers={"Authorization": f"Bearer {self.key}"} if self.key else {}
        )
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp
        if self.dialect == "whip":
            async with self._http.post(
                "/whip", data=offer, headers={"Content-Type": "application/sdp"}
            ) as response:
                response.raise_for_status()
                self.answer_sdp, self.resource = await response.text(), response.headers["Location"]
        else:
            async with self._http.post("/api/offer", json={"sdp": offer, "type": "offer"}) as response:
                response.raise_for_status()
                body = await response.json()
                self.answer_sdp, self.resource = body["sdp"], f"/whip/{body['pc_id']}"
        await self.connection.setRemoteDescription(RTCSessionDescription(self.answer_sdp, "answer"))
        await self.wait_for("session.started", timeout=15)

    async def close(self) -> None:
        """End the session as a page does, and close."""
        if self._http:
            if self.resource and not any(isinstance(r.event, SessionEnded) for r in self.received):
                async with self._http.delete(self.resource):
                    pass
            await self._http.close()
        self.speaker.stop()
        await self.connection.close()

    def send(self, command: Command) -> None:
        """Send a command."""
        self.channel.send(encode_command(command))

    def events(self, kind: str) -> list[Event]:
        """The events of a kind so far."""
        return [r.event for r in self.received if r.event.type == kind]

    def wall(self, media_ms: float) -> float:
        """When a moment of the media timeline was spoken, on the monotonic clock."""
        return self.speaker.begun + media_ms / 1000

    async def say(self, audio: Samples) -> int:
        """Speak, and return when the last frame has left: the media time at which it began, in ms."""
        position = self.speaker.speak(audio)
        while self.speaker.seconds_left > 0:
            await asyncio.sleep(min(0.1, self.speaker.seconds_left))
        return round(position * 1000 / SAMPLE_RATE)

    async def wait_for(self, kind: str, *, count: int = 1, timeout: float = 10) -> Event:
        """The ``count``-th event of a kind, waited for at most ``timeout`` seconds."""
        return (await self.wait_until(lambda: self.events(kind)[count - 1 : count], timeout))[0]

    async def wait_until(self, ready: Callable[[], list[Event]], timeout: float) -> list[Event]:
        """Wait until ``ready()`` gives something, looking whenever an event arrives."""
        async with asyncio.timeout(timeout):
            while not (found := ready()):
                self._news.clear()
                await self._news.wait()
        return found

    def _receive(self, message: str) -> None:
        if message == TICK:
            return
        event = decode_event(message)
        self.received.append(Received(time.monotonic(), event))
        if self.on_event:
            self.on_event(event)
        self._news.set()
