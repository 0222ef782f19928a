"""G.711 (PCMU and PCMA) to 16 kHz. Pure numpy: a table, and a filter of its own for the step from 8 kHz."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.companding import Law, expand
from signaling.codecs.repetition import Repetition

__all__ = ["G711Decoder", "Upsampler"]

_TAPS = 16
"""Of the filter between two samples: flat to 3.4 kHz, what telephony carries."""

MAX_PAYLOAD = 1600
"""Bytes, 200 ms: no one packs more."""


def _half_sample_filter() -> Samples:
    """A windowed sinc that reads half a sample behind the middle of its taps; gain 1 at 0 Hz."""
    positions = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(positions) * np.kaiser(_TAPS, 5.0)
    return np.asarray(taps / taps.sum(), np.float32)


class Upsampler:
    """Twice the rate, in pieces of any length: what comes out does not depend on how the input is cut.

    Every other sample that comes out is one that went in; the filter gives those between. The output
    is ``DELAY`` input samples late.
    """

    DELAY = _TAPS // 2

    _FILTER = _half_sample_filter()

    def __init__(self) -> None:
        self._tail: Samples = np.zeros(_TAPS, np.float32)

    def push(self, samples: Samples) -> Samples:
        """``(n,)`` → ``(2n,)``."""
        if not len(samples):
            return samples
        data = np.concatenate([self._tail, samples])
        self._tail = data[len(data) - _TAPS :]
        out = np.empty(2 * len(samples), np.float32)
        out[0::2] = data[_TAPS - self.DELAY : len(data) - self.DELAY]
        out[1::2] = np.convolve(data[1:], self._FILTER, "valid")
        return out


class G711Decoder:
    """See :class:`signaling.codecs.Decoder`."""

    clock_rate = 8_000

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
        return self._upsampler.push(self._repetition.heard(expand(payload, self._law)))

    def recover(self, payload: bytes, samples: int) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`: G.711 has no error correction."""
        return None

    def conceal(self, samples: int) -> Samples:
        """See :class:`signaling.codecs.Decoder`."""
        return self._upsampler.push(self._repetition.make(-(-samples // 2)))[:samples]
