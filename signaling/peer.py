"""One WebRTC peer: the only room that knows aiortc.

A peer owns its ``RTCPeerConnection``, its session, and one task that ends them together. It ends when the
session ends, when the client goes, or when the connection never comes about; and always within
``CLOSE_TIMEOUT_S``, whatever aiortc does.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from rtc_stt.errors import BadRequest
from rtc_stt.media import MonoResampler
from rtc_stt.session import Session, Speech
from signaling.data_channel import EventChannel
from signaling.sdp import offers_passive_dtls, polish_answer

__all__ = ["Peer"]

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 5.0
"""To make an answer. It takes milliseconds; an offer with names that do not resolve takes a second."""

CONNECT_TIMEOUT_S = 15.0
"""From the answer to a connection. aiortc would wait for ever for a client that never sends."""

DATA_CHANNEL_TIMEOUT_S = 30.0
"""From the connection to the data channel. Without one nobody hears the transcripts."""

FINISH_TIMEOUT_S = 10.0
"""For the last final, when a client has gone."""

FLUSH_TIMEOUT_S = 1.0
"""For the last events to leave."""

CLOSE_TIMEOUT_S = 5.0
"""For aiortc to close. It hangs on rare occasions; then it is left to the garbage collector."""


class Peer:
    """See above.

    Args:
        speech: what all sessions share.
        max_sessions: told to the client as a limit.
    """

    def __init__(self, speech: Speech, *, max_sessions: int) -> None:
        loop = asyncio.get_running_loop()
        self.id = secrets.token_urlsafe(16)
        """Names the resource; whoever knows it may end the session, so it cannot be guessed."""
        # No ICE servers: the default is a public STUN server and up to five seconds of gathering.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = EventChannel(
            receive=lambda message: self.session.receive_message(message),
            complain=lambda code, message: self.session.warn(code, message),
            give_up=self._lose_soon,
            clock=loop.time,
        )
        self.session = Session(
            speech,
            self._channel.send,
            transport="webrtc",
            limits={"max_sessions": max_sessions},
        )
        self._gone: asyncio.Future[str] = loop.create_future()
        self._listening: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._on_data_channel)
        self._connection.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """Answer an offer, all candidates included.

        Raises:
            BadRequest, Unprocessable: the offer is none, or cannot be answered. Everything is closed then.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._negotiate(offer)
        except BaseException as error:
            await self._tear_down()
            if isinstance(error, Exception) and type(error).__module__.split(".")[0] != "rtc_stt":
                # aiortc and aioice raise whatever their parsers stumbled on.
                log.info("an offer could not be answered: %s", type(error).__name__)
                raise BadRequest("the offer cannot be answered: it is not valid SDP") from error
            raise

    async def run(self) -> None:
        """Live until the end of session or connection. Call once, after :meth:`answer`."""
        self.session.start()
        self._after(CONNECT_TIMEOUT_S, self._check_connected)
        try:
            await asyncio.wait([self._gone, self.session.ended], return_when=asyncio.FIRST_COMPLETED)
            if not self.session.ended.done():
                self.session.finish(self._gone.result())
                await asyncio.wait([self.session.ended], timeout=FINISH_TIMEOUT_S)
        finally:
            self.session.abort("server_error")  # only where the above did not end it
            await self._tear_down()

    def close(self, reason: str) -> None:
        """Finalise what is open and end; :meth:`run` returns when that is done."""
        self.session.finish(reason)

    # ── aiortc's events ────────────────────────────────────────────────────────────

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(
                self._listen(track), name=f"listen-{self.session.id}"
            )

    def _on_data_channel(self, channel: RTCDataChannel) -> None:
        self._channel.attach(channel)

    def _on_state(self) -> None:
        state = self._connection.connectionState
        self.session.log.info("connection %s", state)
        if state == "connected":
            self._after(DATA_CHANNEL_TIMEOUT_S, self._check_channel)
        elif state in ("failed", "closed"):
            self._lose("connection_lost")

    async def _listen(self, track: MediaStreamTrack) -> None:
        """The pump from the track to the session."""
        resampler = MonoResampler()
        try:
            while True:
                samples = resampler.push(await track.recv())
                if len(samples):
                    self.session.receive_audio(samples)
        except MediaStreamError:
            self._lose("track_ended")
        except Exception:
            self.session.log.exception("the audio of the peer cannot be read")
            self.session.fail("bad_audio", "the audio of the track cannot be decoded; reconnect")

    # ── Negotiation ────────────────────────────────────────────────────────────

    async def _negotiate(self, offer: str) -> str:
        connection = self._connection
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if not offers_passive_dtls(offer):
            # As the passive side we serve every client; some cannot take an active answer. aiortc has no
            # public way to choose.
            for transceiver in connection.getTransceivers():
                transceiver.receiver.transport._set_role("server")
            if connection.sctp:
                connection.sctp.transport._set_role("server")
        await connection.setLocalDescription(await connection.createAnswer())
        return polish_answer(connection.localDescription.sdp)

    # ── The end ────────────────────────────────────────────────────────────

    def _lose(self, reason: str) -> None:
        if not self._gone.done():
            self._gone.set_result(reason)

    def _lose_soon(self, reason: str) -> None:
        """Not at once: the cause may be an event that the session is just telling."""
        asyncio.get_running_loop().call_soon(self._lose, reason)

    def _check_connected(self) -> None:
        if self._connection.connectionState != "connected":
            self._lose("connect_timeout")

    def _check_channel(self) -> None:
        if not self._channel.is_attached:
            self._lose("no_data_channel")

    def _after(self, seconds: float, call: Callable[[], Any]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, call))

    async def _tear_down(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._connection.connectionState == "connected":
            await self._flush()
        if self._listening:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._close_connection()

    async def _flush(self) -> None:
        """Let the last events leave before the connection goes."""
        deadline = asyncio.get_running_loop().time() + FLUSH_TIMEOUT_S
        while self._channel.buffered_bytes and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)  # taken by the transport is not yet sent

    async def _close_connection(self) -> None:
        self._connection.remove_all_listeners()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            log.warning("a peer connection did not close within %g s", CLOSE_TIMEOUT_S)
        except Exception:
            log.warning("a peer connection failed to close", exc_info=True)
