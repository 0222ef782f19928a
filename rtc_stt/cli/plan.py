"""``rtc-stt plan``: how many machines do so many sessions take, and what will they wait for?"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.cli import common
from rtc_stt.config import Decoding, Routing
from rtc_stt.config_keys import build
from rtc_stt.errors import ConfigError
from rtc_stt.simulation import Figures, Manner, Plan, Setting, make_plan, read_times
from rtc_stt.simulation.plan import Limits, keeps

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "plan",
        run,
        help="say how many machines so many sessions take, by simulation with measured service times",
        example="rtc-stt bench times --out times.json && rtc-stt plan --sessions 500 --times times.json",
    )
    usual = Limits()
    parser.add_argument("--sessions", type=_at_least_one, required=True, help="at a time, at most")
    parser.add_argument(
        "--times", type=Path, required=True, metavar="FILE", help="of one machine, from rtc-stt bench times"
    )
    parser.add_argument("--talk", type=_share, default=0.4, help="share of time with speech (default: 0.4)")
    parser.add_argument(
        "--doubted", type=_chance, default=0.1, help="share of finals decoded again (default: 0.1)"
    )
    parser.add_argument("--spare", type=int, default=1, help="machines that may be away (default: 1)")
    parser.add_argument(
        "--final-p95-ms", type=float, default=usual.final_p95_ms, metavar="MS",
        help=f"from the endpoint to the final, at most (default: {usual.final_p95_ms:g})",
    )  # fmt: skip
    parser.add_argument(
        "--most-busy", type=_share, default=usual.most_busy, metavar="SHARE",
        help=f"of the decode calls, at most (default: {usual.most_busy:g})",
    )  # fmt: skip
    parser.add_argument(
        "--sessions-a-process", type=_at_least_one, default=usual.sessions_a_process, metavar="N",
        help="that one event loop carries, whatever decodes (default: "
        f"{usual.sessions_a_process}; rtc-stt bench load tells)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="simulated for each number of sessions (default: 120)"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw p95 against load")
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Simulate; 1 where one machine does not carry even one session."""
    common.set_up_logging(options)
    values = common.read_values(options)
    try:
        times = read_times(options.times.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{options.times}: {error.strerror}; rtc-stt bench times writes it") from error
    setting = Setting(
        times=times,
        manner=Manner(doubted=options.doubted).talking(options.talk),
        options=common.stream_options(values),
        routing=build(Routing, values),
        max_batch=build(Decoding, values).max_batch,
    )
    limits = Limits(
        final_p95_ms=options.final_p95_ms,
        most_busy=options.most_busy,
        sessions_a_process=options.sessions_a_process,
    )
    tried = list[Figures]()
    with tqdm(unit="simulation", disable=options.json) as bar:

        def tick(figures: Figures) -> None:
            tried.append(figures)
            bar.update()

        plan = make_plan(
            setting, options.sessions, limits, spare=options.spare, seconds=options.seconds, tick=tick
        )
    if options.plot:
        options.plot.write_text(picture(plan.tried if plan else tried, limits), encoding="utf-8")
    if options.json:
        print(json.dumps(dataclasses.asdict(plan) if plan else None, indent=1))
    else:
        print(words(plan, times.name) if plan else f"{times.name}: not even one session keeps these limits.")
    return 0 if plan else 1


def words(plan: Plan, name: str) -> str:
    """The plan in a few lines."""
    full, expected = plan.full, plan.expected
    return (
        f"{plan.machines} machines such as {name}"
        f"{f', {plan.spare} of which may be away' if plan.spare else ''}: "
        f"each carries {plan.per_machine} sessions, for {plan.sessions} in all.\n"
        f"Usually {expected.sessions} on each: {_state(expected)}.\n"
        f"As full as it may be, {full.sessions}: {_state(full)}."
    )


def _state(figures: Figures) -> str:
    p95 = "–" if figures.final_p95_ms is None else f"{figures.final_p95_ms:.0f} ms"
    partials = "–" if figures.partial_p95_ms is None else f"{figures.partial_p95_ms:.0f} ms"
    return (
        f"endpoint to final p95 {p95}, partials p95 {partials}, decode calls {figures.utilisation:.0%} busy"
    )


def picture(tried: tuple[Figures, ...] | list[Figures], limits: Limits) -> str:
    """What grows with the sessions, as SVG."""
    ordered = sorted(tried, key=lambda figures: figures.sessions)

    def line(name: str, field: str, factor: float = 1.0) -> Line:
        points = [(f.sessions, getattr(f, field)) for f in ordered]
        return Line(name, [(n, factor * value) for n, value in points if value is not None])

    mark = max((figures.sessions for figures in ordered if keeps(figures, limits)), default=None)
    charts = [
        Chart("Endpoint to final", "sessions", "ms", [line("p95", "final_p95_ms")], mark=mark),
        Chart("A final's decode", "sessions", "ms", [line("p95", "final_decode_p95_ms")], mark=mark),
        Chart("A partial", "sessions", "ms", [line("p95", "partial_p95_ms")], mark=mark),
        Chart("Decode calls", "sessions", "% busy", [line("mean", "utilisation", 100)], mark=mark),
    ]
    return write([chart for chart in charts if any(line.points for line in chart.lines)])


def _at_least_one(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _share(text: str) -> float:
    if not 0 < (value := float(text)) < 1:
        raise argparse.ArgumentTypeError("between 0 and 1")
    return value


def _chance(text: str) -> float:
    if not 0 <= (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError("from 0 to 1")
    return value
