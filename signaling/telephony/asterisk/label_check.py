"""Whether what AudioSocket labels signed linear is that. Pure.

``Dial(AudioSocket/…/c(ulaw))`` makes Asterisk send µ-law under the label of 8 kHz signed linear, and
without ``c()`` it may be whatever the caller's telephone speaks: nothing in the protocol says so. A wrong
reading gives itself away: every other byte becomes the upper half of a sample, so that the outcome is near
full scale and jumps from sample to sample, while speech that is read rightly is quiet and smooth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.companding import expand

__all__ = ["MAX_HELD", "MAX_HELD_BYTES", "LabelCheck", "vote"]

MAX_HELD, MAX_HELD_BYTES = 50, 8_000
"""Frames, and bytes, that are held where nothing in them says what they are: half a second to a second. Each
costs some 50 µs to look at."""

ENOUGH = 3
"""Frames by which one reading has to lead: 60 ms."""

LOUD = 0.25
"""Level and roughness, of full scale, of a reading that is wrong: far above all that is said."""

LIKELY = 0.4
"""Of the right reading, at most. A fax tone at full scale is over it in every reading."""

RATIO = 0.5
"""By how much a reading has to be better than the one that is stated."""

QUIET = 0.004
"""Below that a frame says nothing: µ-law's silence, FF, is a silence of signed linear too."""


def _linear(payload: bytes) -> Samples:
    return np.frombuffer(payload[: len(payload) & ~1], "<i2").astype(np.float32) / np.float32(32768)


_READINGS: Mapping[str, Callable[[bytes], Samples]] = {
    "pcm_s16le": _linear,
    "mulaw": lambda payload: expand(payload, "mulaw"),
    "alaw": lambda payload: expand(payload, "alaw"),
}


def _unlikeliness(samples: Samples) -> float:
    """How little it is like speech: its level and its roughness, as parts of full scale."""
    if len(samples) < 2:
        return 0.0
    level = np.sqrt(np.mean(np.square(samples)))
    return float(level + np.sqrt(np.mean(np.square(np.diff(samples)))))


def vote(payload: bytes) -> str | None:
    """What one frame is, as an encoding of :mod:`signaling.audio_format`; None: it does not say."""
    found = {encoding: _unlikeliness(read(payload)) for encoding, read in _READINGS.items()}
    stated = found["pcm_s16le"]
    best = min("mulaw", "alaw", key=found.__getitem__)
    if max(stated, found[best]) < QUIET:
        return None
    if stated < RATIO * found[best]:
        return "pcm_s16le"
    if stated > LOUD and found[best] < min(LIKELY, RATIO * stated):
        return best
    return None


class LabelCheck:
    """Holds the first frames until it is known what they are; costs nothing from then on."""

    def __init__(self) -> None:
        self.encoding: str | None = None
        """What it is; None: not yet known."""
        self._votes = dict.fromkeys(_READINGS, 0)
        self._held: list[bytes] = []
        self._held_bytes = 0

    def take(self, payload: bytes) -> list[bytes]:
        """One frame; gives those that can be read now, in order, all as :attr:`encoding`."""
        if self.encoding is not None:
            return [payload]
        self._held.append(payload)
        self._held_bytes += len(payload)
        if voted := vote(payload):
            self._votes[voted] += 1
        first, second = sorted(self._votes.values(), reverse=True)[:2]
        is_full = len(self._held) >= MAX_HELD or self._held_bytes > MAX_HELD_BYTES
        if first - second >= ENOUGH or is_full:
            return self.flush()
        return []

    def flush(self) -> list[bytes]:
        """Decide now, for what is stated where nothing speaks against it."""
        if self.encoding is None:
            self.encoding = max(_READINGS, key=self._votes.__getitem__)
        held, self._held = self._held, []
        return held
