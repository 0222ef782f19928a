"""Latency on a GPU by batch size, audio length, model shape and compute type; **cost only**.

The same code runs on a CPU, in little, so that it is tested where there is no GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2

from rtc_stt.bench import shapes
from rtc_stt.bench.kernel import Kernel, repeat
from rtc_stt.bench.result import Outcome, percentiles

__all__ = ["Plan", "plan_for", "run", "sessions_within", "steps"]

PARTIAL_S = 3.0
PARTIAL_EVERY_MS = 250
LIMITS_MS = (100, 300, 700)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run."""

    device: str
    shapes: Sequence[str]
    compute_types: Sequence[str]
    batches: Sequence[int]
    lengths_s: Sequence[float]
    times: int


def plan_for(device: str, *, quick: bool) -> Plan | None:
    """What to run on this device; None where CTranslate2 sees no GPU and a GPU was asked for."""
    if device == "cuda":
        if not ctranslate2.get_cuda_device_count():
            return None
        few = (1, 8, 64) if quick else (1, 2, 4, 8, 16, 32, 64)
        lengths = (1, 3, 30) if quick else (*range(1, 11), 30)
        return Plan(
            "cuda", ("small", "medium"), ("float16", "int8_float16"), few, lengths, 5 if quick else 20
        )
    if quick:
        return Plan("cpu", ("tiny",), ("int8",), (1, 2), (1, 3), 2)
    return Plan("cpu", ("base", "small"), ("int8",), (1, 2, 4, 8), (1, 3, 10), 3)


def steps(plan: Plan | None) -> int:
    """How many times ``tick`` is called."""
    if plan is None:
        return 0
    return len(plan.shapes) * len(plan.compute_types) * (len(plan.batches) + len(plan.lengths_s))


def run(plan: Plan | None, models: Path, tick: Callable[[], object]) -> Outcome:
    """Wall-clock milliseconds of encode and generate together."""
    if plan is None:
        return Outcome({"status": "waits for a GPU: CTranslate2 sees none here"})
    tables = {
        shape: {
            compute_type: _table(plan, Kernel(folder, device=plan.device, compute_type=compute_type), tick)
            for compute_type in plan.compute_types
        }
        for shape in plan.shapes
        for folder in (shapes.model_folder(models, shape),)
    }
    return Outcome(
        {"status": "measured", "device": plan.device, "words": shapes.WORDS_SAID, "shapes": tables}
    )


def _table(plan: Plan, kernel: Kernel, tick: Callable[[], object]) -> dict[str, Any]:
    def measure(batch: int, seconds: float) -> dict[str, float]:
        taken = repeat(lambda: kernel.decode(batch, seconds), plan.times, time.perf_counter)
        tick()
        return percentiles(taken)

    by_batch = {batch: measure(batch, PARTIAL_S) for batch in plan.batches}
    return {
        "latency_ms_by_batch_size": {str(batch): told for batch, told in by_batch.items()},
        "latency_ms_by_audio_seconds": {str(seconds): measure(1, seconds) for seconds in plan.lengths_s},
        "sessions_by_p95_limit_ms": {
            str(limit): sessions_within({b: told["p95"] for b, told in by_batch.items()}, limit)
            for limit in LIMITS_MS
        },
    }


def sessions_within(latency_ms: Mapping[int, float], limit_ms: float) -> int:
    """Sessions that one lane carries, by the latency of each batch size; 0 where not even one.

    A request that comes just after a batch has begun waits for it and then for its own: twice the latency
    has to be within the limit. A session asks for a partial of 3 s every 250 ms, so a lane that runs batches
    of ``B`` in ``L`` ms carries ``250 / L · B`` of them. Finals are the same work and far rarer; an estimate.
    """
    return max(
        (int(PARTIAL_EVERY_MS / ms * batch) for batch, ms in latency_ms.items() if 2 * ms <= limit_ms),
        default=0,
    )
