"""What a sender of audio makes: packets of RTP, and speech in the codecs of WebRTC."""

from __future__ import annotations

import struct
from typing import Any

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["encode", "rtp"]


def rtp(
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    payload_type: int = 111,
    ssrc: int = 0x1234,
    marker: bool = False,
    extension: bytes | None = None,
    sources: int = 0,
    padding: int = 0,
) -> bytes:
    """One packet (RFC 3550 §5.1); the counters wrap."""
    first = 0x80 | bool(padding) << 5 | (extension is not None) << 4 | sources
    data = struct.pack(
        "!BBHII", first, marker << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
    )
    data += bytes(4 * sources)
    if extension is not None:
        data += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return data + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def encode(
    samples: Samples, *, codec: str = "libopus", frame_ms: int = 20, rate: int = SAMPLE_RATE, **options: str
) -> list[bytes]:
    """Payloads of ``frame_ms`` each, as FFmpeg's encoders make them.

    Args:
        samples: at ``rate``, mono, shape ``(n,)``; an incomplete last frame is left out.
        options: of the encoder; for Opus forward error correction is on unless they say otherwise.
    """
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.format, encoder.layout = rate, "s16", "mono"
    if codec == "libopus":
        encoder.bit_rate = 24_000
        encoder.options = {
            "application": "voip",
            "fec": "1",
            "packet_loss": "10",
            "frame_duration": str(frame_ms),
        } | options
    size = rate * frame_ms // 1000
    payloads: list[bytes] = []
    for start in range(0, len(samples) - size + 1, size):
        pcm = np.clip(np.round(samples[start : start + size] * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    return payloads
