"""The two ways from RTP packets to 16 kHz, fed by a clock of numbers: aiortc's own, and ours.

Stock aiortc has no clock in its receive path (its jitter buffer counts packets), so that what comes out here
is to the sample what a live track would give. Ours takes the time as an argument.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from rtc_stt.audio import Origin, Samples
from rtc_stt.bench.link import Conditions, Link
from rtc_stt.instrument import Instrument
from rtc_stt.media import MonoResampler
from signaling.codecs import Codec
from signaling.receiver import AudioReceiver
from tools.ingest.opus import FRAME_MS, TIMESTAMPS

__all__ = ["PAYLOAD_TYPE", "arrivals", "ours", "rtp", "stock"]

PAYLOAD_TYPE = 96
SSRC = 0x1234_5678

Arrival = tuple[float, bytes]


def rtp(sequence: int, payload: bytes) -> bytes:
    """The packet that holds the ``sequence``-th 20 ms of a stream (RFC 3550 §5.1)."""
    return (
        struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, sequence & 0xFFFF, sequence * TIMESTAMPS & 0xFFFFFFFF, SSRC)
        + payload
    )


def arrivals(packets: Sequence[bytes], conditions: Conditions) -> list[Arrival]:
    """When each of these comes, as RTP, by a network; they leave every 20 ms."""
    link = Link(conditions)
    sent = ((rtp(n, payload), n * FRAME_MS / 1000) for n, payload in enumerate(packets))
    return sorted((at, packet) for packet, left in sent for at in link.pass_on(packet, left))


def stock(packets: Iterable[Arrival]) -> Samples:
    """What a track of aiortc gives after a resampler, as nearly every peer in Python has it."""
    buffer, decoder, resampler = JitterBuffer(capacity=16, prefetch=4), OpusDecoder(), MonoResampler()
    chunks = [np.empty(0, np.float32)]
    for _, data in packets:
        packet: Any = RtpPacket.parse(data)
        packet._data = packet.payload  # what depayload() makes of Opus
        _, frame = buffer.add(packet)
        if frame is not None:
            chunks += [resampler.push(decoded) for decoded in decoder.decode(frame)]
    return np.concatenate(chunks)


def ours(packets: Iterable[Arrival]) -> tuple[Samples, dict[Origin, int]]:
    """What our receiver gives, and how many samples of each origin are in it."""
    chunks = [np.empty(0, np.float32)]
    origins = dict.fromkeys(Origin, 0)

    def deliver(samples: Samples, origin: Origin) -> None:
        chunks.append(samples.copy())
        origins[origin] += len(samples)

    codec = Codec("opus", PAYLOAD_TYPE, 48_000, {})
    receiver = AudioReceiver({PAYLOAD_TYPE: codec}, deliver, instrument=Instrument(), local_ssrc=1, now=0.0)
    now = 0.0
    try:
        for at, packet in packets:
            while (deadline := receiver.next_deadline()) is not None and deadline <= at:
                receiver.handle_timer(max(now, deadline))
            now = at
            receiver.receive_rtp(packet, now)
        receiver.flush(now + 1.0)
    finally:
        receiver.close()
    return np.concatenate(chunks), origins
