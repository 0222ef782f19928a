"""G.711 (PCMU and PCMA) to 16 kHz. Pure numpy: a table, and a polyphase filter for the step from 8 kHz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.companding import Law, expand
from rtc_stt.polyphase import Upsampler, upsample
from signaling.codecs.repetition import Repetition

__all__ = ["G711Decoder", "decode_together"]

MAX_PAYLOAD = 1600
"""Bytes, 200 ms: no one packs more."""

_LAWS: tuple[Law, ...] = ("mulaw", "alaw")
_NOTHING: Samples = np.empty(0, np.float32)


class G711Decoder:
    """See :class:`signaling.codecs.Decoder`."""

    clock_rate = 8_000
    joins = True
    """See :class:`signaling.codecs.Decoder`."""

    def __init__(self, law: Literal["PCMU", "PCMA"]) -> None:
        self._law: Law = "mulaw" if law == "PCMU" else "alaw"
        self._upsampler = Upsampler()
        self._repetition = Repetition(8_000)

    def duration(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`. One byte is one tick."""
        return len(payload) if len(payload) <= MAX_PAYLOAD else 0

    def recoverable(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`: G.711 has no error correction."""
        return 0

    def decode(self, payload: bytes) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`."""
        return decode_together([self], [payload])[0] if payload else None

    def recover(self, payload: bytes, samples: int) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`: G.711 has no error correction."""
        return None

    def conceal(self, samples: int) -> Samples:
        """See :class:`signaling.codecs.Decoder`."""
        return self._upsampler.push(self._repetition.make(-(-samples // 2)))[:samples]


def decode_together(decoders: Sequence[G711Decoder], payloads: Sequence[bytes]) -> list[Samples]:
    """:meth:`G711Decoder.decode` for several streams, each once; of none it is empty."""
    heard: list[Samples] = [_NOTHING] * len(decoders)
    for law in _LAWS:
        of_law = [number for number, decoder in enumerate(decoders) if decoder._law == law]
        levels, begin = expand(b"".join([payloads[number] for number in of_law]), law), 0
        for number in of_law:
            end = begin + len(payloads[number])
            heard[number] = decoders[number]._repetition.heard(levels[begin:end])
            begin = end
    return upsample([decoder._upsampler for decoder in decoders], heard)
