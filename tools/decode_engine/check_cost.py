"""What a check of a draft costs beside a decode: true Whisper shapes, random weights, CPU time. Cost only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench.shapes import WORDS_SAID, default_folder, model_folder
from rtc_stt.config import ContextPolicy
from rtc_stt.engines.batching import context_frames
from rtc_stt.engines.model import Model

__all__ = ["measure"]

SHAPES = ("base", "small", "medium")
AUDIO_S = 3.0
BEAM = 5
ROUNDS = 5


def measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    """CPU-ms on top of the encoder, medians; ``limit``: rounds."""
    return {
        "what": f"{AUDIO_S:g} s, {WORDS_SAID} tokens, int8, one thread, padded; random weights: cost only",
        "shapes": {shape: _shape(shape, limit or ROUNDS, done) for shape in SHAPES},
    }


def _shape(shape: str, rounds: int, done: Callable[[], object]) -> dict[str, float]:
    path = model_folder(default_folder(), shape)
    model = Model(path, shape, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
    audio = np.random.default_rng(1).normal(0, 0.05, round(AUDIO_S * SAMPLE_RATE)).astype(np.float32)
    mel = model.features(audio)
    frames = context_frames(mel.shape[1], ContextPolicy.PADDED, model.n_mels)
    prompt = [*model.tokenizers["en"].sot_sequence, model.tokenizers["en"].no_timestamps]
    encoded = model.encode([mel], frames)
    said = model.generate(encoded, [0], [prompt], 1, WORDS_SAID + 1)[0].sequences_ids[0]
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: model.encode([mel], frames),
        "check": lambda: model.align(encoded, [0], [said], [mel.shape[1]], "en"),
        "decode_greedy": lambda: model.generate(encoded, [0], [prompt], 1, len(said) + 1),
        f"decode_beam_{BEAM}": lambda: model.generate(encoded, [0], [prompt], BEAM, len(said) + 1),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():  # in turn, so that what else the machine does falls on all
            begun = time.process_time()
            call()
            taken[name].append(1000 * (time.process_time() - begun))
        done()
    median = {name: round(statistics.median(ms), 1) for name, ms in taken.items()}
    whole_check = median["encode"] + median["check"]
    whole_decode = median["encode"] + median[f"decode_beam_{BEAM}"]
    return {
        "tokens": len(said),
        **{f"{name}_cpu_ms": ms for name, ms in median.items()},
        "check_to_decode": round(median["check"] / median[f"decode_beam_{BEAM}"], 3),
        "check_to_decode_with_encoder": round(whole_check / whole_decode, 3),
    }
