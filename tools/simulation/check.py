"""What speakers really wait for at several loads, and what the simulation says of the same.

Everything real is in one process: sessions, detector, pool, and a model of true Whisper shape. Measured
beforehand are the service times and how people speak: how long the clips are, and how often a pause in one
begins a final that is taken back. From these alone the simulation has to find what comes out at each load.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.bench import clips as recordings
from rtc_stt.bench import shapes, times
from rtc_stt.bench.live import CORES, PAUSE_S, Spoken, on_cores, read, speak_for
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.voice import Voice, latencies
from rtc_stt.cli.common import load_engines, small_model
from rtc_stt.cli.demo import DEMO_VALUES, demo_speech
from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.session import Speech
from rtc_stt.simulation import Manner, Setting, simulate
from rtc_stt.simulation.service_times import MachineTimes, read_times

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "p95 of real runs at several loads against that of the simulation"

NEAR = 0.15
"""By so much, as a share of the real p95, the simulated one may be off."""

SIMULATED_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--loads", default="4,8,12", help="numbers of sessions (default: 4,8,12)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each real run (default: 60)")
    parser.add_argument("--shape", default="base", choices=sorted(shapes.SHAPES), help="(default: base)")
    parser.add_argument("--words", type=int, default=8, help="that the model says (default: 8)")
    parser.add_argument("--concurrency", type=int, default=1, help="calls at a time (default: 1)")
    parser.add_argument("--models", type=Path, default=shapes.default_folder())


@dataclass
class _Watch(Instrument):
    """Sees what each decode takes from its request to its answer."""

    partials: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    queued: dict[tuple[str, int, int, Tier], float] = field(default_factory=dict)

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        """See :class:`Instrument`."""
        self.queued[request.key] = queued_s

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """See :class:`Instrument`."""
        waits = self.partials if answer.request.urgency is Urgency.PARTIAL else self.finals
        waits.append(1000 * (self.queued.pop(answer.request.key, 0.0) + infer_s))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    folder = str(shapes.model_folder(options.models, options.shape, options.words))
    values = {
        "CT2_SMALL_PATH": folder,
        "CT2_MEDIUM_PATH": "",
        "MAX_CONCURRENCY": str(options.concurrency),
        "LANGUAGES": "en",
    }
    spoken = read(recordings.load("clean", "digits"))
    with on_cores(CORES):
        table = _times(values, options.shape, np.concatenate([clip.speech() for clip, _ in spoken]))
        loads = [int(load) for load in options.loads.split(",")]
        real = asyncio.run(_real(values, spoken, loads, options.seconds))
    manner = _manner([clip for clip, _ in spoken], real[0]["pauses_a_turn"])
    rows = [_row(table, manner, load, told) for load, told in zip(loads, real, strict=True)]
    return {
        "shape": options.shape,
        "words": options.words,
        "concurrency": options.concurrency,
        "seconds": options.seconds,
        "marks": {
            f"{name}_within_15_percent_at_{row['sessions']}": {
                "value": row[name]["off"], "at_most": NEAR, "met": abs(row[name]["off"]) <= NEAR,
            }
            for row in rows
            for name in ("partial_p95_ms", "final_decode_p95_ms")
        },
        "loads": rows,
        "manner": dataclasses.asdict(manner),
        "service_times": {
            "seconds": table.tiers[Tier.FAST].seconds,
            "batches": table.tiers[Tier.FAST].batches,
            "lengths_s": table.tiers[Tier.FAST].lengths_s,
        },
    }  # fmt: skip


def _times(values: dict[str, str], name: str, speech: Samples) -> MachineTimes:
    """Of an engine that is configured as that of the real runs."""
    configured = Values({key: (value, "check") for key, value in values.items()}).over(DEMO_VALUES)
    decoding = build(Decoding, configured)
    engines, concurrency = load_engines(decoding, lambda one: {Tier.FAST: small_model(one, "")})
    told = times.measure(engines, concurrency, speech, name, lambda: None)
    return read_times(times.as_text(told))


async def _real(
    values: dict[str, str], spoken: Sequence[Spoken], loads: list[int], seconds: float
) -> list[dict[str, Any]]:
    watch = _Watch()
    speech = demo_speech(watch, values)
    try:
        await _speak(speech, spoken, 2, 5.0)  # the first decodes of a process pay for much
        told = list[dict[str, Any]]()
        for load in loads:
            watch.partials.clear()
            watch.finals.clear()
            voices = await _speak(speech, spoken, load, seconds)
            turns = sum(len(voice.turns) for voice in voices)
            told.append(
                {
                    "partial_ms": percentiles(watch.partials),
                    "final_decode_ms": percentiles(watch.finals),
                    "pauses_a_turn": max(0.0, len(watch.finals) / turns - 1),
                    "send_lag_ms": latencies(voices)["send_lag_ms"],
                    "finals": sum(len(voice.finals) for voice in voices),
                }
            )
        return told
    finally:
        await speech.aclose()


async def _speak(speech: Speech, spoken: Sequence[Spoken], count: int, seconds: float) -> list[Voice]:
    talks = (speak_for(speech, spoken, seconds, seed=1_000 * count + n) for n in range(count))
    return list(await asyncio.gather(*talks))


def _manner(clips: Sequence[recordings.Clip], pauses_a_turn: float) -> Manner:
    """As :func:`speak_for` speaks."""
    turns = tuple((clip.speech_end_ms - clip.speech_start_ms) / 1000 for clip in clips)
    # Behind the speech of one clip, the pause, and before that of the next.
    around = tuple(
        (len(clip.audio()) / 16 - clip.speech_end_ms + clip.speech_start_ms) / 1000 for clip in clips
    )
    mean_s = sum(turns) / len(turns)
    return Manner(
        turn_s=turns,
        silence_s=tuple(PAUSE_S + rest for rest in around),
        vary=0.0,
        pause_every_s=mean_s / max(pauses_a_turn, 0.01),
        doubted=0.0,
    )


def _row(table: MachineTimes, manner: Manner, sessions: int, real: dict[str, Any]) -> dict[str, Any]:
    simulated = simulate(Setting(times=table, manner=manner), sessions, seconds=SIMULATED_S)

    def both(measured: float, told: float | None) -> dict[str, float]:
        return {"real": measured, "simulated": told or 0.0, "off": round((told or 0.0) / measured - 1, 3)}

    return {
        "sessions": sessions,
        "partial_p95_ms": both(real["partial_ms"]["p95"], simulated.partial_p95_ms),
        "final_decode_p95_ms": both(real["final_decode_ms"]["p95"], simulated.final_decode_p95_ms),
        "busy": round(simulated.utilisation, 3),
        "real": real,
    }
