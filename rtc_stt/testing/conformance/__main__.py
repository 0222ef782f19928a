"""``python -m rtc_stt.testing.conformance --url URL``: does a server do what it has to, in every way?"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rtc_stt.bench.clips import CLIPS, load
from rtc_stt.cli.common import add_key
from rtc_stt.errors import RtcSttError
from rtc_stt.testing.conformance.conversations import Conversation, Recording, conversations
from rtc_stt.testing.conformance.suite import Outcome, hold_all
from rtc_stt.testing.conformance.ways import WAYS

LONGEST_S = 3.0
"""Of a sentence. Short ones find the same, sooner."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all is as it has to be; 1: something is not, or the server or the recordings are not there."""
    options = _parser().parse_args(arguments)
    try:
        talks = conversations(_recordings(options.clips, options.set))
    except (RtcSttError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    names = {name for name in options.conversations.split(",") if name}
    if unknown := names - {talk.name for talk in talks}:
        print(f"there is no conversation {', '.join(sorted(unknown))}; there are:", file=sys.stderr)
        print("\n".join(f"  {talk.name}" for talk in talks), file=sys.stderr)
        return 2
    chosen = [talk for talk in talks if not names or talk.name in names]
    outcomes = asyncio.run(_hold(options, chosen))
    bad = [outcome for outcome in outcomes if outcome.violation]
    for outcome in bad:
        print(f"\n{outcome.violation}")
    print(f"\n{len(outcomes)} conversations, {len(bad)} with complaints")
    return 1 if bad or not outcomes else 0


async def _hold(options: argparse.Namespace, chosen: list[Conversation]) -> list[Outcome]:
    ways = [WAYS[name](options.url.rstrip("/"), options.key) for name in options.ways]
    return await hold_all(
        ways,
        chosen,
        at_once=options.at_once,
        max_wer=options.max_wer,
        pace=options.pace,
        on_outcome=_print,
    )


def _print(outcome: Outcome) -> None:
    verdict = "COMPLAINTS" if outcome.violation else "ok"
    print(f"{verdict:10}  {outcome.seconds:5.1f} s  {outcome.way}: {outcome.conversation}", flush=True)


def _recordings(folder: Path, kind: str) -> list[Recording]:
    found = []
    for clip in load(kind, folder=folder):
        if clip.speech_end_ms - clip.speech_start_ms <= LONGEST_S * 1000:
            found.append(Recording(clip.text, clip.speech()))
        if len(found) == 3:
            break
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rtc_stt.testing.conformance",
        description="Hold conversations with a server in every way that it offers, over networks that fail "
        "too, and say what is not as it has to be.",
        epilog="example:\n  python -m rtc_stt.testing.conformance --url http://127.0.0.1:8080 --max-wer 0.2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="of a server that runs")
    add_key(parser)
    parser.add_argument(
        "--ways", type=_ways, default=list(WAYS), help=f"some of {','.join(WAYS)} (default: all)"
    )
    parser.add_argument("--conversations", default="", help="names, with commas between (default: all)")
    parser.add_argument(
        "--clips", type=Path, default=CLIPS, metavar="DIR", help="recordings with a manifest.json"
    )
    parser.add_argument("--set", default="clean", help="which of them (default: clean)")
    parser.add_argument(
        "--max-wer", type=float, default=0.0, help="word errors that are let pass (default: none)"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="of speech; 1 is as it is spoken")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="conversations at a time")
    return parser


def _ways(value: str) -> list[str]:
    names = value.split(",")
    if unknown := set(names) - WAYS.keys():
        raise argparse.ArgumentTypeError(f"there is no way {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
