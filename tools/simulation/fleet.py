"""p95 against load, up to as many sessions as no machine here could carry: every node is simulated by itself,
or with those that use the same replicas.

Sessions are dealt out evenly; who speaks when is chance, and so is which node has a bad minute. The figure
of a fleet is that of all its finals and partials together.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.percentiles import nearest_rank
from rtc_stt.simulation import FleetSetting, Manner, Setting, read_times
from rtc_stt.simulation.fleet_plan import cell_waits
from rtc_stt.simulation.run import speak

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "p95 against load for fleets of up to 100,000 sessions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--times", type=Path, required=True, help="of one node, from rtc-stt bench times")
    parser.add_argument("--per-node", type=int, default=50, help="sessions of each node (default: 50)")
    parser.add_argument(
        "--sessions", default="100,1000,10000,100000", help="of the fleets (default: 100,1000,10000,100000)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="that count (default: 60)")
    parser.add_argument("--talk", type=float, default=0.4, help="share of time with speech (default: 0.4)")
    parser.add_argument(
        "--replicas", type=int, default=0,
        help="that share the decodes of as many sessions as --cell says; 0: each node decodes for itself",
    )  # fmt: skip
    parser.add_argument(
        "--cell", type=int, default=400, help="sessions whose gateways share replicas (default: 400)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it here")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    setting = Setting(
        times=read_times(options.times.read_text(encoding="utf-8")), manner=Manner().talking(options.talk)
    )
    share = options.cell if options.replicas else options.per_node
    rows = []
    with ProcessPoolExecutor() as pool:
        for sessions in map(int, options.sessions.split(",")):
            begun = time.perf_counter()
            parts = -(-sessions // share)
            each = [sessions * (n + 1) // parts - sessions * n // parts for n in range(parts)]
            if options.replicas:
                fleet = FleetSetting(node=setting, sessions_a_gateway=options.per_node)
                count = options.replicas
                tasks = [pool.submit(_cell, fleet, m, count, n, options.seconds) for n, m in enumerate(each)]
            else:
                tasks = [pool.submit(_node, setting, m, n, options.seconds) for n, m in enumerate(each)]
            rows.append(_row(sessions, [task.result() for task in tasks], time.perf_counter() - begun))
    if options.plot:
        options.plot.write_text(_picture(rows), encoding="utf-8")
    told = {name: getattr(options, name) for name in ("per_node", "talk", "seconds", "replicas", "cell")}
    return told | {"fleets": rows}


def _node(setting: Setting, sessions: int, seed: int, seconds: float) -> dict[str, list[float]]:
    node = speak(setting, sessions, seconds, seed)
    return {
        "finals": node.waits.finals,
        "decodes": node.waits.final_decodes,
        "partials": node.waits.partials,
        "busy": [sum(node.utilisations) / len(node.utilisations)],
        "highest": [float(max(node.steps))],
    }


def _cell(
    setting: FleetSetting, sessions: int, replicas: int, seed: int, seconds: float
) -> dict[str, list[float]]:
    """Gateways with their replicas."""
    minute, waits = cell_waits(setting, sessions, replicas, seconds=seconds, seed=seed)
    return {
        "finals": waits.finals,
        "decodes": waits.final_decodes,
        "partials": waits.partials,
        "busy": [minute.busy],
        "highest": [float(minute.highest_step)],
    }


def _row(sessions: int, told: list[dict[str, list[float]]], took_s: float) -> dict[str, Any]:
    def p95_ms(name: str) -> float:
        values = sorted(value for one in told for value in one[name])
        return round(1000 * nearest_rank(values, 95), 1) if values else 0.0

    busy = [one["busy"][0] for one in told]
    return {
        "sessions": sessions,
        "nodes": len(told),
        "finals": sum(len(one["finals"]) for one in told),
        "final_p95_ms": p95_ms("finals"),
        "final_decode_p95_ms": p95_ms("decodes"),
        "partial_p95_ms": p95_ms("partials"),
        "busy_mean": round(sum(busy) / len(busy), 3),
        "busy_most": round(max(busy), 3),
        "nodes_that_left_something_out": sum(one["highest"][0] > 0 for one in told),
        "took_s": round(took_s, 1),
    }


def _picture(rows: list[dict[str, Any]]) -> str:
    def line(name: str) -> list[Line]:
        return [Line("p95", [(row["sessions"], row[name]) for row in rows])]

    return write(
        [
            Chart(title, "sessions", "ms", line(name), log_across=len(rows) > 1)
            for title, name in (
                ("A final's decode", "final_decode_p95_ms"),
                ("A partial", "partial_p95_ms"),
            )
        ]
    )
