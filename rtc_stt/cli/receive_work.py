"""The receive path of live audio as a piece of work: Opus packets in, 16 kHz out, no socket between."""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Origin, Samples
from rtc_stt.bench.gate_run import Work
from rtc_stt.bench.pacing import FRAME
from rtc_stt.instrument import Instrument
from signaling.codecs import Codec
from signaling.receiver import AudioReceiver

__all__ = ["receive_work"]

PAYLOAD_TYPE, SSRC = 96, 1
TICKS = 960
"""What the RTP timestamp advances by in 20 ms (RFC 7587 §4.1)."""


def receive_work(audio: Samples) -> Work:
    """Bring this audio, 16 kHz mono, shape ``(n,)``, to a fresh receiver, packet by packet and in order."""
    packets = [_rtp(number, payload) for number, payload in enumerate(_opus(audio))]

    def call() -> None:
        codec = Codec("opus", PAYLOAD_TYPE, 48_000)
        receiver = AudioReceiver(
            {PAYLOAD_TYPE: codec}, _deliver, instrument=Instrument(), local_ssrc=2, now=0.0
        )
        for number, packet in enumerate(packets):
            receiver.receive_rtp(packet, number / 50)
        receiver.close()

    return Work("receive_packet", call, len(packets))


def _deliver(samples: Samples, origin: Origin) -> None:
    """Where the session would be."""


def _rtp(sequence: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, PAYLOAD_TYPE, sequence, sequence * TICKS, SSRC) + payload


def _opus(audio: Samples) -> list[bytes]:
    """Packets of 20 ms, as a browser sends them."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.sample_rate = 24_000, SAMPLE_RATE
    encoder.format, encoder.layout = "s16", "mono"
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": "10"}
    packets: list[bytes] = []
    for start in range(0, len(audio) - FRAME + 1, FRAME):
        pcm = np.clip(np.round(audio[start : start + FRAME] * 32_767), -32_768, 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets
