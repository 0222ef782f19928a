"""One WebRTC connection of the client: offer, answer, data channel. It is lost once, and then closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from rtc_stt.client.audio_out import Outlet
from rtc_stt.commands import Command
from rtc_stt.wire import encode_command

__all__ = ["CHANNEL_LABEL", "Connection"]

log = logging.getLogger(__name__)

CHANNEL_LABEL = "rtc-stt"

OPEN_TIMEOUT_S = 15.0
"""From the answer to an open channel."""

CLOSE_TIMEOUT_S = 3.0
"""aiortc's close may hang on a dead line; then it is left alone."""


class Connection:
    """See above.

    Args:
        ice_servers: as ``GET /v1/ice-servers`` tells them.
        receive: takes each message.
        lose: called once when the connection is of no use any more; not by :meth:`close`.
        label: of the data channel: which protocol it speaks.
    """

    def __init__(
        self,
        ice_servers: Sequence[dict[str, Any]],
        receive: Callable[[str | bytes], None],
        lose: Callable[[], None],
        *,
        label: str = CHANNEL_LABEL,
    ) -> None:
        servers = [RTCIceServer(**server) for server in ice_servers]
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._channel = self._peer.createDataChannel(label)
        self._opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._receive: Callable[[str | bytes], None] | None = receive
        self._lose: Callable[[], None] | None = lose
        self.outlet = Outlet()
        """What it sends."""
        self._peer.addTrack(self.outlet)
        self._peer.on("connectionstatechange", self._on_state)
        self._channel.on("open", lambda: self._settle(True))
        self._channel.on("message", self._on_message)
        self._channel.on("close", self._on_lost)

    async def offer(self) -> str:
        """The offer, with all candidates."""
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return str(self._peer.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Take the answer and wait until the channel is open.

        Raises:
            TimeoutError: it does not open.
            ConnectionError: the connection failed before.
            ValueError: the answer is none.
        """
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except Exception as error:  # whatever aiortc's parsers stumble on
            raise ValueError("the answer is not valid SDP") from error
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            if not await self._opened:
                raise ConnectionError("the connection failed")

    @property
    def ice_transport(self) -> Any:
        """aiortc's: what its datagrams leave by. For who tries bad networks on it."""
        return self._peer.getSenders()[0].transport.transport

    def send(self, command: Command) -> None:
        """Send a command. Where that cannot be, it is lost, and so is the connection before long."""
        self.say(encode_command(command))

    def say(self, message: str) -> None:
        """Likewise, with any text."""
        if self._channel.readyState == "open":
            try:
                self._channel.send(message)
            except Exception as error:  # aiortc raises several kinds while it closes
                log.info("a message could not be sent: %s", type(error).__name__)

    def close(self) -> Coroutine[Any, Any, None]:
        """Say nothing more from now on; the coroutine lets go of everything within bounded time."""
        self._lose = self._receive = None
        self.outlet.stop()
        return self._close()

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._peer.close()
        except Exception as error:
            log.info("a connection did not close: %s", type(error).__name__)

    def _on_message(self, message: str | bytes) -> None:
        if self._receive:
            self._receive(message)

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._on_lost()

    def _settle(self, opened: bool) -> None:
        if not self._opened.done():
            self._opened.set_result(opened)

    def _on_lost(self) -> None:
        self._settle(False)
        lose, self._lose = self._lose, None
        if lose:
            lose()
