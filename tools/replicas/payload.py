"""How audio goes to a replica: float32, int16 or log-mel. Bytes, CPU time on both sides, the same words."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench import clips
from rtc_stt.engines.model import Model
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.replicas.payload import Batch, read_batch, write_batch
from tools.replicas.serve import demo_engine

__all__ = ["HELP", "add_arguments", "measure", "same_words"]

HELP = "bytes and CPU time of a request as float32, int16 and log-mel, and whether int16 says the same"

SECONDS = (1, 6, 28)
GAIN = np.float32(0.37)
"""What was int16 is no more after it: as audio that a resampler made."""

MOST_DIFFER = 0.02
"""Of those. A tiny model in doubt says something else after any rounding, and was wrong before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument("--rounds", type=int, default=50, help="calls of each kind (default: 50)")
    parser.add_argument("--clips", type=int, help="of each set whose words are compared (default: all)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See above."""
    words = same_words(options.clips)
    as_recorded, scaled = words["as_recorded"], words["scaled"]
    return {
        "what": "median CPU-ms of writing and of reading one request; both ways end at a log-mel of 80 bins",
        "lengths": {f"{seconds}_s": _costs(seconds, options.rounds) for seconds in SECONDS},
        "words": words,
        "marks": {
            "recordings in int16: the words of float32": {
                "met": as_recorded["differ"] == 0,
                "value": as_recorded["differ"],
                "at_most": 0,
            },
            "made of floats: other words of so many": {
                "met": scaled["differ"] <= MOST_DIFFER * scaled["requests"],
                "value": scaled["differ"],
                "at_most": round(MOST_DIFFER * scaled["requests"], 1),
            },
        },
    }


def same_words(limit: int | None = None) -> dict[str, dict[str, int]]:
    """Texts that int16 changes, and how many were compared: each clip as it is, and as no int16 ever was."""
    engine = demo_engine(Tier.FAST, 1)
    counts = {name: {"requests": 0, "differ": 0} for name in ("as_recorded", "scaled")}
    for clip in clips.load(limit=limit):
        audio = clip.audio()
        for name, heard in (("as_recorded", audio), ("scaled", audio * GAIN)):
            request = _request(heard)
            [arrived] = read_batch(write_batch(Batch(1, (request,))), 1).requests
            counts[name]["differ"] += _text(engine.decode(request)) != _text(engine.decode(arrived))
            counts[name]["requests"] += 1
    return counts


def _text(answer: Hypothesis) -> tuple[str, str]:
    return answer.language, answer.text


def _request(audio: Samples) -> DecodeRequest:
    return DecodeRequest("s", 1, 1, Tier.FAST, Urgency.FINAL, audio, 0)


def _costs(seconds: int, rounds: int) -> dict[str, dict[str, float]]:
    audio = np.random.default_rng(1).normal(0, 0.05, seconds * SAMPLE_RATE).astype(np.float32)
    model = Model(
        demo_models.FAST.path, "demo", device="cpu", compute_type="int8", cpu_threads=1, num_workers=1
    )
    batch = Batch(1, (_request(audio),))
    ways: dict[str, tuple[Callable[[], bytes], Callable[[bytes], object]]] = {
        "float32": (audio.tobytes, lambda data: model.features(np.frombuffer(data, np.float32))),
        "int16": (
            lambda: write_batch(batch),
            lambda data: model.features(read_batch(data, 1).requests[0].audio),
        ),
        "log_mel_float32": (lambda: model.features(audio).tobytes(), _mel(np.float32)),
        "log_mel_float16": (lambda: model.features(audio).astype(np.float16).tobytes(), _mel(np.float16)),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    sizes = {name: len(write()) for name, (write, _) in ways.items()}
    for _ in range(rounds):
        for name, (write, read) in ways.items():  # in turn, so that what else the machine does falls on all
            taken[name].append(_timed(write, read))
    return {
        name: {
            "bytes": sizes[name],
            "gateway_cpu_ms": round(statistics.median(wrote for wrote, _ in ms), 3),
            "replica_cpu_ms": round(statistics.median(read for _, read in ms), 3),
        }
        for name, ms in taken.items()
    }


def _mel(kind: Any) -> Callable[[bytes], object]:
    return lambda data: np.frombuffer(data, kind).astype(np.float32)


def _timed(write: Callable[[], bytes], read: Callable[[bytes], object]) -> tuple[float, float]:
    begun = time.thread_time()
    data = write()
    written = time.thread_time()
    read(data)
    return 1000 * (written - begun), 1000 * (time.thread_time() - written)
