"""RTP of a recording, and of pressed keys, as a telephone would send it; and the file that sipp plays."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.telephone import resample
from rtc_stt.companding import compress
from rtc_stt.media import read_audio

__all__ = ["KEYS", "RATE", "Timed", "length", "load", "play", "press", "speak", "write_pcap"]

RATE = 8_000
"""Ticks a second of G.711 and of telephone events beside it."""

KEYS = "0123456789*#ABCD"
"""By event code (RFC 4733 §3.2)."""

EVENT_TYPE = 101
"""The payload type that is commonly offered for telephone events."""

_RTP = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Timed:
    """One packet."""

    at_s: float
    """When it leaves, from the beginning."""
    data: bytes


def load(path: Path) -> Samples:
    """A recording: 16 kHz mono, shape ``(n,)``."""
    return np.concatenate(list(read_audio(path)))


def speak(
    samples: Samples,
    law: Literal["mulaw", "alaw"] = "mulaw",
    *,
    frame_ms: int = 20,
    ssrc: int = 0x5EA4,
    sequence: int = 65_530,
    timestamp: int = 2**32 - 4_000,
    at_s: float = 0.0,
) -> list[Timed]:
    """A recording in G.711. The counters begin where they soon wrap.

    Args:
        samples: 16 kHz mono in [-1, 1], shape ``(n,)``; an incomplete last frame is filled with silence.
    """
    size = RATE * frame_ms // 1000
    narrow = resample(samples, SAMPLE_RATE, RATE)
    payload = compress(np.pad(narrow, (0, -len(narrow) % size)), law)
    payload_type = 0 if law == "mulaw" else 8
    return [
        Timed(
            at_s + start / RATE,
            _packet(payload_type, start == 0, sequence + start // size, timestamp + start, ssrc)
            + payload[start : start + size],
        )
        for start in range(0, len(payload), size)
    ]


def press(
    keys: str,
    *,
    at_s: float,
    held_ms: int = 160,
    pause_ms: int = 120,
    frame_ms: int = 20,
    ssrc: int = 0xD1A1,
    sequence: int = 100,
    timestamp: int = 7_000,
) -> list[Timed]:
    """Keys pressed one after the other, by telephone events: the end of each is sent three times (RFC 4733
    §2.5.1.4).

    By default they are a stream of their own beside the speech, as sipp's own recordings have them.
    """
    packets: list[Timed] = []
    for key in keys:
        code, begin = KEYS.index(key), timestamp + round(at_s * RATE)
        steps = held_ms // frame_ms
        for step in range(1, steps + 3):
            duration = min(step, steps) * frame_ms * RATE // 1000
            ends = 0x80 if step >= steps else 0
            head = _packet(EVENT_TYPE, step == 1, sequence, begin, ssrc)
            body = struct.pack("!BBH", code, ends | 10, duration)
            packets.append(Timed(at_s + min(step, steps) * frame_ms / 1000, head + body))
            sequence += 1
        at_s += (held_ms + pause_ms) / 1000
    return packets


def _packet(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int) -> bytes:
    return _RTP.pack(0x80, marker << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


def length(packets: Sequence[Timed]) -> float:
    """Seconds until the last one has left."""
    return max((packet.at_s for packet in packets), default=0.0)


async def play(sock: socket.socket, to: tuple[str, int], packets: Sequence[Timed]) -> None:
    """Send them when they are due, from a UDP socket that does not block."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for packet in sorted(packets, key=lambda p: p.at_s):
        await asyncio.sleep(begun + packet.at_s - loop.time())
        await loop.sock_sendto(sock, packet.data, to)


# ── The file that sipp plays ────────────────────────────────────────────────────────────


def write_pcap(path: Path, packets: Sequence[Timed]) -> Path:
    """Packets in a capture file (Ethernet, IPv4, UDP), in the order of their time: addresses and ports are
    those of whoever plays it.
    """
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for packet in sorted(packets, key=lambda p: p.at_s):
            udp = struct.pack("!HHHH", 6000, 6000, 8 + len(packet.data), 0) + packet.data
            loopback = socket.inet_aton("127.0.0.1")
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, loopback, loopback)
            frame = bytes(12) + struct.pack("!H", 0x0800) + ip + udp
            seconds, micros = divmod(round(packet.at_s * 1e6), 1_000_000)
            file.write(struct.pack("<IIII", seconds + 1, micros, len(frame), len(frame)) + frame)
    return path
