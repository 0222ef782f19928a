"""What a telephone line leaves of a voice. Pure arithmetic on float32 samples at 16 kHz, shape ``(n,)``."""

from __future__ import annotations

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["filter_length", "resample", "telephone"]

# FFT lengths are rounded up to these: numpy's FFT is slow at lengths with large prime factors.
_RESAMPLE_BLOCK = 1 << 12
_FILTER_BLOCK = 1 << 11


def resample(samples: Samples, rate_in: float, rate_out: float) -> Samples:
    """Band-limited resampling in the frequency domain."""
    length_in = -(-len(samples) // _RESAMPLE_BLOCK) * _RESAMPLE_BLOCK
    length_out = round(length_in * rate_out / rate_in / 16) * 16
    spectrum = np.fft.rfft(samples, length_in)
    stretched = np.zeros(length_out // 2 + 1, spectrum.dtype)
    shared = min(len(spectrum), len(stretched))
    stretched[:shared] = spectrum[:shared]
    out = np.fft.irfft(stretched, length_out) * (length_out / length_in)
    return out[: int(len(samples) * rate_out / rate_in)].astype(np.float32)


def filter_length(length: int) -> int:
    """The next length from here on at which an FFT is fast."""
    return -(-length // _FILTER_BLOCK) * _FILTER_BLOCK


def telephone(samples: Samples, *, narrow: bool = True) -> Samples:
    """The 300 to 3,400 Hz band and eight-bit mu-law (ITU-T G.711) of a telephone line.

    A line's rate is 8 kHz, so it carries nothing from 4 kHz on, its quantisation noise neither.
    Without ``narrow`` that noise fills the whole band: no real line does so, it is there for variety.
    """
    length = filter_length(len(samples))
    spectrum = np.fft.rfft(samples, length)
    frequency = np.arange(len(spectrum)) * SAMPLE_RATE / length
    spectrum *= 1 / (1 + (250 / np.maximum(frequency, 1)) ** 6) / (1 + (frequency / 3500) ** 20)
    band = np.clip(np.fft.irfft(spectrum, length)[: len(samples)], -1, 1).astype(np.float32)
    line_rate = SAMPLE_RATE / 2
    if narrow:
        band = resample(band, SAMPLE_RATE, line_rate)
    companded = np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256)
    steps = np.round(companded * 127) / 127
    heard = (np.sign(steps) * (256 ** np.abs(steps) - 1) / 255).astype(np.float32)
    if narrow:
        heard = resample(heard, line_rate, SAMPLE_RATE)
    return np.pad(heard, (0, max(0, len(samples) - len(heard))))[: len(samples)]
