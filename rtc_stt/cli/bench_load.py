"""``rtc-stt bench load``: how many sessions this machine carries."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import sessions
from rtc_stt.bench.limits import Limits
from rtc_stt.bench.meter import InProcessMeter, ServerMeter
from rtc_stt.bench.probes import picture
from rtc_stt.bench.server import running
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.targets import make
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.cli import common

__all__ = ["add_parser"]

TARGETS = ("websocket", "webrtc", "in-process")
SPARE = 8
"""Sessions more than are tried that a server of ours lets in: those before may not have left yet."""


def add_parser(parts: Any, make_speech: MakeSpeech) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "load",
        lambda options: run(options, make_speech),
        help="find how many sessions this machine carries within limits that you name",
        example="rtc-stt bench load --ttfs-p95-ms 900 --max-sessions 32 --out load.json --plot load.svg",
    )
    parser.add_argument("--target", choices=TARGETS, default=TARGETS[0], help=f"default: {TARGETS[0]}")
    parser.add_argument("--url", help="of a server that runs; without it rtc-stt demo is started as a child")
    common.add_key(parser)
    _add_limits(parser)
    group = parser.add_argument_group("what is spoken")
    group.add_argument("--turns", type=Path, default=manifest.TURNS, metavar="DIR", help="folder of turns")
    group.add_argument("--sets", default="single", metavar="A,B", help="of its sets (default: single)")
    group.add_argument("--seconds", type=_positive, default=30.0, help="of each probe (default: 30)")
    group.add_argument(
        "--max-sessions", type=_at_least_one, default=64, metavar="N", help="never more (default: 64)"
    )
    group.add_argument(
        "--hangover-ms", type=_at_least_one, default=500, metavar="MS", help="silence that ends a turn"
    )
    group.add_argument("--language", metavar="CODE", help="told to the server; by default it finds it out")
    group.add_argument(
        "--cost-only", action="store_true", help="the models have random weights and say a fixed text"
    )
    group.add_argument("--seed", type=int, default=1, help="of who says what when (default: 1)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the result here")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")
    common.add_common(parser)
    parser.set_defaults(log_level="error")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits", "A number below 0 takes a limit away.")
    usual = Limits()
    group.add_argument(
        "--ttfs-ratio",
        type=float,
        default=usual.ttfs_ratio,
        metavar="N",
        help=f"p95 TTFS over that of one session (default: {usual.ttfs_ratio})",
    )
    group.add_argument("--ttfs-p95-ms", type=float, default=-1, metavar="MS", help="p95 TTFS (default: none)")
    group.add_argument(
        "--partial-lag-ms",
        type=float,
        default=usual.partial_lag_p95_ms,
        metavar="MS",
        help=f"p95 of how far partials are behind (default: {usual.partial_lag_p95_ms:g})",
    )
    group.add_argument(
        "--lost", type=int, default=0, metavar="N", help="turns without an answer (default: 0)"
    )
    group.add_argument(
        "--backlog",
        type=float,
        default=usual.backlog,
        metavar="N",
        help=f"partial lag in the last third of a probe over that in the middle (default: {usual.backlog})",
    )
    group.add_argument(
        "--step", type=int, default=-1, metavar="N", help="highest step of the ladder, 0 to 5 (default: any)"
    )


def run(options: argparse.Namespace, make_speech: MakeSpeech) -> int:
    """Search; 1 where not even one session is carried, or the search was broken off."""
    common.set_up_logging(options)
    names = tuple(name.strip() for name in options.sets.split(",") if name.strip())
    scenes = manifest.load(options.turns, names)
    plan = sessions.Plan(
        scenes,
        limits=_limits(options),
        seconds=options.seconds,
        max_sessions=options.max_sessions,
        hangover_ms=options.hangover_ms,
        language=options.language,
        cost_only=options.cost_only,
        seed=options.seed,
        who=f"The server at {options.url}" if options.url else "This machine",
        data={"folder": options.turns.name, "sha256": manifest.digest(options.turns), "scenes": len(scenes)},
    )
    with tqdm(unit="probe") as bar:
        result = _search(options, plan, make_speech, bar)
    for path, content in (
        (options.out, json.dumps(result, indent=1, ensure_ascii=False) + "\n"),
        (options.plot, picture(result)),
    ):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    print(result["answer"]["sentence"])
    return 0 if result["answer"]["sessions"] and not result["interrupted"] else 1


def _search(
    options: argparse.Namespace, plan: sessions.Plan, make_speech: MakeSpeech, bar: tqdm[Any]
) -> dict[str, Any]:
    def tick(count: int, probe: Mapping[str, Any] | None) -> None:
        bar.set_description(f"{count} session{'s'[: count > 1]}")
        if probe is not None:
            bar.update()
            bar.write(_line(probe), file=sys.stderr)

    common_options = {"key": options.key, "hangover_ms": options.hangover_ms}
    if options.target == "in-process":
        meter = InProcessMeter(make_speech)
        target = make("in-process", url=options.url, make_speech=meter, **common_options)
        return asyncio.run(sessions.run(target, meter, plan, tick))
    room = str(plan.max_sessions + SPARE)
    with running(options.url, environment={"MAX_SESSIONS": room, "MAX_HALF_OPEN": room}) as server:
        target = make(options.target, url=server.url, **common_options)
        watching = ServerMeter(server.url, key=options.key, pid=server.pid)
        return asyncio.run(sessions.run(target, watching, plan, tick))


def _limits(options: argparse.Namespace) -> Limits:
    given = {
        "ttfs_ratio": options.ttfs_ratio,
        "ttfs_p95_ms": options.ttfs_p95_ms,
        "partial_lag_p95_ms": options.partial_lag_ms,
        "lost": options.lost,
        "backlog": options.backlog,
        "step": options.step,
    }
    return Limits(**{name: None if value < 0 else value for name, value in given.items()})


def _line(probe: Mapping[str, Any]) -> str:
    """A probe in a line."""

    def p95(name: str) -> str:
        return f"{probe[name]['p95']:.0f} ms" if "p95" in probe[name] else "–"

    steps = " ".join(f"{step}:{share:.0%}" for step, share in probe["steps"].items()) or "not known"
    cpu = probe["cpu_ms_per_audio_s"]
    parts = [
        f"{probe['sessions']:4} sessions",
        f"{probe['verdict']:8}",
        f"TTFS p95 {p95('ttfs_ms')}",
        f"partial lag p95 {p95('partial_lag_ms')}",
        f"lost {probe['lost']} of {probe['turns']}",
        f"ladder {steps}",
        *([f"CPU {cpu:.0f} ms per audio second"] if cpu is not None else []),
        *([f"{probe['rss_mib']:.0f} MiB"] if probe["rss_mib"] is not None else []),
    ]
    reasons = f"\n{'':14}{'; '.join(probe['exceeded'])}" if probe["exceeded"] else ""
    return "  ".join(parts) + reasons


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time above 0")
    return number


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
