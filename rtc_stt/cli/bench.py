"""``rtc-stt bench``: what decoding costs here, and what this machine carries."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import shapes
from rtc_stt.bench.decode import PARTS, Settings, jobs, missed, report
from rtc_stt.cli import (
    bench_check,
    bench_compare,
    bench_load,
    bench_requests,
    bench_times,
    bench_turns,
    bench_wer,
    common,
)
from rtc_stt.cli.demo import demo_speech

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    bench = common.add_parser(
        commands,
        "bench",
        lambda options: 2,
        help="measure what decoding costs here, and what this machine carries",
        example="rtc-stt bench decode --only cost,live --out result.json",
    )
    parts = bench.add_subparsers(
        required=True, metavar="turns|compare|page|wer|load|requests|times|check|decode|models"
    )
    decode = common.add_parser(
        parts,
        "decode",
        run_decode,
        help="measure the decode engine; exit code 1 where a mark is missed",
        example="rtc-stt bench decode --quick --only cost",
    )
    decode.add_argument(
        "--only", type=_parts, default=PARTS, metavar="PARTS", help=f"comma list of {', '.join(PARTS)}"
    )
    decode.add_argument("--out", type=Path, metavar="FILE", help="write the result here as JSON as well")
    decode.add_argument("--quick", action="store_true", help="in little: shows that it runs, proves nothing")
    decode.add_argument("--clips", type=Path, default=recordings.CLIPS, help="folder of test clips")
    decode.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="where the part gpu runs (default: cuda)"
    )
    decode.add_argument(
        "--sessions", type=int, metavar="N", help="sessions in overload (default: 4 times the capacity)"
    )
    bench_turns.add_parser(parts)
    bench_wer.add_parser(parts)
    bench_compare.add_parser(parts)
    bench_load.add_parser(parts, demo_speech)
    bench_check.add_parser(parts, demo_speech)
    bench_requests.add_parser(parts)
    bench_times.add_parser(parts)
    models = common.add_parser(
        parts,
        "models",
        run_models,
        help="make models of true Whisper shape with random weights: good for cost, and for nothing else",
        example="rtc-stt bench models base small",
    )
    models.add_argument(
        "shapes", nargs="*", type=_shape, metavar="SHAPE", help=f"of {', '.join(shapes.SHAPES)}; default: all"
    )
    models.add_argument("--words", type=int, default=shapes.WORDS_SAID, help="that each says to any audio")
    for parser in (decode, models):
        parser.add_argument(
            "--models", type=Path, default=shapes.default_folder(), help="where they are kept"
        )
        common.add_common(parser)
        # That there is much to do here is no news.
        parser.set_defaults(log_level="error")


def run_decode(options: argparse.Namespace) -> int:
    """Run the parts one after the other; 1 where a mark is missed."""
    common.set_up_logging(options)
    if {"live", "overload", "monologue"} & set(options.only):
        recordings.load(folder=options.clips)  # before anything has taken its time
    settings = Settings(
        demo_speech,
        options.models,
        clips=options.clips,
        quick=options.quick,
        device=options.device,
        sessions=options.sessions,
    )
    outcomes = {}
    for job in jobs(options.only, settings):
        with tqdm(total=job.steps, desc=job.name, unit="step") as bar:
            outcomes[job.name] = job.run(bar.update)
    result = report(outcomes, settings)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    for name, mark in result["marks"].items():
        said = "met   " if mark["met"] else "MISSED"
        print(f"{said} {name}: {mark['value']} (at most {mark['at_most']})", file=sys.stderr)
    return 1 if missed(result) else 0


def run_models(options: argparse.Namespace) -> int:
    """Make the models, and print where they are."""
    common.set_up_logging(options)
    for name in options.shapes or shapes.SHAPES:
        print(shapes.model_folder(options.models, name, options.words), flush=True)
    return 0


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(PARTS)}")
    return names


def _shape(name: str) -> str:
    if name not in shapes.SHAPES:
        raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(shapes.SHAPES)}")
    return name
