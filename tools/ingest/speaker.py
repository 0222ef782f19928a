"""A lean WebRTC client: packets that were encoded before, sent over aiortc's DTLS transport by a timer.

It has no track, no encoder and no task of its own while it speaks, so that one process carries as many as a
load test needs: a packet costs about what its encryption costs. Everything else is as a browser does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any

import aiohttp
import aioice.stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtc_stt.commands import Ack, Command
from rtc_stt.wire import encode_command
from tools.ingest import opus
from tools.ingest.ear import Ear
from tools.ingest.relay import Relay

__all__ = ["Refused", "Speaker"]

FRAME_S = opus.FRAME_MS / 1000
REPORT_EVERY = 100  # packets from one sender report to the next
NOMINATE_S = 2.5  # Chromium checks its connection so often, and nominates it each time
ACK_EVERY = 8  # events
NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


class Refused(Exception):
    """The server answered something else than 201; ``args`` are its status, headers and text."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.args[0])


class Speaker:
    """One client. ``async with Speaker(url) as speaker``; what is not said is silence.

    Args:
        url: of the server.
        token: a key or a token, where the server asks for one.
        relay: a network to go through.
        ear: takes the events; a second connection of the same session shares that of the first.
        channel: whether to open the data channel.
        resume: the resume token and the last ``seq`` seen, to go on with a session.
        configuration: ICE servers and policy, as a browser takes them; by default host candidates alone.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        relay: Relay | None = None,
        ear: Ear | None = None,
        channel: bool = True,
        resume: tuple[str, int] | None = None,
        configuration: RTCConfiguration | None = None,
    ) -> None:
        self.url, self.relay, self.resume = url, relay, resume
        self.ear = ear or Ear()
        self.resource = self.etag = ""
        self.sent = 0
        """Packets so far."""
        self.max_lag_s = 0.0
        """How late a packet left at worst: a machine that is too busy makes a bad client."""
        self.speaking = True
        """Off: no packets at all, as a browser does without a track."""
        self.is_lost = False
        """The connection broke while it spoke."""
        self.connection = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver("audio", direction="sendonly")
        self.channel = self.connection.createDataChannel("rtc-stt") if channel else None
        if self.channel:
            self.channel.on("message", self._hear)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._queue: deque[bytes] = deque()
        self._said = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._sequence, self._timestamp = 1_000, 0
        self._acknowledged = 0
        self._payload_type = 0
        self._nominating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Speaker:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── Connecting ────────────────────────────────────────────────────────────

    async def connect(self, timeout: float = 20) -> None:
        """Offer, answer, and wait until the connection stands; then it speaks.

        Raises:
            Refused: by the server.
            TimeoutError: there was no connection within ``timeout`` seconds.
        """
        connection = self.connection
        sender: Any = connection.getSenders()[0]
        sender.send = _nothing  # its tasks would poll for a track, fifty times a second
        self._ssrc = sender._ssrc
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        answer = await self._post(self.relay.offer(offer) if self.relay else offer)
        self._payload_type = int(re.findall(r"(?im)^a=rtpmap:(\d+) opus/48000", answer)[0])
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(timeout):
            while connection.connectionState not in ("connected", "failed", "closed"):
                await asyncio.sleep(0.01)
        if connection.connectionState != "connected":
            raise TimeoutError("the connection failed")
        self._transport: Any = sender.transport
        self._due = time.monotonic()
        self._tick()
        self._nominating = asyncio.get_running_loop().create_task(self._nominate())

    async def _post(self, offer: str) -> str:
        headers = {"Content-Type": "application/sdp", **self._headers}
        if self.resume:
            headers |= {"Resume-Token": self.resume[0], "Resume-From": str(self.resume[1])}
        async with (
            aiohttp.ClientSession(self.url) as http,
            http.post("/whip", data=offer, headers=headers) as response,
        ):
            text = await response.text()
            if response.status != 201:
                raise Refused(response.status, dict(response.headers), text)
            self.resource = response.headers["Location"]
            self.etag = response.headers.get("ETag", "")
        return self.relay.answer(text) if self.relay else text

    async def close(self, *, politely: bool = True) -> None:
        """Stop, and go: with a DELETE if ``politely`` and nothing has ended the session yet."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._nominating:
            self._nominating.cancel()
        if politely and self.resource and not self.ear.ended:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with (
                    aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(5)) as http,
                    http.delete(self.resource, headers=self._headers),
                ):
                    pass
        await self.connection.close()

    async def vanish(self) -> None:
        """Go as a process that is killed goes: nothing is said to the server."""
        self.resource = ""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._nominating:
            self._nominating.cancel()
        ice: Any = self.connection.getSenders()[0].transport.transport
        for protocol in ice._connection._protocols:
            protocol.send_data, protocol.send_stun = _nothing, lambda *_: None
        await self.connection.close()

    def send(self, command: Command) -> None:
        """Send a command over the data channel."""
        assert self.channel, "there is no data channel"
        self.channel.send(encode_command(command))

    def _hear(self, message: str | bytes) -> None:
        """Take a message; acknowledge every few events, so that the server need not keep them."""
        self.ear.receive(message)
        if self.ear.last_seq >= self._acknowledged + ACK_EVERY:
            self._acknowledged = self.ear.last_seq
            self.send(Ack(self._acknowledged))

    # ── Speaking ────────────────────────────────────────────────────────────

    def say(self, packets: Iterable[bytes]) -> None:
        """Say this after what is being said."""
        self._queue.extend(packets)
        self._said.clear()

    async def said(self) -> None:
        """Wait until all of it has left.

        Raises:
            ConnectionError: the connection is gone, and nothing leaves any more.
        """
        if self._queue and not self.is_lost:
            await self._said.wait()
        if self.is_lost:
            raise ConnectionError("the connection is gone")

    def _tick(self) -> None:
        """The next packet, and all that are overdue."""
        now = time.monotonic()
        self.max_lag_s = max(self.max_lag_s, now - self._due)
        while self._due <= now:
            self._due += FRAME_S
            payload = self._queue.popleft() if self._queue else opus.SILENCE
            if not self._queue:
                self._said.set()
            if not self._emit(payload):
                self.is_lost = True
                self._said.set()
                return
        self._timer = asyncio.get_running_loop().call_later(self._due - now, self._tick)

    def _emit(self, payload: bytes) -> bool:
        """Send one packet; False where the connection is gone. Media time goes on in any case."""
        self._timestamp += opus.TIMESTAMPS
        if not self.speaking:
            return True
        self._sequence += 1
        self.sent += 1
        header = struct.pack(
            "!BBHII",
            0x80,
            self._payload_type,
            self._sequence & 0xFFFF,
            self._timestamp & 0xFFFFFFFF,
            self._ssrc,
        )
        if not self._transmit(header + payload):
            return False
        return self.sent % REPORT_EVERY != 1 or self._transmit(self._report())

    def _transmit(self, data: bytes) -> bool:
        try:
            _drive(self._transport._send_rtp(data))
        except ConnectionError:
            return False
        return True

    def _report(self) -> bytes:
        """A sender report without blocks (RFC 3550 §6.4.1)."""
        now = time.time() + NTP_EPOCH
        return struct.pack(
            "!BBHIIIIII", 0x80, 200, 6, self._ssrc,
            int(now), int(now % 1 * 2**32), self._timestamp & 0xFFFFFFFF, self.sent, self.sent * 60,
        )  # fmt: skip

    async def _nominate(self) -> None:
        """Nominate the pair over and over as Chromium does, so that the server follows a NAT that rebinds."""
        ice: Any = self._transport.transport
        while True:
            await asyncio.sleep(NOMINATE_S)
            for pair in list(ice._connection._nominated.values()):
                with contextlib.suppress(aioice.stun.TransactionError, ConnectionError):
                    await pair.protocol.request(
                        ice._connection.build_request(pair, nominate=True),
                        pair.remote_addr,
                        integrity_key=ice._connection.remote_password.encode(),
                        retransmissions=0,
                    )


async def _nothing(*_: object) -> None:
    """Instead of what aiortc's sender does, and of what leaves a client that is no more."""


def _drive(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, without a task for it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("aiortc waits where it did not")
