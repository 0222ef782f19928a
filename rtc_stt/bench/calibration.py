"""A fixed piece of work like what we do, and how long it takes here and now: the measure of other times.

It must not become faster or slower with anything that we change. So it goes past all of our code: arrays
through numpy, and one decode of a committed clip by plain calls of CTranslate2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import ctranslate2
import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from rtc_stt.audio import Samples
from rtc_stt.demo_models import FAST

__all__ = ["Calibration", "Clock", "Taken", "measure", "now"]

TIMES = 9
"""Of each kind of work in one calibration; the median of them counts."""

SIDE, PRODUCTS = 48, 100
"""So small that no BLAS library gives them to several threads, whose waiting would count as work."""
FRAMES, FRAME = 1_500, 400
"""The windows of 15 s of audio."""

PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
MAX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds of some work."""

    cpu_ms: float
    """Of the whole process, all threads."""
    wall_ms: float


Clock = Callable[[], tuple[float, float]]
"""CPU time of the process and time on the wall, in seconds."""


def now() -> tuple[float, float]:
    """See :data:`Clock`."""
    return time.process_time(), time.perf_counter()


def measure(work: Callable[[], object], times: int, clock: Clock = now) -> Taken:
    """The median of so many times, after once that does not count."""
    work()
    taken = [_once(work, clock) for _ in range(times)]
    return Taken(median(one.cpu_ms for one in taken), median(one.wall_ms for one in taken))


def _once(work: Callable[[], object], clock: Clock) -> Taken:
    cpu, wall = clock()
    work()
    cpu_after, wall_after = clock()
    return Taken(1000 * (cpu_after - cpu), 1000 * (wall_after - wall))


class Calibration:
    """The work, ready to be done. One thread does it, whatever the machine has.

    Args:
        audio: a clip, 16 kHz mono, shape ``(n,)``. Always the same one.
    """

    def __init__(self, audio: Samples) -> None:
        chance = np.random.default_rng(1)
        self._square = chance.standard_normal((SIDE, SIDE)).astype(np.float32)
        self._frames = chance.standard_normal((FRAMES, FRAME)).astype(np.float32)
        self._mel = np.ascontiguousarray(FeatureExtractor()(audio)[None, :, :-1], np.float32)
        self._model = ctranslate2.models.Whisper(
            str(FAST.path), device="cpu", compute_type="int8", intra_threads=1
        )

    def run(self, times: int = TIMES) -> Taken:
        """Do it some times; arrays and decode added up."""
        parts: Sequence[Callable[[], object]] = (self._arrays, self._decode)
        taken = [measure(part, times) for part in parts]
        return Taken(sum(one.cpu_ms for one in taken), sum(one.wall_ms for one in taken))

    def _arrays(self) -> None:
        for _ in range(PRODUCTS):
            self._square @ self._square
        np.abs(np.fft.rfft(self._frames, axis=-1))

    def _decode(self) -> None:
        encoded = self._model.encode(ctranslate2.StorageView.from_array(self._mel))
        self._model.generate(encoded, [list(PROMPT)], beam_size=1, max_length=MAX_LENGTH)
