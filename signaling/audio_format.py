"""What the bytes of a client's audio are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rtc_stt.audio import SAMPLE_RATE

__all__ = ["MAX_RATE", "MIN_RATE", "SAMPLE_BYTES", "AudioFormat"]

SAMPLE_BYTES: Mapping[str, int] = {"pcm_s16le": 2, "mulaw": 1, "alaw": 1}
"""Encodings, and what one sample of one channel takes."""

MIN_RATE, MAX_RATE = 8_000, 48_000


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Samples of the channels by turns."""

    encoding: str
    """One of ``SAMPLE_BYTES``."""
    sample_rate: int
    """In Hz, from :data:`MIN_RATE` to :data:`MAX_RATE`."""
    channels: int
    """1 or 2."""

    @property
    def frame_bytes(self) -> int:
        """Of one sample of every channel."""
        return SAMPLE_BYTES[self.encoding] * self.channels

    @property
    def bytes_per_second(self) -> int:
        """Of its audio."""
        return self.frame_bytes * self.sample_rate

    def position_of(self, count: int) -> int:
        """Media time, in samples at 16 kHz, after so many samples of each channel."""
        return round(count * SAMPLE_RATE / self.sample_rate)

    def count_at(self, position: int) -> int:
        """And back."""
        return round(position * self.sample_rate / SAMPLE_RATE)
