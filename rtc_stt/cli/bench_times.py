"""``rtc-stt bench times``: how long calls of the models take here, for ``rtc-stt plan``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import times
from rtc_stt.bench.result import provenance
from rtc_stt.cli import common
from rtc_stt.cli.demo import read_values
from rtc_stt.config import Decoding
from rtc_stt.config_keys import build

__all__ = ["add_parser"]


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
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Measure. Minutes, for large models on a processor."""
    common.set_up_logging(options)
    decoding = build(Decoding, read_values(options))
    engines, concurrency = common.load_engines(decoding)
    spoken = recordings.load("clean", "digits", folder=options.clips)
    speech = np.concatenate([clip.speech() for clip in spoken])
    with tqdm(total=times.steps(len(engines)), unit="kind") as bar:
        told = times.measure(engines, concurrency, speech, options.name, bar.update)
    told["models"] = {str(tier): engine.name for tier, engine in engines.items()}
    told["provenance"] = provenance(options.clips)
    options.out.write_text(times.as_text(told), encoding="utf-8")
    print(f"Written to {options.out}. Next: rtc-stt plan --times {options.out} --sessions 500")
    return 0
