"""What a partial costs: CPU time of ours against that of ``faster_whisper.WhisperModel.transcribe``.

``python -m rtc_stt.bench.cost`` is the worker: a process of its own, so that the thread limits of the BLAS
libraries hold from the first import on, and nothing else runs in the process whose CPU time is taken. It
prints a JSON object a line: ``{"done": …}`` for each step, and at the end the result.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench import shapes
from rtc_stt.bench.kernel import Kernel, repeat, typical
from rtc_stt.bench.result import Mark, Outcome
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.errors import ModelError
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency

__all__ = ["marks", "measure", "run", "steps"]

PARTIAL_S = 3.0
SESSIONS = 8
BATCHES = (1, 2, 4, 8, 16)
LENGTHS_S = (1, 2, 3, 5, 10, 30)
_POLICIES = (ContextPolicy.PADDED, ContextPolicy.TIGHT)


def steps(rounds: int) -> int:
    """How many times ``tick`` is called."""
    return rounds + len(BATCHES) + len(LENGTHS_S)


def run(models: Path, *, shape: str, rounds: int, tick: Callable[[], object]) -> Outcome:
    """Measure in a process of its own.

    Raises:
        ModelError: the process failed; its last words are in the message.
    """
    command = [sys.executable, "-m", "rtc_stt.bench.cost", "--rounds", str(rounds)]
    command += ["--model", str(shapes.model_folder(models, shape))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    figures: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(  # noqa: S603 - this very module
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as worker,
    ):
        assert worker.stdout
        for line in worker.stdout:
            told = json.loads(line)
            if "done" in told:
                tick()
            else:
                figures = told
        worker.wait()
        errors.seek(0)
        complaint = errors.read().strip()
    if worker.returncode or not figures:
        last = complaint.splitlines()[-1:] or [f"exit code {worker.returncode}"]
        raise ModelError(f"the cost of decoding could not be measured: {last[0]}")
    return Outcome({"shape": shape, **figures}, marks(figures))


def marks(figures: dict[str, Any]) -> tuple[Mark, ...]:
    """Of the default context policy, which suits any weights; ``tight`` is cheaper still."""
    ratios = figures["padded"]["ratio_to_faster_whisper"]
    return (
        Mark("one_session_cpu_ratio", ratios["one_session"], 0.25),
        Mark("eight_sessions_cpu_ratio_per_partial", ratios["eight_sessions"], 0.10),
    )


def measure(model: Path, rounds: int, tick: Callable[[], object]) -> dict[str, Any]:
    """All figures of this part, in CPU milliseconds of the whole process.

    Args:
        model: a folder made by :mod:`rtc_stt.bench.shapes`.
    """
    return _compare(model, rounds, tick) | {"tables_cpu_ms": _tables(model, rounds, tick)}


def _compare(model: Path, rounds: int, tick: Callable[[], object]) -> dict[str, Any]:
    audio, one = _noise(PARTIAL_S), [0]
    eight = list(range(SESSIONS))
    peer = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1)
    engines = {str(policy): _engine(model, policy) for policy in _POLICIES}
    calls: dict[str, Callable[[], object]] = {"peer": partial(_transcribe, peer, audio)}
    for name, engine in engines.items():
        calls[f"{name} one"] = partial(_decode, engine, audio, one)
        calls[f"{name} eight"] = partial(_decode, engine, audio, eight)
    taken = _alternate(calls, rounds, tick)
    whole = typical(taken["peer"])
    figures: dict[str, Any] = {
        "partial_s": PARTIAL_S,
        "rounds": rounds,
        "faster_whisper": {"tokens": len(_transcribe(peer, audio)), "cpu_ms": whole},
    }
    for name, engine in engines.items():
        alone, together = typical(taken[f"{name} one"]), typical(taken[f"{name} eight"]) / SESSIONS
        figures[name] = {
            "tokens": _decode(engine, audio, one)[0].tokens,
            "one_session_cpu_ms": alone,
            "eight_sessions_cpu_ms_per_partial": round(together, 1),
            "ratio_to_faster_whisper": {
                "one_session": round(alone / whole, 4),
                "eight_sessions": round(together / whole, 4),
            },
        }
    return figures


def _engine(model: Path, policy: ContextPolicy) -> WhisperEngine:
    return WhisperEngine(model, device="cpu", compute_type="int8", cpu_threads=1, context_policy=policy)


def _alternate(
    calls: dict[str, Callable[[], object]], rounds: int, tick: Callable[[], object]
) -> dict[str, list[float]]:
    """A B A B …: what the machine does beside us falls on all alike."""
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            taken[name].append((time.process_time() - begun) * 1000)
        tick()
    return taken


def _tables(model: Path, rounds: int, tick: Callable[[], object]) -> dict[str, Any]:
    """Encode and generate alone, real length, greedy."""
    kernel, times = Kernel(model), max(2, rounds // 2)
    by_batch: dict[str, float] = {}
    for batch in BATCHES:
        taken = repeat(partial(kernel.decode, batch, PARTIAL_S), times)
        by_batch[str(batch)] = round(typical(taken) / batch, 1)
        tick()
    by_length: dict[str, float] = {}
    for seconds in LENGTHS_S:
        taken = repeat(partial(kernel.decode, 1, seconds), times)
        by_length[str(seconds)] = typical(taken)
        tick()
    return {"per_request_by_batch_size": by_batch, "by_audio_seconds": by_length}


def _transcribe(model: WhisperModel, audio: Samples) -> list[int]:
    """As lean as it can be asked: greedy, once, no timestamps, no detection of anything."""
    segments, _ = model.transcribe(
        audio,
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        vad_filter=False,
    )
    return [token for segment in segments for token in segment.tokens]


def _decode(engine: WhisperEngine, audio: Samples, sessions: list[int]) -> list[Any]:
    """The partials of so many sessions that ask at the same time."""
    requests = [_request(audio, number) for number in sessions]
    return list(engine.decode_batch(requests))


def _request(audio: Samples, session: int) -> DecodeRequest:
    return DecodeRequest(str(session), 1, 1, Tier.FAST, Urgency.PARTIAL, audio, 0, language="en")


def _noise(seconds: float) -> Samples:
    return np.random.default_rng(1).standard_normal(round(seconds * SAMPLE_RATE), np.float32) * np.float32(
        0.1
    )


def main() -> int:
    """The worker."""
    parser = argparse.ArgumentParser(prog="python -m rtc_stt.bench.cost")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    result = measure(options.model, options.rounds, lambda: print('{"done": 1}', flush=True))
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
