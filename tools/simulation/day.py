"""A day of a fleet: sessions come in the morning and go in the evening, replicas follow, machines are lost.

The day is pressed into fewer seconds, and what a replica takes to start is not: so whoever scales has it
harder than in truth, by as much as the day is shorter. In the busiest hour a replica dies, and in the hour
behind it a gateway.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.scaling import Aim
from rtc_stt.simulation import Fleet, FleetSetting, Manner, Minute, Setting, Told, read_times
from rtc_stt.simulation.fleet import day
from rtc_stt.simulation.timeline import Timeline
from tools.simulation.scaled import scaler

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "a day of gateways and replicas that are scaled, with a loss of each"

HOURS = 24
PARTS = 4
"""Of an hour: so often the number of sessions changes, and is what was told."""

LOST_REPLICA, LOST_GATEWAY = 16, 17
"""In these hours."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--times", type=Path, required=True, help="of a replica, from rtc-stt bench times")
    parser.add_argument(
        "--peak", type=int, default=400, help="sessions at four in the afternoon (default: 400)"
    )
    parser.add_argument("--hour-s", type=float, default=60.0, help="seconds of an hour (default: 60)")
    parser.add_argument("--talk", type=float, default=0.4, help="share of time with speech (default: 0.4)")
    parser.add_argument("--calls", type=int, default=1, help="that a replica decodes at a time (default: 1)")
    parser.add_argument("--floor", type=int, default=2, help="replicas at least (default: 2)")
    parser.add_argument("--ceiling", type=int, default=100, help="replicas at most (default: 100)")
    parser.add_argument("--start-s", type=float, default=20.0, help="of a replica (default: 20)")
    parser.add_argument(
        "--queued-audio-s", type=float, default=2.0, help="that may wait for each replica (default: 2)"
    )
    parser.add_argument(
        "--patience-s", type=float, default=60.0, help="before fewer are wanted (default: 60)"
    )
    parser.add_argument(
        "--told", choices=[told.name.lower() for told in Told], default="alive",
        help="when gateways learn of each other's calls (default: alive, once a second)",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    aim = Aim(options.floor, options.ceiling, options.queued_audio_s, options.patience_s)
    times = read_times(options.times.read_text(encoding="utf-8"))
    setting = FleetSetting(
        node=Setting(times=times, manner=Manner().talking(options.talk)),
        calls=options.calls,
        start_s=options.start_s,
        told=Told[options.told.upper()],
        scaler=scaler(aim),
    )
    begun = time.perf_counter()
    parts = _day(setting, options)
    if options.plot:
        options.plot.write_text(_picture(parts), encoding="utf-8")
    return {
        "options": {
            name: value for name, value in vars(options).items() if isinstance(value, int | float | str)
        },
        "worst_final_p95_ms": max(part.final_p95_ms or 0.0 for part in parts),
        "worst_partial_p95_ms": max(part.partial_p95_ms or 0.0 for part in parts),
        "finals": sum(part.finals for part in parts),
        "most_replicas": max(part.replicas for part in parts),
        "took_s": round(time.perf_counter() - begun, 1),
        "parts": [dataclasses.asdict(part) for part in parts],
    }


def _day(setting: FleetSetting, options: argparse.Namespace) -> list[Minute]:
    timeline = Timeline()
    fleet = Fleet(timeline, setting, dict.fromkeys(setting.node.times.tiers, options.floor))
    part_s = options.hour_s / PARTS
    for part in range(HOURS * PARTS):
        fleet.set_sessions(round(options.peak * day(part / (HOURS * PARTS))))
        if part == LOST_REPLICA * PARTS + 1:
            fleet.lose_replica(Tier.FAST)
        if part == LOST_GATEWAY * PARTS + 1:
            fleet.lose_gateway()
        timeline.run((part + 1) * part_s)
        fleet.end_minute()
    return fleet.minutes


def _picture(parts: list[Minute]) -> str:
    def line(name: str, field: str, factor: float = 1.0) -> Line:
        told = [(part, getattr(minute, field)) for part, minute in enumerate(parts)]
        return Line(name, [(part / PARTS, factor * value) for part, value in told if value is not None])

    across = "hour of the day"
    return write(
        [
            Chart("Sessions", across, "", [line("sessions", "sessions")]),
            Chart("Replicas", across, "", [line("replicas", "replicas"), line("gateways", "gateways")]),
            Chart("A final's decode", across, "ms, p95", [line("final", "final_decode_p95_ms")]),
            Chart("A partial", across, "ms, p95", [line("partial", "partial_p95_ms")]),
            Chart("Replicas' calls", across, "% busy", [line("busy", "busy", 100)]),
        ]
    )
