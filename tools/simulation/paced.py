"""A real pool with a real detector and real speakers, but an engine that sleeps for as long as it is told.

So nothing is left to measure beforehand but how the clips are spoken: what comes out at each load shows
whether queue, batches, ladder and speakers of the simulation are those of the server, whatever else the
machine does.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from rtc_stt.bench import clips as recordings
from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.carrying import speech_on
from rtc_stt.bench.live import PAUSE_S, read
from rtc_stt.bench.live_calls import live_run
from rtc_stt.bench.manners import manner_of
from rtc_stt.bench.paced import PacedEngine
from rtc_stt.config_keys import Values
from rtc_stt.hypothesis import Tier
from rtc_stt.simulation import Manner, Setting
from rtc_stt.simulation.service_times import MachineTimes, ServiceTimes
from rtc_stt.vad import SileroDetector
from tools.simulation.compare import marks, picture, row

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "the simulated queue, ladder and speakers against real ones, with an engine that sleeps"

TIMES = ServiceTimes(
    (1, 8), (0.5, 4.0), ((0.045, 0.08), (0.12, 0.24)), (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.4)
)
"""As a small model on a processor: a spread of a third, and batches that are worth it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--loads", default="3,6,9,14", help="numbers of sessions (default: 3,6,9,14)")
    parser.add_argument(
        "--session-seconds", type=float, default=600.0,
        help="of speaking at each load, by all sessions together (default: 600)",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    loads = [int(load) for load in options.loads.split(",")]
    rows = asyncio.run(_rows(loads, options.session_seconds))
    if options.plot:
        options.plot.write_text(picture(rows), encoding="utf-8")
    return {"marks": marks(rows), "loads": rows}


async def _rows(loads: list[int], session_seconds: float) -> list[dict[str, Any]]:
    spoken = read(recordings.load("clean", "digits"))
    values = Values({})
    told = []
    manner: Manner | None = None
    for load in loads:
        # A pool for each: the ladder of the load before is not that of this one.
        trace = CallTrace()
        speech = speech_on({Tier.FAST: PacedEngine(TIMES, seed=load)}, 1, values, trace)
        manner = manner or manner_of(
            [audio for _, audio in spoken], SileroDetector(), speech.options.endpointing, silence_s=PAUSE_S
        )
        try:
            real = await live_run(speech, trace, spoken, load, session_seconds / load)
        finally:
            await speech.aclose()
        setting = Setting(
            times=MachineTimes("paced", 1, {Tier.FAST: TIMES}), manner=manner, options=speech.options
        )
        told.append(row(real, setting, load))
    return told
