"""Clients that come and go, hundreds of times: what each leaves behind."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

from tqdm import tqdm

from rtc_stt.commands import Stop
from tools.ingest import opus
from tools.ingest.speaker import Speaker
from tools.ingest.watch import Holdings, slope
from tools.live_line.server import running

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "hundreds of clients that come and go: memory, descriptors and threads stay flat"
SIDE_BY_SIDE = 3
WARM_UP = 0.5
"""The share of cycles before memory is looked at: by then as many vanish as are given up."""
WAYS = ("stop", "delete", "vanish")
"""How clients leave, in turn. Those that vanish are waited for ``RESUME_SECONDS``, here a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--count", type=int, default=400, help="default: 400")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    environment = {
        "MAX_SESSIONS": "1000",  # who vanishes is noticed after half a minute
        "MAX_HALF_OPEN_PER_KEY": "32",
        "RATE_LIMIT_RPS": "100",
        "RATE_LIMIT_BURST": "100",
        "RESUME_SECONDS": "1",
    }
    with running(None, environment=environment) as server:
        if server.pid is None:
            sys.exit("cycles watches a process")
        return asyncio.run(_measure(options.count, server.url, server.pid))


async def _measure(count: int, url: str, pid: int) -> dict[str, Any]:
    begun, turns = time.monotonic(), asyncio.Semaphore(SIDE_BY_SIDE)
    samples: list[tuple[int, Holdings]] = []
    await cycle(url, "stop")  # the first one pays for imports and pools
    base = Holdings.of(pid, begun)
    with tqdm(total=count, unit="cycle") as bar:

        async def one(number: int) -> None:
            async with turns:
                await cycle(url, WAYS[number % len(WAYS)])
            bar.update()
            if bar.n % 10 == 0:
                samples.append((int(bar.n), Holdings.of(pid, begun)))

        await asyncio.gather(*map(one, range(count)))
    await asyncio.sleep(45)  # until who has vanished is given up
    after = Holdings.of(pid, begun)
    steady = [(n, holdings.rss_mib) for n, holdings in samples if n > WARM_UP * count]
    per_hundred = 100 * slope(steady)
    marks = {
        "memory_within_1_mib_a_hundred_cycles": per_hundred <= 1.0,
        "descriptors_back_to_base": after.descriptors <= base.descriptors,
        "threads_back_to_base": after.threads <= base.threads + 2,
    }
    return {
        "marks": marks,
        "cycles": count,
        "memory_mib_per_hundred_cycles": round(per_hundred, 3),
        "base": base.to_json(),
        "after": after.to_json(),
        "samples": [{"cycles": n, **holdings.to_json()} for n, holdings in samples],
    }


async def cycle(url: str, way: str) -> None:
    """Come, be heard for half a second, and go."""
    async with Speaker(url) as speaker:
        await speaker.ear.wait_for("session.started")
        speaker.say(opus.silence(0.5))
        await speaker.said()
        if way == "vanish":
            await speaker.vanish()
        elif way == "stop":
            speaker.send(Stop())
            await speaker.ear.wait_for("session.ended")
