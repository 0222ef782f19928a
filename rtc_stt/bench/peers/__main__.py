"""Ours and recognisers of others, side by side: ``python -m rtc_stt.bench.peers install|list|run|table``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import shapes
from rtc_stt.bench.peers import weights
from rtc_stt.bench.peers.environments import ENVIRONMENTS, Environment
from rtc_stt.bench.peers.race import BrokenOff, Race, RaceSettings, seconds_of, systems
from rtc_stt.bench.peers.recipe import PEERS, Job, chosen
from rtc_stt.bench.peers.standings import standings
from rtc_stt.bench.peers.tables import with_tables
from rtc_stt.bench.result import provenance
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.result import write
from rtc_stt.errors import RtcSttError, TargetFailed

__all__ = ["DOCUMENT", "RESULTS", "documented", "main"]

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "docs" / "results" / "peers"
DOCUMENT = ROOT / "docs" / "benchmarks.md"

EXAMPLE = "python -m rtc_stt.bench.peers run --peers all --sessions 1,8 --rounds 2 --sets single --limit 20"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; 1 where it failed or was broken off."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except RtcSttError as error:
        print(error, file=sys.stderr)
        return 1


def documented() -> str:
    """The document with its tables as the committed results have them."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*/peers.json"))]
    return with_tables(DOCUMENT.read_text("utf-8"), found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rtc_stt.bench.peers",
        description=(__doc__ or "").partition(":")[0] + ".",
        epilog=f"example:\n  python -m rtc_stt.bench.peers install\n  {EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, about in (
        ("install", _install, "make the peers' Python environments (needs the package index, about 5 GB)"),
        ("list", _list, "which peers there are, and which are installed"),
        ("run", _run, "measure ours and the peers in turn"),
        ("table", _table, "write the results into docs/benchmarks.md"),
    ):
        command = commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=f"example:\n  {EXAMPLE if name == 'run' else f'python -m rtc_stt.bench.peers {name}'}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        if name != "table":
            command.add_argument(
                "--environments",
                type=Path,
                default=ENVIRONMENTS,
                metavar="DIR",
                help=f"default: {ENVIRONMENTS}",
            )
            command.add_argument(
                "--peers", type=_peers, default=list(PEERS), metavar="A,B", help="default: all"
            )
        if name == "run":
            _add_run(command)
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sessions", type=_counts, default=[1, 8], metavar="N,M", help="default: 1,8")
    command.add_argument("--rounds", type=int, default=2, metavar="N", help="of every system (default: 2)")
    command.add_argument(
        "--turns",
        type=Path,
        default=manifest.TURNS,
        metavar="DIR",
        help="folder of turns (default: tests/turns)",
    )
    command.add_argument("--sets", type=_words, default=["single"], metavar="A,B", help="default: single")
    command.add_argument("--limit", type=int, metavar="N", help="at most so many scenes of each set")
    command.add_argument("--language", default="en", help="told to all; auto: found out (default: en)")
    command.add_argument("--hangover-ms", type=int, default=500, metavar="MS", help="default: 500")
    command.add_argument("--patience-s", type=float, default=10.0, metavar="S", help="default: 10")
    command.add_argument("--models", choices=weights.NAMES, default="demo", help="for all (default: demo)")
    command.add_argument(
        "--shapes", type=Path, default=shapes.default_folder(), metavar="DIR", help="where shapes are made"
    )
    command.add_argument(
        "--kept",
        type=Path,
        default=ENVIRONMENTS / "rounds",
        metavar="DIR",
        help="finished rounds: the same command goes on where it was broken off",
    )
    command.add_argument("--minutes", type=float, metavar="M", help="begin nothing that would last longer")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="results (default: docs/results/peers/MODELS)"
    )


def _install(options: argparse.Namespace) -> int:
    with tqdm(options.peers, unit="environment") as bar:
        for name in bar:
            bar.set_description(name)
            place = Environment(PEERS[name], options.environments)
            if not place.is_ready:
                place.install()
    return 0


def _list(options: argparse.Namespace) -> int:
    for name in options.peers:
        place = Environment(PEERS[name], options.environments)
        print(f"{name:24} {PEERS[name].title:30} {place.path if place.is_ready else 'not installed'}")
    return 0


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options)
    race = Race(settings, target=systems(settings, options.environments), kept=options.kept)
    todo = race.open
    about = sum(seconds_of(settings, job) for job in todo) / 60
    print(f"{len(todo)} of {len(race.jobs)} rounds are open: about {about:.0f} minutes", file=sys.stderr)
    until = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    words = ""
    with tqdm(total=len(todo), unit="round") as bar:
        begun = 0

        def tick(job: Job) -> None:
            nonlocal begun
            bar.update(min(1, begun))
            begun += 1
            bar.set_description(f"{job.system}, {job.sessions} at a time")

        try:
            race.run(until, tick)
            bar.update(min(1, begun))
        except (BrokenOff, TargetFailed) as broken:
            words = f"{broken}: what is finished is kept, and the same command goes on"
    _write(race, settings, options.out or RESULTS / options.models.replace(":", "-"))
    if words:
        print(words, file=sys.stderr)
    return 1 if words else 0


def _write(race: Race, settings: RaceSettings, out: Path) -> None:
    """A file for each system and number of sessions, and one for all."""
    results = race.results()
    if not results:
        return
    out.mkdir(parents=True, exist_ok=True)
    for (system, sessions), result in results.items():
        write(out / f"{system}-{sessions}.json", result)
    made = next(iter(results.values())).provenance
    told = standings(results, {**settings.told(), "provenance": made})
    (out / "peers.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {out}", file=sys.stderr)


def _settings(options: argparse.Namespace) -> RaceSettings:
    scenes = manifest.load(options.turns, options.sets, options.limit)
    located = weights.locate(options.models, options.shapes)
    data: dict[str, Any] = {
        "folder": options.turns.name,
        "sha256": manifest.digest(options.turns),
        "sets": options.sets,
        "scenes": len(scenes),
    }
    return RaceSettings(
        scenes=scenes,
        weights=located,
        systems=chosen(options.peers, has_two_tiers=options.models == "demo"),
        sessions=options.sessions,
        rounds=options.rounds,
        cores=os.cpu_count() or 1,
        language=None if options.language == "auto" else options.language,
        hangover_ms=options.hangover_ms,
        patience_s=options.patience_s,
        data=data,
        commit=str(provenance().get("commit", "")),
    )


def _table(_: argparse.Namespace) -> int:
    DOCUMENT.write_text(documented(), "utf-8")
    return 0


def _peers(text: str) -> list[str]:
    names = list(PEERS) if text == "all" else _words(text)
    if unknown := [name for name in names if name not in PEERS]:
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    return names


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _counts(text: str) -> list[int]:
    try:
        counts = sorted({int(word) for word in _words(text)})
    except ValueError:
        counts = []
    if not counts or counts[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} are no numbers of sessions; say 1,8")
    return counts


if __name__ == "__main__":
    sys.exit(main())
