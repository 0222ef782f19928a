"""What a telephone line makes of audio, packet by packet, and what our decoder makes of that again."""

from __future__ import annotations

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.bench.telephone import telephone
from rtc_stt.companding import Law, compress
from signaling.codecs.g711 import G711Decoder

__all__ = ["PACKET_BYTES", "heard_over", "payloads"]

PACKET_BYTES = 160
"""Of G.711 in 20 ms."""


def payloads(audio: Samples, law: Law = "mulaw") -> list[bytes]:
    """16 kHz audio as payloads of 20 ms: the band of a telephone, 8 kHz, eight bits.

    Every packet is whole; the last one is filled with silence.
    """
    line = telephone(audio)[::2]
    data = compress(np.pad(line, (0, -len(line) % PACKET_BYTES)), law)
    return [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]


def heard_over(audio: Samples, law: Law = "mulaw") -> Samples:
    """The same as a receiver hears it, at 16 kHz: late by the delay of its filter."""
    decoder = G711Decoder("PCMU" if law == "mulaw" else "PCMA")
    pieces = [decoder.decode(payload) for payload in payloads(audio, law)]
    return np.concatenate([piece for piece in pieces if piece is not None])
