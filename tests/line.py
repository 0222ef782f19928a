"""A client of aiortc, a transport of ours, and what that told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from signaling.transport import Transport


@dataclass
class Heard:
    """What a transport told."""

    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)
    channels: list[Any] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def receive_rtp(self, packet: bytes) -> None:
        self.rtp.append(packet)

    def receive_rtcp(self, packet: bytes) -> None:
        self.rtcp.append(packet)

    def open_channel(self, channel: Any) -> None:
        self.channels.append(channel)

    def change_state(self, state: str) -> None:
        self.states.append(state)

    def refuse_message(self, reason: str) -> None:
        self.refused.append(reason)

    def violate(self, reason: str) -> None:
        self.violations.append(reason)


@dataclass
class Line:
    """A client of aiortc and a transport of ours."""

    client: RTCPeerConnection
    channel: Any
    transport: Transport
    heard: Heard
    offer: str = ""
    answer: str = ""

    async def connect(self) -> None:
        await self.client.setLocalDescription(await self.client.createOffer())
        self.offer = self.client.localDescription.sdp
        self.answer = await self.transport.answer(self.offer)
        await self.client.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        await until(lambda: self.transport.state == "connected" and self.channel.readyState == "open")


async def until(ready: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not ready():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def a_line(*, local: bool = True) -> AsyncIterator[Line]:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    client.addTrack(AudioStreamTrack())
    heard = Heard()
    transport = Transport(heard, local=local)
    line = Line(client, client.createDataChannel("rtc-stt"), transport, heard)
    try:
        yield line
    finally:
        await transport.close()
        await client.close()


async def an_offer() -> str:
    async with a_line() as line:
        await line.client.setLocalDescription(await line.client.createOffer())
        return line.client.localDescription.sdp
