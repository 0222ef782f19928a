"""Clients come and go, in several ways; what the server holds must not grow.

The server is a process of its own. After some cycles to warm up it is looked at again and again, each time
when the last session has ended: resident memory, file descriptors, threads, asyncio tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from rtc_stt.commands import Ping, Stop
from tools.live_line.client import LiveClient

HELP = "connect and close many times, and see that the server holds no more than before"

WARM_UP = 40
"""Cycles before the first look: pools start their threads, allocators take their arenas."""

AT_ONCE = 4
SAMPLES = 16
MAX_SLOPE_KB = 4.0
"""Of memory, per cycle. One leaked connection holds over 200 kB, one leaked session over 50."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many."""
    parser.add_argument("--count", type=int, default=400, help="cycles (default: 400)")


@dataclass(frozen=True)
class Held:
    """What the server holds."""

    cycles: int
    rss_kb: int
    descriptors: int
    threads: int
    tasks: int


class Watched:
    """A server of ``rtc-stt`` in a process of its own, and what it holds.

    Args:
        folder: for its log.
        arguments: of ``rtc-stt``; the first is the command.
        environment: beside that of this process.
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self._tasks, self._log = folder / f"{arguments[0]}.tasks", folder / f"{arguments[0]}.log"
        self._tasks.touch()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.ingest.counted", str(self._tasks), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def url(self) -> str:
        """The address that it tells once it serves."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"http://\S+:\d+", self.log):
                return found.group()
            time.sleep(0.05)
        raise RuntimeError(f"the server did not come up:\n{self.log}")

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8")

    async def tasks(self) -> int:
        """How many asyncio tasks it has now."""
        before = self._tasks.stat().st_size
        self._process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(10):
            while self._tasks.stat().st_size == before:
                await asyncio.sleep(0.02)
        return int(self._tasks.read_text().split()[-1])

    async def held(self, cycles: int) -> Held:
        """What it holds now."""
        tasks = await self.tasks()
        process = psutil.Process(self.pid)
        return Held(
            cycles=cycles,
            rss_kb=process.memory_info().rss // 1024,
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            tasks=tasks,
        )

    @property
    def is_calm(self) -> bool:
        """Whether it has said nothing alarming."""
        return "Traceback" not in self.log and " ERROR " not in self.log

    def stop(self) -> int:
        """As an operator does; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(10)


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    """A server for the length of a measurement."""
    with tempfile.TemporaryDirectory() as folder:
        server = Watched(Path(folder), "demo", "--port", "0", RESUME_SECONDS="1")
        try:
            yield server
        finally:
            server.stop()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    with watched() as server:
        looks = asyncio.run(_measure(server, options.count))
        code = server.stop()
        clean = code == 0 and server.is_calm
    first, last = looks[0], looks[-1]
    slope = statistics.linear_regression([h.cycles for h in looks], [h.rss_kb for h in looks]).slope
    return {
        "cycles": options.count,
        "ways": list(WAYS),
        "memory_slope_kb_per_cycle": round(slope, 2),
        "looks": [asdict(held) for held in looks],
        "marks": {
            "descriptors as before": last.descriptors <= first.descriptors,
            "threads as before": last.threads <= first.threads,
            "tasks as before": last.tasks <= first.tasks,
            f"memory grows less than {MAX_SLOPE_KB:g} kB a cycle": slope < MAX_SLOPE_KB,
            "ends with 0 and without an error": clean,
        },
    }


async def _measure(server: Watched, count: int) -> list[Held]:
    url = server.url()
    await cycle_many(url, WARM_UP)
    looks = [await look(server, url, 0)]
    done, step = 0, max(AT_ONCE, count // SAMPLES)
    while done < count:
        few = min(step, count - done)
        await cycle_many(url, few)
        done += few
        looks.append(await look(server, url, done))
        print(looks[-1], file=sys.stderr)
    return looks


async def look(server: Watched, url: str, cycles: int) -> Held:
    """Once nobody is there any more."""
    async with aiohttp.ClientSession(url) as http, asyncio.timeout(30):
        while True:
            async with http.get("/v1/ready") as response:
                if (await response.json())["sessions"] == 0:
                    break
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # for what closes behind a session: its peer, its sockets
    return await server.held(cycles)


async def cycle_many(url: str, count: int) -> None:
    """So many clients, a few at a time, in all ways in turn."""
    for begin in range(0, count, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, count))
        await asyncio.gather(*(_cycle(url, list(WAYS)[number % len(WAYS)]) for number in numbers))


WAYS = {
    "stop": "the client stops, and waits for the end",
    "delete": "the client deletes the session",
    "close": "the client closes its connection and says no more",
}


async def _cycle(url: str, way: str) -> None:
    async with LiveClient(url) as client:
        client.send(Ping("1"))
        await client.wait_for("pong")
        if way == "stop":
            client.send(Stop())
            await client.wait_for("session.ended")
        elif way == "close":
            client.resource = None
