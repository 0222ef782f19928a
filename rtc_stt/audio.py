"""Audio as the core sees it: float32 mono at 16 kHz, addressed by sample count.

A position on the **media timeline** is a number of samples since the stream began. It is the only clock
that endpointing and timestamps know, so a stream replayed from a file behaves exactly as it did live.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "SAMPLE_RATE",
    "WINDOW",
    "AudioBuffer",
    "AudioFrame",
    "Origin",
    "Samples",
    "Windower",
    "ms_to_samples",
    "samples_to_ms",
]

Samples = npt.NDArray[np.float32]
"""Mono samples in [-1, 1], shape ``(n,)``."""

SAMPLE_RATE = 16_000
"""Samples per second. Whisper and Silero both want 16 kHz."""

WINDOW = 512
"""Samples in one frame (32 ms): what Silero VAD judges at once, and so the grain of all decisions."""


class Origin(enum.StrEnum):
    """Where a piece of audio comes from: a transcript over a hole should not look sure of itself."""

    RECEIVED = "received"
    """From the speaker; also what forward error correction has recovered."""
    CONCEALED = "concealed"
    """Made up by the codec in place of a packet that did not come."""
    LOST = "lost"
    """Silence in place of audio that nobody knows."""


def ms_to_samples(ms: float) -> int:
    """The number of samples in ``ms`` milliseconds, rounded."""
    return round(ms * SAMPLE_RATE / 1000)


def samples_to_ms(samples: int) -> int:
    """Milliseconds of media time, rounded to the nearest integer (what events carry)."""
    return round(samples * 1000 / SAMPLE_RATE)


@dataclass(slots=True, init=False)
class AudioFrame:
    """One window of audio on the media timeline. Nobody changes it; it is not frozen, for a frozen
    one takes several times as long to make, and there are thousands of them a second. So does one whose
    constructor is generated, where this module is compiled."""

    start: int
    """Position of the first sample."""
    samples: Samples
    """``WINDOW`` samples; fewer only in the last frame of a stream."""
    concealed: int
    """How many of them the codec made up."""
    lost: int
    """How many of them stand in for audio that nobody knows."""
    paused: bool
    """All of it is silence that the sender meant."""

    def __init__(
        self, start: int, samples: Samples, concealed: int = 0, lost: int = 0, paused: bool = False
    ) -> None:
        self.start = start
        self.samples = samples
        self.concealed = concealed
        self.lost = lost
        self.paused = paused

    @property
    def end(self) -> int:
        """Position just after the last sample."""
        return self.start + len(self.samples)

    @property
    def is_lost(self) -> bool:
        """Whether none of it is known."""
        return 0 < self.lost == len(self.samples)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it for a detector to judge."""
        return self.paused or self.is_lost


class Windower:
    """Cuts chunks of any length into frames of ``WINDOW`` samples.

    What comes out depends on the samples and their origins alone and not on how they were chunked.

    Args:
        position: of the first sample that will come.
    """

    def __init__(self, position: int = 0) -> None:
        self._position = position
        # One window is filled in place: most chunks are shorter than one, and there are many of them.
        self._window: Samples = np.empty(WINDOW, np.float32)
        self._filled = 0
        self._concealed = self._lost = 0  # of those that are filled

    @property
    def received(self) -> int:
        """Samples received so far, those still waiting for their window included."""
        return self._position + self._filled

    @property
    def waiting(self) -> int:
        """Those that wait for the others of their window."""
        return self._filled

    def push(self, chunk: Samples, origin: Origin = Origin.RECEIVED) -> list[AudioFrame]:
        """Take a chunk, shape ``(n,)``, all of one origin, and give the frames that it completes."""
        frames: list[AudioFrame] = []
        taken, size = 0, len(chunk)
        while taken < size:
            count = min(WINDOW - self._filled, size - taken)
            self._window[self._filled : self._filled + count] = chunk[taken : taken + count]
            self._filled += count
            taken += count
            if origin is Origin.CONCEALED:
                self._concealed += count
            elif origin is Origin.LOST:
                self._lost += count
            if self._filled == WINDOW:
                frames.append(self._frame())
        return frames

    def skip(self, windows: int) -> int:
        """Let whole windows pass that nobody has heard; gives the position of the first.

        Only where no samples wait for their window.
        """
        assert not self._filled, "a frame is whole before others are left out"
        start = self._position
        self._position += windows * WINDOW
        return start

    def flush(self) -> AudioFrame | None:
        """The samples that no full window holds, as a short last frame."""
        return self._frame() if self._filled else None

    def _frame(self) -> AudioFrame:
        """What is filled; the next one gets memory of its own."""
        frame = AudioFrame(self._position, self._window[: self._filled], self._concealed, self._lost)
        self._position += self._filled
        self._window = np.empty(WINDOW, np.float32)
        self._filled = self._concealed = self._lost = 0
        return frame


class AudioBuffer:
    """The part of a stream that may still be decoded, addressed by media position.

    Owned by one recognizer. Appending and trimming are amortised O(1): what is forgotten at the front is
    made room of only where the end is reached.

    Args:
        position: of the first sample that will come.
    """

    def __init__(self, position: int = 0) -> None:
        self._data: Samples = np.empty(SAMPLE_RATE * 4, np.float32)
        self._start = position  # media position of the oldest sample held …
        self._first = 0  # … and where it is in the data
        self._length = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample still held."""
        return self._start

    @property
    def end(self) -> int:
        """Position just after the newest sample."""
        return self._start + self._length

    def append(self, frame: AudioFrame) -> None:
        """Add the frame that follows what is held."""
        assert frame.start == self.end, "frames come in order and without a gap"
        size = len(frame.samples)
        if self._first + self._length + size > len(self._data):
            self._move(size)
        at = self._first + self._length
        self._data[at : at + size] = frame.samples
        self._length += size

    def slice(self, start: int, end: int) -> Samples:
        """A copy of ``[start, end)``, clipped to what is held."""
        first = max(start, self._start) - self._start + self._first
        last = min(end, self.end) - self._start + self._first
        return self._data[first : max(first, last)].copy()

    def trim(self, start: int) -> None:
        """Forget everything before ``start``, and give memory back after a long utterance."""
        drop = min(max(0, start - self._start), self._length)
        if not drop:
            return
        self._start += drop
        self._first += drop
        self._length -= drop
        if len(self._data) > 8 * max(self._length, SAMPLE_RATE):
            self._move(2 * SAMPLE_RATE)

    def release(self) -> None:
        """The stream is over: forget all of it, and give its memory back."""
        self._start, self._first, self._length = self.end, 0, 0
        self._data = np.empty(0, np.float32)

    def _move(self, room: int) -> None:
        """To the front: of memory that is as large as it has to be with ``room`` behind, and twice that."""
        held = self._data[self._first : self._first + self._length]
        wanted = 2 * (self._length + room)
        if wanted > len(self._data) or len(self._data) > 8 * max(self._length, SAMPLE_RATE):
            self._data = np.empty(max(wanted, 4 * SAMPLE_RATE), np.float32)
        self._data[: self._length] = held
        self._first = 0
