"""``rtc-stt canary``: is a new version as good as the old one beside it?"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from rtc_stt import canary
from rtc_stt.canary import EVERY_S, Judgement, Rules, Side, Verdict
from rtc_stt.cli import common
from rtc_stt.errors import ConfigError, TargetFailed
from rtc_stt.prometheus import Prometheus

__all__ = ["add_parser"]

UNITS = {"s": 1, "m": 60, "h": 3_600}
MAX_TOKEN_BYTES = 16_384

EXAMPLE = """rtc-stt canary --url http://prometheus:9090 --for 10m \\
    --baseline-match 'job="rtc-stt",version="1"' --canary-match 'job="rtc-stt",version="2"'"""


@dataclass(frozen=True, slots=True)
class Where:
    """One side: whom to ask, and for which labels."""

    prometheus: Prometheus
    match: str


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "canary",
        run,
        help="judge a new version beside the old one; exit code 0 go on, 1 take it back, 3 cannot say",
        example=EXAMPLE,
    )
    where = parser.add_argument_group("where", "two Prometheus, or two sets of labels in one, or both")
    where.add_argument("--url", default="http://127.0.0.1:9090", help="of Prometheus (default: %(default)s)")
    for side in ("baseline", "canary"):
        where.add_argument(f"--{side}", metavar="URL", help=f"of the {side}'s Prometheus (default: --url)")
        where.add_argument(
            f"--{side}-match",
            default='job=~".*stt.*"',
            metavar="LABELS",
            help=f"matchers of the {side}'s labels (default: %(default)s)",
        )
    where.add_argument("--token-file", type=Path, metavar="FILE", help="holds a bearer token for Prometheus")
    when = parser.add_argument_group("when")
    when.add_argument(
        "--for",
        dest="for_s",
        type=_seconds,
        default=Rules().for_s,
        metavar="TIME",
        help="how long it is looked at: 90s, 10m, 1h (default: 10m)",
    )
    when.add_argument("--once", action="store_true", help="judge the time until now; else that from now on")
    _add_rules(parser)
    parser.add_argument("--json", action="store_true", help="each judgement as a line of JSON")
    common.add_common(parser)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    rules = parser.add_argument_group("rules", "each is told in docs/operate/canary.md")
    standard = Rules()
    for name, says in (
        ("slower", "times the baseline's p95"),
        ("worse", "times the baseline's share of failures"),
        ("errors", "share of failures that is nothing"),
        ("fallback", "share of failed second opinions that is nothing"),
    ):
        value = getattr(standard, name)
        rules.add_argument(f"--{name}", type=_positive, default=value, help=f"{says} (default: {value:g})")
    rules.add_argument(
        "--min-events",
        type=int,
        default=standard.min_events,
        help="with fewer of them a rule does not judge (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Judge; the exit code is the verdict, and 2, never 1, where the command is wrong."""
    common.set_up_logging(options)
    names = ("for_s", "slower", "worse", "errors", "fallback", "min_events")
    rules = Rules(**{name: getattr(options, name) for name in names})
    try:
        token = _read_token(options.token_file)
        if _side(options, "canary") == _side(options, "baseline"):
            raise ConfigError("canary and baseline are the same: give each a Prometheus or labels of its own")
    except ConfigError as error:
        print(f"rtc-stt: {error}", file=sys.stderr)
        return 2
    return int(asyncio.run(_watch(options, rules, token)))


def _side(options: argparse.Namespace, name: str) -> tuple[str, str]:
    """Where its Prometheus is, and its labels."""
    return getattr(options, name) or options.url, getattr(options, f"{name}_match")


async def _watch(options: argparse.Namespace, rules: Rules, token: str) -> Verdict:
    """Look once, or until the time is over: whatever speaks against it ends it before."""
    over = time.monotonic() + (0 if options.once else rules.for_s)
    async with aiohttp.ClientSession() as http:
        sides = {}
        for name in ("canary", "baseline"):
            url, match = _side(options, name)
            sides[name] = Where(Prometheus(http, f"the {name}'s Prometheus", url, token), match)
        while True:
            found = await _look(sides, rules)
            _tell(found, as_json=options.json)
            left = over - time.monotonic()
            if found.verdict is Verdict.ABORT or left <= 0:
                return found.verdict
            await asyncio.sleep(min(EVERY_S, left))


async def _look(sides: Mapping[str, Where], rules: Rules) -> Judgement:
    """Both sides at one moment."""
    now = time.time()
    try:
        mine, other = await asyncio.gather(
            *(_read(sides[name], now, rules) for name in ("canary", "baseline"))
        )
    except TargetFailed as error:
        return Judgement(Verdict.CANNOT_JUDGE, (str(error),))
    return canary.judge(mine, other, rules)


async def _read(where: Where, now: float, rules: Rules) -> Side:
    ask, every_s = where.prometheus, min(EVERY_S, rules.for_s)
    told = {name: await ask.number(q, now) for name, q in canary.sums(where.match, rules.for_s).items()}
    count = round(rules.for_s / every_s)
    p95 = {
        name: await ask.looks(question, now, count, every_s)
        for name, question in canary.looks(where.match, rules.for_s).items()
    }
    return canary.read(told, p95)


def _tell(found: Judgement, *, as_json: bool) -> None:
    name = found.verdict.name.lower()
    if as_json:
        told = {"time": round(time.time(), 3), "verdict": name, "reasons": found.reasons}
        print(json.dumps(told, ensure_ascii=False), flush=True)
        return
    print(f"{name.replace('_', ' ')}:", flush=True)
    for reason in found.reasons:
        print(f"  {reason}", flush=True)


def _read_token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_bytes()[:MAX_TOKEN_BYTES].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file cannot be read: {type(error).__name__}") from None
    if not token.isprintable():
        raise ConfigError("--token-file holds more than a token")
    return token


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})(s|m|h)", text)
    if found is None or not 30 <= (value := int(found[1]) * UNITS[found[2]]) <= 86_400:
        raise argparse.ArgumentTypeError("a time from 30s to 24h, such as 10m")
    return float(value)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1_000:
        raise argparse.ArgumentTypeError("a number above 0")
    return value
