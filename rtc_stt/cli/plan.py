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
from rtc_stt.simulation import (
    Figures,
    FleetPlan,
    FleetSetting,
    Manner,
    Minute,
    Plan,
    Setting,
    make_plan,
    plan_fleet,
    read_times,
)
from rtc_stt.simulation.plan import Limits, keeps

__all__ = ["add_parser"]

MOST_FLEET_S = 30.0
"""Of a simulation with several gateways, which takes longer."""


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
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--times", type=Path, metavar="FILE",
        help="of one machine that does everything, from rtc-stt bench times",
    )  # fmt: skip
    kind.add_argument(
        "--gpu", type=Path, metavar="FILE",
        help="likewise of one that only decodes: GPUs behind gateways that have none",
    )  # fmt: skip
    parser.add_argument(
        "--network-ms", type=float, default=1.0,
        help="one way between a gateway and a GPU, with --gpu (default: 1)",
    )  # fmt: skip
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
    path = options.times or options.gpu
    try:
        times = read_times(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; rtc-stt bench times writes it") from error
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
    if options.gpu:
        return _run_fleet(options, setting, limits)
    return _run_machines(options, setting, limits)


def _run_fleet(options: argparse.Namespace, setting: Setting, limits: Limits) -> int:
    """Gateways and GPUs."""
    name = setting.times.name
    fleet = FleetSetting(
        # On a machine of its own nobody is carried beside the calls.
        node=dataclasses.replace(setting, times=dataclasses.replace(setting.times, carrying=())),
        calls=setting.times.concurrency,
        network_s=options.network_ms / 1000,
    )
    with tqdm(unit="simulation", disable=options.json) as bar:
        plan = plan_fleet(
            fleet,
            options.sessions,
            limits,
            spare=options.spare,
            seconds=min(options.seconds, MOST_FLEET_S),
            tick=lambda _: bar.update(),
        )
    if options.json:
        print(json.dumps(dataclasses.asdict(plan) if plan else None, indent=1))
    else:
        print(fleet_words(plan, name) if plan else f"{name}: with no number of them these limits are kept.")
    return 0 if plan else 1


def _run_machines(options: argparse.Namespace, setting: Setting, limits: Limits) -> int:
    """Machines that do everything."""
    name = setting.times.name
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
        print(words(plan, name) if plan else f"{name}: not even one session keeps these limits.")
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


def fleet_words(plan: FleetPlan, name: str) -> str:
    """The plan in a few lines."""
    spare = f", {plan.spare} of each of which may be away" if plan.spare else ""
    return (
        f"{plan.gateways} gateways and {plan.replicas} GPUs of each tier, such as {name}{spare}: "
        f"{plan.sessions_a_replica:g} sessions a GPU, for {plan.sessions} in all.\n"
        f"Usually: {_minute(plan.expected)}.\n"
        f"With {plan.full.sessions / plan.expected.sessions - 1:.0%} more of them: {_minute(plan.full)}."
    )


def _minute(minute: Minute) -> str:
    return (
        f"endpoint to final p95 {_ms(minute.final_p95_ms)}, partials p95 {_ms(minute.partial_p95_ms)}, "
        f"decode calls {minute.busy:.0%} busy"
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _state(figures: Figures) -> str:
    return (
        f"endpoint to final p95 {_ms(figures.final_p95_ms)}, partials p95 {_ms(figures.partial_p95_ms)}, "
        f"decode calls {figures.utilisation:.0%} busy"
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
