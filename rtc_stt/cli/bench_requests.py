"""``rtc-stt bench requests``: what a running service carries."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import requests
from rtc_stt.cli import common

__all__ = ["add_parser"]


def add_parser(parts: Any) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "requests",
        run,
        help="measure what a running service carries; exit code 1 where a mark is missed",
        example="rtc-stt bench requests --url http://127.0.0.1:8081 --concurrency 1,2,4 --out r.json",
    )
    parser.add_argument("--url", required=True, help="of the service, e.g. http://127.0.0.1:8081")
    common.add_key(parser)
    parser.add_argument(
        "--concurrency",
        type=_steps,
        default=requests.STEPS,
        metavar="STEPS",
        help="requests at a time in each step, rising (default: 1,2,4,8,16)",
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each step (default: 20)")
    parser.add_argument(
        "--clips",
        type=Path,
        default=recordings.CLIPS,
        help="folder of recordings; with a manifest.json the word error rate is told as well",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result here as JSON as well")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Load it step by step; 1 where a mark is missed."""
    common.set_up_logging(options)
    plan = requests.Plan(
        options.url.rstrip("/"),
        key=options.key,
        steps=options.concurrency,
        seconds=options.seconds,
        clips=options.clips,
    )
    with tqdm(total=len(plan.steps) * round(plan.seconds), unit="s") as bar:

        def tick(concurrency: int) -> None:
            bar.set_description(f"{concurrency} at a time")
            bar.update()

        result = requests.run(plan, tick)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    for path, content in ((options.out, text + "\n"), (options.plot, requests.picture(result))):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    for name, mark in result["marks"].items():
        said = "met   " if mark["met"] else "MISSED"
        print(f"{said} {name}: {mark['value']} (at most {mark['at_most']})", file=sys.stderr)
    print(f"knee: {result['knee']} at a time", file=sys.stderr)
    return 0 if all(mark["met"] for mark in result["marks"].values()) else 1


def _steps(text: str) -> tuple[int, ...]:
    try:
        steps = tuple(int(part) for part in text.split(","))
    except ValueError:
        steps = ()
    if not steps or steps[0] < 1 or list(steps) != sorted(set(steps)):
        raise argparse.ArgumentTypeError(f"{text!r} is no rising list of numbers such as 1,2,4,8,16")
    return steps
