"""Audio encoded once, to be sent many times."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["FRAME_MS", "SILENCE", "TIMESTAMPS", "encode", "silence"]

FRAME_MS = 20
FRAME = SAMPLE_RATE * FRAME_MS // 1000
TIMESTAMPS = 960
"""What the RTP timestamp advances by in a packet: 48,000 a second whatever it carries (RFC 7587 §4.1)."""


def encode(audio: Samples, *, bit_rate: int = 24_000, expected_loss: int = 10) -> list[bytes]:
    """Opus packets of 20 ms as a browser sends them: wideband voice with forward error correction, no DTX.

    Args:
        audio: 16 kHz mono, shape ``(n,)``; the last packet is filled up with silence.
        bit_rate: bits a second.
        expected_loss: percent; at 0 the encoder leaves forward error correction out.
    """
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.sample_rate = bit_rate, SAMPLE_RATE
    encoder.format, encoder.layout = "s16", "mono"
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": str(expected_loss)}
    packets: list[bytes] = []
    for start in range(0, len(audio), FRAME):
        piece = np.pad(audio[start : start + FRAME], (0, max(0, start + FRAME - len(audio))))
        pcm = np.clip(np.round(piece * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return packets


def silence(seconds: float) -> list[bytes]:
    """Packets of silence; all are the same one, as an encoder at rest sends them."""
    return [SILENCE] * round(seconds * 1000 / FRAME_MS)


SILENCE = encode(np.zeros(SAMPLE_RATE, np.float32))[25]
"""A packet of silence, from an encoder at rest."""
