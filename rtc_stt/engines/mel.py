"""The log-mel spectrogram that Whisper hears. Pure numpy.

The same numbers as :class:`faster_whisper.feature_extractor.FeatureExtractor` gives, sooner: a partial is
decoded several times a second for each speaker, and this is most of what Python has to do for it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import Samples

__all__ = ["LogMel", "Mel"]

Mel = npt.NDArray[np.float32]
"""Log-mel spectrogram, shape ``(n_mels, frames)``, 100 frames a second."""

SIZE = 400
"""Samples in the Fourier transform: 25 ms."""

HOP = 160
"""Samples from one frame to the next: 10 ms."""

SLICE = 64
"""Frames at a time: 100 kB, which stay in a core's cache. Larger arrays are memory that the system has to
give, and to clear, anew each time."""

FLOOR = 1e-10
RANGE = 8.0
"""What is that many decades below the loudest is as silent as it."""


class LogMel:
    """See above.

    Args:
        filters: of the model, shape ``(n_mels, SIZE / 2 + 1)``.
    """

    def __init__(self, filters: npt.ArrayLike) -> None:
        rows = np.asarray(filters, np.float32).T
        # One row for the real and one for the imaginary part: their squares are added by the product.
        self._filters = np.ascontiguousarray(np.repeat(rows, 2, axis=0))
        self._taper = np.asarray(np.hanning(SIZE + 1)[:-1], np.float32)

    def __call__(self, audio: Samples) -> Mel:
        """Of 16 kHz audio, shape ``(n,)``: shape ``(n_mels, n // HOP)``."""
        count = 1 + len(audio) // HOP  # the last one is heard by the loudest alone, and left out
        padded = _pad(audio)
        (step,) = padded.strides
        frames = np.ndarray((count, SIZE), np.float32, padded, 0, (HOP * step, step))
        mel = np.empty((count, self._filters.shape[1]), np.float32)
        for first in range(0, count, SLICE):
            spectra = np.asarray(np.fft.rfft(frames[first : first + SLICE] * self._taper), np.complex64)
            parts = spectra.view(np.float32)
            np.square(parts, out=parts)
            np.matmul(parts, self._filters, out=mel[first : first + SLICE])
        np.log(np.maximum(mel, FLOOR, out=mel), out=mel)
        mel *= np.float32(1 / math.log(10))
        np.maximum(mel, mel.max() - RANGE, out=mel)
        mel += 4.0
        mel *= 0.25
        return np.ascontiguousarray(mel[:-1].T)


def _pad(audio: Samples) -> Samples:
    """A hop of silence behind it, and half a transform, mirrored, on either side."""
    half, end = SIZE // 2, len(audio) + HOP
    if end <= half:
        silent = np.pad(np.asarray(audio, np.float32), (0, HOP))
        return np.asarray(np.pad(silent, half, mode="reflect"), np.float32)
    padded = np.empty(end + SIZE, np.float32)
    padded[half : half + len(audio)] = audio
    padded[half + len(audio) : half + end] = 0
    padded[:half] = padded[SIZE:half:-1]
    padded[half + end :] = padded[half + end - 2 : end - 2 : -1]
    return padded
