"""Encode and generate, and nothing else: what the calls of a decode cost by batch and length."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import ctranslate2
import numpy as np

from rtc_stt.bench.shapes import MELS

__all__ = ["FRAMES_PER_SECOND", "Kernel", "repeat", "typical"]

FRAMES_PER_SECOND = 100
MAX_LENGTH = 448
"""Positions of Whisper's decoder; the model stops long before."""


class Kernel:
    """A model of :mod:`rtc_stt.bench.shapes` without features, tokenizer and words."""

    def __init__(self, folder: Path, *, device: str = "cpu", compute_type: str = "int8") -> None:
        self._model = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type=compute_type, intra_threads=1
        )
        tokens = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
        self._prompt = list(tokens)

    def decode(self, batch: int, seconds: float) -> int:
        """Decode ``batch`` stretches of noise, ``seconds`` each, greedily. Returns the tokens of one."""
        frames = round(seconds * FRAMES_PER_SECOND)
        if frames // 2 == MELS:
            frames += 2  # CTranslate2 (4.8) would take the encoder's output for a spectrogram
        mel = np.random.default_rng(1).standard_normal((batch, MELS, frames), np.float32)
        encoded = self._model.encode(ctranslate2.StorageView.from_array(mel))
        results = self._model.generate(
            encoded, [self._prompt] * batch, beam_size=1, max_length=MAX_LENGTH, return_scores=True
        )
        return len(results[0].sequences_ids[0])


def repeat(
    call: Callable[[], object], times: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Milliseconds of each call by this clock, after one that does not count."""
    call()
    taken = []
    for _ in range(times):
        begun = clock()
        call()
        taken.append((clock() - begun) * 1000)
    return taken


def typical(milliseconds: list[float]) -> float:
    """The median, to a tenth of a millisecond."""
    return round(median(milliseconds), 1)
