"""``rtc-stt bench times``: how long calls of the models take here, for ``rtc-stt plan``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.bench import carrying, times
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.live import Spoken, read
from rtc_stt.bench.result import provenance
from rtc_stt.cli import common
from rtc_stt.cli.demo import read_values
from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.decode_pool import Engine
from rtc_stt.hypothesis import Tier
from rtc_stt.simulation import read_times

__all__ = ["add_parser"]

LIVE = (2, 8)

MOST_LIVE = 64
"""They speak in this process."""

LIVE_S = 20.0
"""For so long they speak."""


def add_parser(parts: Any) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "times",
        run,
        help="measure how long calls of the models take here; rtc-stt plan reckons with it",
        example="CT2_SMALL_PATH=small rtc-stt bench times --out times.json",
    )
    parser.add_argument("--demo", action="store_true", help="of the bundled models")
    parser.add_argument("--name", default="this machine", help="of machine and models, for people")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="write the table here")
    parser.add_argument("--clips", type=Path, default=recordings.CLIPS, help="folder of test clips")
    parser.add_argument(
        "--live", type=_loads, default=LIVE, metavar="N,N",
        help="sessions in this process beside which calls are timed too, for there they take longer; 0 for "
        f"none (default: {','.join(map(str, LIVE))})",
    )  # fmt: skip
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Measure. Minutes, for large models on a processor."""
    common.set_up_logging(options)
    values = read_values(options)
    engines, concurrency = common.load_engines(build(Decoding, values))
    spoken = read(recordings.load("clean", "digits", folder=options.clips))
    speech = np.concatenate([clip.speech() for clip, _ in spoken])
    with tqdm(total=times.steps(len(engines)), unit="kind") as bar:
        told = times.measure(engines, concurrency, speech, options.name, bar.update)
    if options.live:
        common.say(f"Now with sessions beside them: {len(options.live)} times {LIVE_S:g} s …")
        told = asyncio.run(_live(engines, concurrency, values, spoken, told, options.live))
    told["models"] = {str(tier): engine.name for tier, engine in engines.items()}
    told["provenance"] = provenance(options.clips)
    options.out.write_text(times.as_text(told), encoding="utf-8")
    print(f"Written to {options.out}. Next: rtc-stt plan --times {options.out} --sessions 500")
    return 0


async def _live(
    engines: dict[Tier, Engine],
    concurrency: int,
    values: Values,
    spoken: Sequence[Spoken],
    told: dict[str, Any],
    loads: Sequence[int],
) -> dict[str, Any]:
    trace = CallTrace()
    speech = carrying.speech_on(engines, concurrency, values, trace)
    table = read_times(times.as_text(told)).tiers[Tier.FAST]
    try:
        beside = await carrying.measure(speech, trace, table, spoken, loads, LIVE_S)
    finally:
        await speech.aclose()
    return times.with_carrying(told, beside)


def _loads(text: str) -> tuple[int, ...]:
    loads = tuple(sorted({int(part) for part in text.split(",")} - {0}))
    if any(not 1 <= load <= MOST_LIVE for load in loads):
        raise argparse.ArgumentTypeError(f"from 1 to {MOST_LIVE} sessions, or 0")
    return loads
