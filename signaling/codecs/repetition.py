"""Concealment for codecs that have none: the last pitch periods again, fading. Pure.

After the idea of ITU-T G.711 Appendix I: repeat at the lag at which the signal resembles itself most.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from rtc_stt.audio import Samples

__all__ = ["Repetition"]

FADE_S = 0.06
"""From full to silent: longer it would hum."""

_SHORTEST_S, _LONGEST_S = 0.0025, 0.015
"""Pitch periods of 400 to 66 Hz."""

_COMPARED_S = 0.01
JOIN_S = 0.0025
"""The concealment flows into the audio behind it in this time."""


class Repetition:
    """Remembers the last audio of a stream.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._keep = round((_LONGEST_S + _COMPARED_S) * rate)
        self._pieces: deque[Samples] = deque([np.zeros(self._keep, np.float32)])
        """The last audio, ``_keep`` samples or a little more: joined only where some is lost."""
        self._held = self._keep
        self._period: Samples | None = None
        self._made = 0
        """Samples made up since the last that were heard."""

    def heard(self, samples: Samples) -> Samples:
        """Take decoded audio; what is to be played of it: after a concealment its begin is blended."""
        if self._made and len(samples):
            size = min(round(JOIN_S * self._rate), len(samples))
            rise = np.arange(1, size + 1, dtype=np.float32) / size
            samples = samples.copy()
            samples[:size] = samples[:size] * rise + self.make(size) * (1 - rise)
        self._made, self._period = 0, None
        if size := len(samples):
            self._pieces.append(samples)
            self._held += size
            while self._held - len(self._pieces[0]) >= self._keep:
                self._held -= len(self._pieces.popleft())
        return samples

    def make(self, count: int) -> Samples:
        """``count`` samples in place of what did not come, shape ``(count,)``."""
        if self._period is None:
            last = np.concatenate(self._pieces)[-self._keep :]
            self._period = last[-self._lag(last) :]
        positions = np.arange(self._made, self._made + count)
        gain = np.clip(1.0 - positions / (FADE_S * self._rate), 0.0, 1.0).astype(np.float32)
        self._made += count
        return np.asarray(self._period[positions % len(self._period)] * gain, np.float32)

    def _lag(self, last: Samples) -> int:
        """The lag at which the end of it resembles the rest most, by normalised correlation."""
        compared = round(_COMPARED_S * self._rate)
        shortest = round(_SHORTEST_S * self._rate)
        end = last[-compared:]
        before = last[: self._keep - shortest]
        products = np.correlate(before, end, "valid")
        squares = np.concatenate([np.zeros(1), np.cumsum(before.astype(np.float64) ** 2)])
        energies = squares[compared:] - squares[:-compared]
        best = int(np.argmax(products / np.sqrt(energies + 1e-9)))
        return self._keep - compared - best
