"""Command line of the recipe: `python -m tools.turn_sets COMMAND`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from rtc_stt.bench.turns.manifest import TURNS, digest, load, read_audio
from rtc_stt.errors import BadAudio
from tools.turn_sets.checks import check, is_noisy
from tools.turn_sets.making import HUMAN, SETS, write

_EXAMPLES = """\
examples:
  # the committed sets
  python -m tools.turn_sets make --out tests/turns --human DIR

  # only some of them, without people
  python -m tools.turn_sets make --out /tmp/turns --sets single,pauses-600

  # are the times of a folder plausible, ours or yours?
  python -m tools.turn_sets check tests/turns

DIR holds jfk.flac, lj001-0002.flac, lj001-0004.flac and fsdd-test-speaker.tar.gz.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.turn_sets",
        description="Make and check folders of turns for `rtc-stt bench turns`.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    make = commands.add_parser("make", help="synthesise the sets and write their manifest")
    make.add_argument("--out", type=Path, default=TURNS, metavar="DIR", help="default: %(default)s")
    make.add_argument(
        "--human", type=Path, metavar="DIR", help="recordings of people; without it their set stays"
    )
    make.add_argument("--sets", default=",".join(SETS), metavar="A,B", help="default: %(default)s")
    checks = commands.add_parser("check", help="compare the times of a folder with its loudness")
    checks.add_argument("folder", type=Path, nargs="?", default=TURNS, help="default: %(default)s")
    return parser


def _make(arguments: argparse.Namespace) -> int:
    sets = arguments.sets.split(",")
    if unknown := [name for name in sets if name not in SETS]:
        raise ValueError(f"--sets: there is no set {unknown[0]!r}, only {', '.join(SETS)}")
    if sets == [HUMAN] and not arguments.human:
        raise ValueError("the set human is made of recordings: name their folder with --human")
    size = write(arguments.out, sets, arguments.human)
    scenes = load(arguments.out)
    print(f"{arguments.out}: {len(scenes)} scenes, {size / 1e6:.2f} MB, sha256 {digest(arguments.out)}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    wrong: list[str] = []
    noisy: list[str] = []
    scenes = load(arguments.folder)
    for scene in tqdm(scenes, unit="scene", desc="checking"):
        samples = read_audio(scene)
        wrong += check(scene, samples)
        noisy += [scene.id] if is_noisy(scene, samples) else []
    for line in wrong:
        print(line)
    if noisy:
        print(f"too noisy for more than half a check: {', '.join(noisy)}")
    print(f"{arguments.folder}: {len(scenes)} scenes, {len(wrong)} times that cannot be right")
    return 1 if wrong else 0


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return _make(arguments) if arguments.command == "make" else _check(arguments)
    except (BadAudio, OSError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
