"""Measure the decode engine: ``python -m tools.decode_engine MEASUREMENT``; ``--help`` names them.

Each prints its result, and with ``--out`` writes it as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench.result import provenance
from tools.decode_engine import check_cost, padding, recordings, verify, word_times
from tools.decode_engine.engines import MODELS

MEASUREMENTS: dict[str, tuple[Callable[[int | None, Callable[[], object]], dict[str, Any]], str]] = {
    "padding": (padding.measure, "texts of the same clips alone, padded and batched"),
    "verify": (verify.measure, "right and wrong drafts that the accurate model lets stand"),
    "check_cost": (check_cost.measure, "CPU time of a check beside that of a decode, true shapes"),
    "word_times": (word_times.measure, "how far word times are from the truth"),
    "recordings": (recordings.measure, "clips joined to recordings, by the length of stretches"),
    "heads": (
        lambda limit, done: {
            demo.name: word_times.best_heads(demo, limit or 20, done)[:5] for demo in MODELS
        },
        "the alignment heads that give the best word times; two minutes at the default of 20 clips a set",
    ),
}


def main() -> int:
    """Run one measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.decode_engine",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="example:\n  python -m tools.decode_engine verify --out docs/results/verify.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (_, help) in MEASUREMENTS.items():
        command = commands.add_parser(name, help=help)
        command.add_argument("--out", type=Path, help="write the result here as JSON")
        command.add_argument("--limit", type=int, help="clips of each set, or rounds (default: all)")
    options = parser.parse_args()
    measure, _ = MEASUREMENTS[options.command]
    with tqdm() as bar:
        result = measure(options.limit, bar.update)
    report = {"measurement": options.command, **result, "provenance": provenance()}
    text = json.dumps(report, indent=1, ensure_ascii=False)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
