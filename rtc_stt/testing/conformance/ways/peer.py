"""A WebRTC connection of a way that is said by hand: audio as a track, and a data channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.client.audio_out import Packer
from rtc_stt.client.connection import Connection
from rtc_stt.testing.conformance.way import Hear, WayFailed
from rtc_stt.testing.conformance.ways.messages import Messages
from rtc_stt.testing.conformance.ways.pcm import samples
from rtc_stt.testing.conformance.ways.socket import AGAIN_S, BUSY

__all__ = ["Offer", "Peer"]

FRAME = SAMPLE_RATE // 50

ON_ITS_WAY_S = 0.3
"""RTP and the data channel are not in one order: a message that acts on the audio before it waits for it."""

LEAVES_WITHIN_S = 10.0
"""A connection that sends nothing any more is no reason to wait for ever."""

LOOK_AGAIN_S = 0.02
"""Between two looks whether the last frame has left: on a busy machine that is later than it was spoken."""

Offer = Callable[[str], aiohttp.client._RequestContextManager]
"""Makes the request with an offer; its answer is 200 or 201."""


class Peer(Messages):
    """One connection: every text that comes is given to ``receive``, as by a
    :class:`~rtc_stt.testing.conformance.ways.socket.Socket`.

    Args:
        label: of the data channel.
    """

    def __init__(self, label: str, receive: Callable[[str], None], hear: Hear) -> None:
        super().__init__(receive, hear)
        self._label, self._packer = label, Packer()
        self._connection: Connection | None = None
        self.http = aiohttp.ClientSession()

    async def open(self, offer: Offer, read: Callable[[str], str] = str) -> None:
        """Connect.

        Args:
            read: finds the SDP in the body of the answer.

        Raises:
            WayFailed: there is no connection to be had.
        """
        connection = self._connection = Connection([], self._note, self._end, label=self._label)
        sdp = await connection.offer()
        while True:
            try:
                async with offer(sdp) as response:
                    status, body = response.status, await response.text()
            except (aiohttp.ClientError, OSError) as error:
                raise WayFailed(f"no connection: {type(error).__name__}") from None
            if status not in BUSY:
                break
            await asyncio.sleep(AGAIN_S)
        if status not in (200, 201):
            raise WayFailed(f"no connection: status {status}")
        try:
            await connection.accept(read(body))
        except (TimeoutError, ConnectionError, ValueError, LookupError) as error:
            raise WayFailed(f"no connection: {type(error).__name__}") from None

    def say(self, message: str) -> None:
        """Send a text."""
        assert self._connection, "open() comes first"
        self._connection.say(message)

    async def push(self, pcm: bytes) -> None:
        """Speak whole samples."""
        assert self._connection, "open() comes first"
        for frame in self._packer.push(samples(pcm)):
            self._connection.outlet.put(frame)

    async def settle(self) -> None:
        """Return when all that was spoken has arrived. Frames are whole: the last one is filled up.

        Raises:
            TimeoutError: it does not leave.
        """
        await self.push(bytes(2 * FRAME))
        assert self._connection, "open() comes first"
        outlet = self._connection.outlet
        async with asyncio.timeout(LEAVES_WITHIN_S):
            while outlet.waiting and outlet.readyState == "live":
                await asyncio.sleep(LOOK_AGAIN_S)
        await asyncio.sleep(ON_ITS_WAY_S)

    async def close(self) -> None:
        """Hang up. Never raises."""
        if self._connection:
            await self._connection.close()
        await self.http.close()

    def _note(self, message: str | bytes) -> None:
        self._take(message)
