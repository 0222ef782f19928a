"""A client over a SmallWebRTC connection that says whatever it is told to: aiortc's, and a microphone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tools.live_line.client import Speaker

__all__ = ["RtviChannel"]


class RtviChannel:
    """One connection. ``async with RtviChannel(url, key) as channel``."""

    def __init__(self, url: str, key: str, request_data: object = None) -> None:
        self.told: list[dict[str, Any]] = []
        """What came over the channel; ticks apart."""
        self.speaker = Speaker()
        self._url, self._key, self._request_data = url, key, request_data
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(self.speaker)
        self._channel = self._connection.createDataChannel("chat")
        self._channel.on("message", self._receive)
        self._opened = asyncio.Event()
        self._channel.on("open", self._opened.set)

    async def __aenter__(self) -> RtviChannel:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        body = {
            "type": "offer",
            "sdp": self._connection.localDescription.sdp,
            "requestData": self._request_data,
        }
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._key}"}) as client,
            client.post(f"{self._url}/api/offer", json=body) as response,
        ):
            response.raise_for_status()
            answer = (await response.json())["sdp"]
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(10):
            await self._opened.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    def say(self, message: str | bytes | dict[str, Any]) -> None:
        """One message; an object is one of RTVI."""
        if isinstance(message, dict):
            message = json.dumps({"label": "rtvi-ai", "id": "x"} | message)
        self._channel.send(message)

    async def until(self, ready: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        """The first message of which this is true."""
        async with asyncio.timeout(seconds):
            while not (found := next(filter(ready, self.told), None)):
                await asyncio.sleep(0.01)
        return found

    def _receive(self, message: str) -> None:
        body = json.loads(message)
        if body.get("type") != "tick":
            self.told.append(body)
