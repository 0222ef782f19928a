"""``rtc-stt bench turns``: how long after somebody stops speaking the last word is there as text."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench.link import Conditions
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.conditions import Condition, parse
from rtc_stt.bench.turns.report import page, table
from rtc_stt.bench.turns.result import write
from rtc_stt.bench.turns.run import Plan, run, steps
from rtc_stt.bench.turns.settling import PATIENCE_S
from rtc_stt.bench.turns.targets import KINDS, SETTINGS, make
from rtc_stt.cli import common
from rtc_stt.cli.demo import demo_speech
from rtc_stt.errors import ConfigError

__all__ = ["add_parser"]

EXAMPLE = "rtc-stt bench turns --target websocket --sets single --speakers 4 --out turns.json"


def add_parser(parts: Any) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "turns",
        main,
        help="play turns of known times to a recogniser in real time, and time what it tells",
        example=EXAMPLE,
    )
    _add_target(parser)
    _add_scenes(parser)
    _add_condition(parser)
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write the result here")
    parser.add_argument("--page", type=Path, metavar="FILE.html", help="draw it here")
    common.add_common(parser)
    parser.set_defaults(log_level="error")


def _add_target(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is measured")
    group.add_argument("--target", choices=tuple(KINDS), default="webrtc", help="default: webrtc")
    group.add_argument(
        "--url", help="of a server that runs; without it our own targets start rtc-stt demo as a child"
    )
    common.add_key(group)
    group.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="what one kind alone knows: "
        + "; ".join(f"{kind}: {', '.join(names)}" for kind, names in SETTINGS.items()),
    )
    group.add_argument(
        "--hangover-ms",
        type=_at_least(1),
        default=500,
        metavar="MS",
        help="silence that ends a turn (default: 500)",
    )
    group.add_argument("--language", metavar="CODE", help="told to the target; by default it finds it out")
    group.add_argument(
        "--cost-only",
        action="store_true",
        help="the models have random weights and say a fixed text: tell no figure about words",
    )


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is played")
    group.add_argument(
        "--turns",
        type=Path,
        default=manifest.TURNS,
        metavar="DIR",
        help="folder of turns (default: tests/turns)",
    )
    group.add_argument("--sets", type=_names, default=(), metavar="A,B", help="of its sets (default: all)")
    group.add_argument("--limit", type=_at_least(1), metavar="N", help="at most so many scenes of each set")
    group.add_argument(
        "--speakers", type=_at_least(1), default=1, metavar="N", help="side by side (default: 1)"
    )
    group.add_argument("--rounds", type=_at_least(1), default=1, metavar="N", help="times that all is played")
    group.add_argument(
        "--patience-s",
        type=_at_least(1),
        default=round(PATIENCE_S),
        metavar="S",
        help=f"how long a final is waited for (default: {PATIENCE_S:g})",
    )
    group.add_argument("--seed", type=int, default=1, help="of orders, starts and noise (default: 1)")


def _add_condition(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what happens to it on the way")
    group.add_argument(
        "--condition",
        type=_condition,
        default=Condition(),
        metavar="LIST",
        help="clean, telephone, a noise and how many dB it is below the speech: noise:10,telephone",
    )
    group.add_argument(
        "--loss",
        type=_pattern,
        metavar="PATTERN",
        help="packets lost over and over, e.g. ....x (webrtc only)",
    )
    group.add_argument(
        "--delay-ms", type=float, default=0, metavar="MS", help="of every packet (webrtc only)"
    )
    group.add_argument(
        "--jitter-ms",
        type=float,
        default=0,
        metavar="MS",
        help="at most so much more delay, at random (webrtc only)",
    )
    group.add_argument(
        "--reorder",
        type=float,
        default=0,
        metavar="SHARE",
        help="of packets that the next overtake (webrtc only)",
    )


def main(options: argparse.Namespace) -> int:
    """Measure; 1 where the run is void, was broken off, or a line failed."""
    common.set_up_logging(options)
    condition = _whole(options)
    scenes = manifest.load(options.turns, options.sets, options.limit)
    plan = Plan(
        scenes,
        speakers=options.speakers,
        rounds=options.rounds,
        condition=condition,
        hangover_ms=options.hangover_ms,
        patience_s=options.patience_s,
        language=options.language,
        cost_only=options.cost_only,
        seed=options.seed,
        data={"folder": options.turns.name, "sha256": manifest.digest(options.turns), "scenes": len(scenes)},
    )
    target = make(
        options.target,
        url=options.url,
        key=options.key,
        hangover_ms=options.hangover_ms,
        language=options.language,
        network=condition.network,
        make_speech=demo_speech,
        settings=dict(options.settings),
    )
    with tqdm(total=steps(plan), unit="scene") as bar:
        result = asyncio.run(run(target, plan, bar.update))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write(options.out, result)
    if options.page:
        options.page.parent.mkdir(parents=True, exist_ok=True)
        options.page.write_text(page([result]), encoding="utf-8")
    print(table([result]), end="")
    return 1 if result.void or result.interrupted or result.failures else 0


def _whole(options: argparse.Namespace) -> Condition:
    """The condition with its network.

    Raises:
        ConfigError: a share or a time makes no sense.
    """
    if not 0 <= options.reorder < 1:
        raise ConfigError("--reorder is a share of the packets, from 0 to less than 1")
    if min(options.delay_ms, options.jitter_ms) < 0:
        raise ConfigError("--delay-ms and --jitter-ms cannot be negative")
    network = Conditions(
        pattern=options.loss or "",
        delay_s=options.delay_ms / 1000,
        jitter_s=options.jitter_ms / 1000,
        reorder=options.reorder,
        seed=options.seed,
    )
    chosen: Condition = options.condition
    bad = network if network != Conditions(seed=options.seed) else None
    return Condition(chosen.noise, chosen.snr_db, chosen.telephone, bad)


def _condition(text: str) -> Condition:
    try:
        return parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _pattern(text: str) -> str:
    if not text or set(text) - {".", "x"} or "." not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no pattern: . passes and x is lost, such as ....x")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _at_least(low: int) -> Any:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} on")
        return number

    return read
