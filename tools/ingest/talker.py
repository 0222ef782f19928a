"""The sending process of ``receive``: many peers, one timer, packets made beforehand.

Lines of JSON: it prints an offer for each session and reads the answer; says when all are connected; begins
to speak at the next line; and at the end says how many packets were due and how late its timer was.
Each packet carries the moment at which it left in a header extension, on the clock that all processes of a
machine share. What the network does to packets (:class:`rtc_stt.bench.link.Link`) is done before they leave.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import time
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtc_stt.bench.clips import load
from rtc_stt.bench.link import Conditions, Link
from tools.ingest import opus
from tools.ingest.speaker import _drive

__all__ = ["left_at"]

EXTENSION_ID = 14
"""Of a one-byte header (RFC 8285 §4.2); nobody has negotiated it, so nobody looks at it."""

_EXTENSION = struct.Struct("!HHBd3x")
_AT = struct.Struct("!d")


def left_at(packet: bytes) -> float:
    """When a packet of this process left, on ``time.monotonic``."""
    return float(_AT.unpack_from(packet, 17)[0])


class Talker:
    """One peer that sends."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTransceiver("audio", direction="sendonly")
        self._sender: Any = self._connection.getSenders()[0]
        self._sender.send = _nothing  # its tasks would poll for a track

    async def connect(self) -> None:
        """Offer and take the answer over the pipes."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        _print({"offer": self._connection.localDescription.sdp})
        answer = json.loads(await asyncio.to_thread(sys.stdin.readline))["answer"]
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(20):
            while self._connection.connectionState != "connected":
                await asyncio.sleep(0.005)
        codecs = self._connection.getTransceivers()[0]._codecs  # type: ignore[attr-defined]
        self._payload_type = next(codec.payloadType for codec in codecs if codec.name == "opus")

    def send(self, number: int, payload: bytes) -> None:
        """The ``number``-th packet of the stream, now."""
        header = struct.pack(
            "!BBHII", 0x90, self._payload_type, number & 0xFFFF, number * opus.TIMESTAMPS, self._sender._ssrc
        )
        stamp = _EXTENSION.pack(0xBEDE, 3, EXTENSION_ID << 4 | 7, time.monotonic())
        _drive(self._sender.transport._send_rtp(header + stamp + payload))

    async def close(self) -> None:
        """Let go."""
        await self._connection.close()


async def _nothing(_: object) -> None:
    """Instead of what aiortc's sender does."""


def _print(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _schedule(sessions: int, packets: int, conditions: dict[str, float]) -> list[tuple[float, int, int]]:
    """When which packet of which session leaves, in order of time. Sessions are spread over a frame."""
    due: list[tuple[float, int, int]] = []
    frame = opus.FRAME_MS / 1000
    for session in range(sessions):
        link = Link(Conditions(**conditions, seed=session + 1))  # type: ignore[arg-type]
        for number in range(packets):
            at = number * frame + session * frame / sessions
            due += [(when, session, number) for when in link.pass_on(b"\x80", at)]
    return sorted(due)


async def _speak(talkers: list[Talker], due: list[tuple[float, int, int]]) -> float:
    """Send all; the largest delay of the timer in seconds."""
    payloads = opus.encode(np.concatenate([clip.audio() for clip in load("clean", limit=12)]))
    late, begun = 0.0, time.monotonic() + 0.1
    for at, session, number in due:
        ahead = begun + at - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        else:
            late = max(late, -ahead)
        talkers[session].send(number, payloads[(number + 97 * session) % len(payloads)])
    return late


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--conditions", type=json.loads, required=True)
    options = parser.parse_args()
    packets = round(options.seconds * 1000 / opus.FRAME_MS)
    talkers = [Talker() for _ in range(options.sessions)]
    for talker in talkers:
        await talker.connect()
    _print({"connected": len(talkers)})
    due = _schedule(options.sessions, packets, options.conditions)
    await asyncio.to_thread(sys.stdin.readline)
    late = await _speak(talkers, due)
    _print({"packets": packets, "timer_late_ms": round(1000 * late, 1)})
    await asyncio.to_thread(sys.stdin.readline)
    for talker in talkers:
        await talker.close()


if __name__ == "__main__":
    asyncio.run(_main())
