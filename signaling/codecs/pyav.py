"""What PyAV decodes: G.722, and Opus where there is no libopus."""

from __future__ import annotations

from typing import Any

import av
import av.error
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.media import MonoResampler
from signaling.codecs import opus_packet
from signaling.codecs.repetition import Repetition

__all__ = ["G722Decoder", "PyAvOpusDecoder"]

MAX_G722_PAYLOAD = 1600
"""Bytes, 200 ms: no one packs more."""


class _Waveform:
    """What the two have in common: a context of FFmpeg, and concealment by repetition."""

    def __init__(self, name: str) -> None:
        context: Any = av.CodecContext.create(name, "r")
        self._context = context
        self._context.sample_rate = SAMPLE_RATE
        self._context.thread_count = 1
        self._repetition = Repetition(SAMPLE_RATE)

    def recoverable(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`: no forward error correction on this way."""
        return 0

    def recover(self, payload: bytes, samples: int) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`: no forward error correction on this way."""
        return None

    def conceal(self, samples: int) -> Samples:
        """See :class:`signaling.codecs.Decoder`."""
        return self._repetition.make(samples)

    def _frames(self, payload: bytes) -> list[Any]:
        try:
            return list(self._context.decode(av.Packet(payload)))
        except (av.error.FFmpegError, ValueError, EOFError):
            return []


class G722Decoder(_Waveform):
    """See :class:`signaling.codecs.Decoder`."""

    clock_rate = 8_000
    joins = True
    """See :class:`signaling.codecs.Decoder`."""

    def __init__(self) -> None:
        super().__init__("g722")

    def duration(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`. A byte is two samples and one tick (RFC 3551 §4.5.2)."""
        return len(payload) if len(payload) <= MAX_G722_PAYLOAD else 0

    def decode(self, payload: bytes) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`."""
        pieces = [frame.to_ndarray().reshape(-1) for frame in self._frames(payload)]
        if not pieces:
            return None
        return self._repetition.heard(np.asarray(np.concatenate(pieces) / 32768, np.float32))


class PyAvOpusDecoder(_Waveform):
    """See :class:`signaling.codecs.Decoder`."""

    clock_rate = 48_000
    joins = False
    """See :class:`signaling.codecs.Decoder`."""

    def __init__(self) -> None:
        super().__init__("libopus")
        self._context.layout = "mono"
        self._resampler = MonoResampler()
        self._rest: Samples = np.empty(0, np.float32)
        self._begun = False

    def duration(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`."""
        return opus_packet.duration(payload)

    def decode(self, payload: bytes) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`."""
        pieces = [self._resampler.push(frame) for frame in self._frames(payload)]
        if not pieces:
            return None
        samples = np.concatenate([self._rest, *pieces])
        wanted = opus_packet.duration(payload) // 3
        if len(samples) < wanted:  # the resampler's filter fills at the begin
            samples = np.concatenate([np.zeros(wanted - len(samples), np.float32), samples])
        self._rest = samples[wanted:]
        return self._repetition.heard(samples[:wanted].clip(-1.0, 1.0))
