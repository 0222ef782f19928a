"""``rtc-stt bench compare`` and ``rtc-stt bench page``: results of ``bench turns`` beside each other."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtc_stt.bench.turns.compare import LEVEL, RESAMPLES, Comparison, Difference, compare
from rtc_stt.bench.turns.report import page
from rtc_stt.bench.turns.report.figures import clean
from rtc_stt.bench.turns.result import Result, read
from rtc_stt.cli import common
from rtc_stt.errors import BadResult

__all__ = ["add_parser", "told"]


def add_parser(parts: Any) -> None:
    """Add the commands to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "compare",
        run_compare,
        help="compare two results of `bench turns`; exit code 1 where B is worse, and not by chance",
        example="rtc-stt bench compare before.json after.json --only ttfs,ttfp,word_error_rate",
    )
    parser.add_argument("a", type=Path, metavar="A.json")
    parser.add_argument("b", type=Path, metavar="B.json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the comparison here as JSON as well")
    parser.add_argument(
        "--only",
        type=_names,
        default=(),
        metavar="NAMES",
        help="comma list: only figures whose names begin so are shown and judged (default: all)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the draws (default: 1)")
    parser.add_argument(
        "--resamples", type=_draws, default=RESAMPLES, metavar="N", help=f"draws (default: {RESAMPLES})"
    )
    parser.add_argument("--even-void", action="store_true", help="compare even where a sender was late")
    common.add_common(parser)
    parser = common.add_parser(
        parts,
        "page",
        run_page,
        help="write one HTML page of one or more results of `bench turns`",
        example="rtc-stt bench page ours.json theirs.json --out turns.html",
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="A.json")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    common.add_common(parser)


def run_compare(options: argparse.Namespace) -> int:
    """Compare; 1 where something got worse, or a result is void."""
    common.set_up_logging(options)
    a, b = read(options.a), read(options.b)
    for path, result in ((options.a, a), (options.b, b)):
        if result.void and not options.even_void:
            raise BadResult(
                f"{path} is void: frames left late, and its times say how busy the sender was. "
                "Measure again on a quiet machine, or compare nevertheless with --even-void"
            )
    found = compare(a, b, seed=options.seed, resamples=options.resamples)
    kept = [one for one in found.differences if one.name.startswith(options.only or "")]
    if not kept:
        known = ", ".join(dict.fromkeys(one.name.partition(".")[0] for one in found.differences))
        raise BadResult(f"nothing to compare: both results have {known or 'no figure in common'}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(found.to_json(), indent=1, ensure_ascii=False)
        options.out.write_text(text + "\n", encoding="utf-8")
    print("\n".join(told(a, b, found, kept)))
    return 1 if any(one.verdict in {"slower", "worse"} for one in kept) else 0


def told(a: Result, b: Result, found: Comparison, kept: list[Difference]) -> Iterator[str]:
    """The comparison as lines of text."""
    how = "the same turns" if found.is_paired else "turns of their own"
    sides = ", ".join(
        f"{name} {clean(result.target['name'])} ({turns} turns)"
        for name, result, turns in zip("AB", (a, b), found.turns, strict=True)
    )
    yield f"{sides}: {how}"
    for warning in found.warnings:
        yield f"!! {clean(warning)}"
    yield ""
    yield f"{'':30}{'A':>9}{'B':>9}  {'B to A':>8}   {LEVEL:g} % of draws"
    for one in kept:
        sign = "×" if one.kind == "ratio" else "+"
        unit = f" {one.unit}" if one.unit else ""
        digits = 0 if one.unit == "ms" else 2
        change = [
            f"{value:.2f}" if sign == "×" else f"{value:+.{digits}f}"
            for value in (one.change, one.low, one.high)
        ]
        name = f"{one.label}{unit and ',' + unit}"
        yield (
            f"{name:30}{one.a:>9.{digits}f}{one.b:>9.{digits}f}  {'×' * (sign == '×') + change[0]:>8}   "
            f"{change[1] + ' … ' + change[2]:18} {one.verdict}"
        )
    outside = sum(one.verdict != "noise" for one in kept)
    yield ""
    yield (
        f"{outside} of {len(kept)} figures differ by more than chance explains; "
        f"by chance alone about {len(kept) * (100 - LEVEL) / 100:.1f} would seem to"
    )


def run_page(options: argparse.Namespace) -> int:
    """Write the page."""
    common.set_up_logging(options)
    text = page([read(path) for path in options.results])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(f"{options.out}: {len(text.encode()) / 1024:.0f} kB", file=sys.stderr)
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _draws(text: str) -> int:
    if not text.isdigit() or not 100 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of draws from 100 to 100000")
    return int(text)
