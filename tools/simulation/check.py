"""What speakers really wait for at several loads, and what the simulation says of the same.

Everything real is in one process: sessions, detector, pool, and a model of true Whisper shape. Measured
beforehand are how long its calls take alone, by how much longer beside two other numbers of sessions
(``rtc-stt bench times`` does just that), and how the clips are spoken. From these alone the simulation has to
find what comes out at each load.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtc_stt.bench import carrying, shapes, times
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.live import CORES, PAUSE_S, Spoken, on_cores, read
from rtc_stt.bench.live_calls import LiveRun, live_run
from rtc_stt.bench.manners import manner_of
from rtc_stt.cli.common import load_engines, small_model
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.hypothesis import Tier
from rtc_stt.simulation import Setting, read_times
from rtc_stt.vad import SileroDetector
from tools.simulation.compare import marks, picture, row

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "p95 of real runs at several loads against that of the simulation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--loads", default="3,6,9", help="numbers of sessions (default: 3,6,9)")
    parser.add_argument(
        "--calibrate", default="2,8", help="numbers of sessions at which calls are timed (default: 2,8)"
    )
    parser.add_argument(
        "--session-seconds", type=float, default=300.0,
        help="of speaking at each load, by all sessions together (default: 300)",
    )  # fmt: skip
    parser.add_argument("--shape", default="base", choices=sorted(shapes.SHAPES), help="(default: base)")
    parser.add_argument("--words", type=int, default=8, help="that the model says (default: 8)")
    parser.add_argument("--concurrency", type=int, default=1, help="calls at a time (default: 1)")
    parser.add_argument("--models", type=Path, default=shapes.default_folder())
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    folder = str(shapes.model_folder(options.models, options.shape, options.words))
    given = {
        "CT2_SMALL_PATH": folder,
        "CT2_MEDIUM_PATH": "",
        "MAX_CONCURRENCY": str(options.concurrency),
        "LANGUAGES": "en",
    }
    values = Values({key: (value, "check") for key, value in given.items()}).over(DEMO_VALUES)
    loads, calibrated = ([int(n) for n in text.split(",")] for text in (options.loads, options.calibrate))
    spoken = read(recordings.load("clean", "digits"))
    with on_cores(CORES):
        told, runs, setting = asyncio.run(_run(values, spoken, loads, calibrated, options))
    rows = [row(real, setting, load) for load, real in zip(loads, runs, strict=True)]
    if options.plot:
        options.plot.write_text(picture(rows), encoding="utf-8")
    return {
        "shape": options.shape,
        "words": options.words,
        "concurrency": options.concurrency,
        "calibrated_at": calibrated,
        "marks": marks(rows),
        "loads": rows,
        "service_times": told,
    }


async def _run(
    values: Values,
    spoken: Sequence[Spoken],
    loads: Sequence[int],
    calibrated: Sequence[int],
    options: argparse.Namespace,
) -> tuple[dict[str, Any], list[LiveRun], Setting]:
    """Service times, the real runs, and what is to be simulated."""
    decoding = build(Decoding, values)
    engines, concurrency = load_engines(decoding, lambda one: {Tier.FAST: small_model(one, "")})
    voice = np.concatenate([clip.speech() for clip, _ in spoken])
    told = times.measure(engines, concurrency, voice, options.shape, lambda: None)
    trace = CallTrace()
    speech = carrying.speech_on(engines, concurrency, values, trace)
    try:
        await live_run(speech, trace, spoken, 2, 0.0)  # the first decodes of a process pay for much
        table = read_times(times.as_text(told)).tiers[Tier.FAST]
        beside = await carrying.measure(speech, trace, table, spoken, calibrated, 15.0)
        told = times.with_carrying(told, beside)
        runs = [await live_run(speech, trace, spoken, load, options.session_seconds / load) for load in loads]
    finally:
        await speech.aclose()
    manner = manner_of(
        [audio for _, audio in spoken], SileroDetector(), speech.options.endpointing, silence_s=PAUSE_S
    )
    setting = Setting(
        times=read_times(times.as_text(told)),
        manner=manner,
        options=speech.options,
        max_batch=decoding.max_batch,
    )
    return told, runs, setting
