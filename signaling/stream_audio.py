"""Bytes of a WebSocket to 16 kHz mono, in pieces of any length: how they are cut makes no difference."""

from __future__ import annotations

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.companding import expand
from rtc_stt.media import MonoResampler
from rtc_stt.polyphase import Upsampler
from signaling.audio_format import AudioFormat

__all__ = ["PIECE_S", "StreamAudio", "pieces"]

PIECE_S = 0.25
"""What is worked off in one go: well under a millisecond of the loop's time, whatever the format."""

TELEPHONE_RATE = 8_000
"""In Hz. This one has a filter of our own, which takes a seventh of the time of FFmpeg's (`tools.telephony
resample`), and in a call every piece is as short as its packet."""


class StreamAudio:
    """One stream of audio, over all connections that bring it: position and filter go on where they were.

    The filter holds back one or two milliseconds; nothing waits for that.
    """

    def __init__(self, form: AudioFormat, received: int = 0) -> None:
        self.form = form
        self.received = received
        """Samples of each channel so far: where its client goes on after a loss."""
        self._resampler = _resampler(form.sample_rate)

    def push(self, payload: bytes) -> Samples:
        """Take whole frames; gives 16 kHz mono, shape ``(n,)``. Two channels become their mean."""
        form = self.form
        if form.encoding == "pcm_s16le":
            samples = np.frombuffer(payload, "<i2").astype(np.float32) / np.float32(32768)
        else:
            samples = expand(payload, "mulaw" if form.encoding == "mulaw" else "alaw")
        if form.channels == 2:
            samples = samples.reshape(-1, 2).mean(axis=1)
        self.received += len(samples)
        return samples if self._resampler is None or not len(samples) else self._resampler.push(samples)


class _FromTelephone:
    """From 8 kHz, in line with what came in: what the filter is late by is held back."""

    def __init__(self) -> None:
        self._upsampler = Upsampler()
        self._ahead = Upsampler.DELAY

    def push(self, samples: Samples) -> Samples:
        out = self._upsampler.push(samples)
        if self._ahead:
            begun, out = out[: self._ahead], out[self._ahead :]
            self._ahead -= len(begun)
        return out


class _FromOther:
    """From any other rate, by FFmpeg."""

    def __init__(self, rate: int) -> None:
        self._resampler, self._rate = MonoResampler(), rate

    def push(self, samples: Samples) -> Samples:
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = self._rate
        return self._resampler.push(frame)


def _resampler(rate: int) -> _FromTelephone | _FromOther | None:
    if rate == SAMPLE_RATE:
        return None
    return _FromTelephone() if rate == TELEPHONE_RATE else _FromOther(rate)


def pieces(form: AudioFormat, data: bytes) -> tuple[list[bytes], bytes]:
    """Cut bytes into pieces of whole frames, ``PIECE_S`` at most; and what is left, a broken frame."""
    size = form.frame_bytes * int(form.sample_rate * PIECE_S)
    whole = len(data) - len(data) % form.frame_bytes
    return [data[start : min(start + size, whole)] for start in range(0, whole, size)], data[whole:]
