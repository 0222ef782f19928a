"""Media workers against one process: loop lag and CPU with the same sessions, and what a decode costs more.

Workers are for machines with many cores. On a few, with the clients on the same machine, this shows what
they cost rather than what they gain.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

import psutil

from rtc_stt.bench.server import running
from tools.ingest import rpc
from tools.ingest.soak import Line, lines
from tools.ingest.speaker import Speaker
from tools.ingest.watch import loop_lag

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "sessions carried by 0 and by some media workers: loop lag, CPU, and what a decode costs more"
LINES = 6
PERIOD_S = 10.0
"""From clip to clip of a session."""
CONNECT_EVERY_S = 0.2
LENGTHS_S = (1.0, 3.0, 8.0, 20.0)
"""Of the audio of a decode: a partial, a sentence, where long utterances are committed, and the longest."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--sessions", type=int, default=16, help="default: 16")
    parser.add_argument("--seconds", type=float, default=30, help="of each run (default: 30)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="default: 0 2")
    parser.add_argument("--decodes", type=int, default=500, help="of each length (default: 500)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    script = asyncio.run(lines(LINES, PERIOD_S - 4))
    carried = {f"{workers}_workers": _carry(options, workers, script) for workers in options.workers}
    decodes = asyncio.run(rpc.compare(LENGTHS_S, options.decodes))
    return {
        "sessions": options.sessions,
        "seconds": options.seconds,
        "carried": carried,
        "decode_over_the_socket": decodes,
        "marks": {
            "every clip has its final": all(run["finals"] == run["clips"] for run in carried.values()),
            "no turn of the front's loop takes over 5 ms for a request": all(
                figures["two_processes"]["front_longest_turn_ms"] <= 5 for figures in decodes.values()
            ),
        },
    }


def _carry(options: argparse.Namespace, workers: int, script: list[Line]) -> dict[str, Any]:
    environment = {
        "MEDIA_WORKERS": str(workers),
        "MAX_SESSIONS": str(options.sessions + 8),
        "MAX_HALF_OPEN_PER_KEY": "32",
        "RATE_LIMIT_RPS": "50",
    }
    with running(None, environment=environment) as server:
        if server.pid is None:
            sys.exit("workers watches the processes")
        return asyncio.run(_run(options, server.url, server.pid, script))


async def _run(options: argparse.Namespace, url: str, pid: int, script: list[Line]) -> dict[str, Any]:
    async with Speaker(url) as first:  # the first session of a process pays for imports and pools
        first.say(script[0].packets)
        await first.ear.wait_for("transcript.final", timeout=20)
    lag_before, cpu_before, begun = await loop_lag(url), _cpu(pid), time.monotonic()
    counts = await asyncio.gather(*(_talk(url, n, options, script) for n in range(options.sessions)))
    took, cpu, lag = time.monotonic() - begun, _cpu(pid), (await loop_lag(url)).since(lag_before)
    spent = [after - before for before, after in zip(cpu_before, cpu, strict=True)]
    return {
        "clips": sum(said for said, _, _ in counts),
        "finals": sum(heard for _, heard, _ in counts),
        "sessions_by_worker": _by_worker([resource for _, _, resource in counts]),
        "loop_lag": lag.to_json(),
        "front_cores": round(spent[0] / took, 3),
        "worker_cores": [round(seconds / took, 3) for seconds in spent[1:]],
        "all_cores": round(sum(spent) / took, 3),
    }


def _cpu(pid: int) -> list[float]:
    """CPU seconds of the server and of each of its children, in the order of their beginning."""
    parent = psutil.Process(pid)
    family = [parent, *sorted(parent.children(), key=lambda child: child.pid)]
    return [sum(process.cpu_times()[:2]) for process in family]


async def _talk(
    url: str, number: int, options: argparse.Namespace, script: list[Line]
) -> tuple[int, int, str]:
    """One session: clips said, finals heard, and its resource."""
    await asyncio.sleep(number * max(CONNECT_EVERY_S, PERIOD_S / options.sessions))
    end, said = time.monotonic() + options.seconds, 0
    async with Speaker(url) as speaker:
        due = time.monotonic()
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += PERIOD_S
            speaker.say(script[(number + said) % len(script)].packets)
            said += 1
            await speaker.said()
        try:
            await speaker.ear.wait_for("transcript.final", count=said, timeout=8)
        except TimeoutError:
            print(f"session {number} lacks a final", file=sys.stderr)
        return said, len(speaker.ear.finals), speaker.resource


def _by_worker(resources: list[str]) -> dict[str, int]:
    names = [resource.removeprefix("/whip/").partition("-")[0] for resource in resources]
    names = [name if name[0] == "w" and name[1:].isdigit() else "front" for name in names]
    return {name: names.count(name) for name in sorted(set(names))}
