"""SIP calls one after the other, some at a time; what the server holds must not grow.

sipp calls, speaks and hangs up; the server is a process of its own, and is looked at whenever no call is
left: UDP ports, descriptors, asyncio tasks, threads, memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from rtc_stt.audio import SAMPLE_RATE
from signaling.telephony.hub import MAX_REMEMBERED
from tools.ingest.cycles import Held, Watched, look
from tools.ports import free_port
from tools.telephony.ear import CallEar
from tools.telephony.packets import load, speak
from tools.telephony.sipp import run_sipp

__all__ = ["HELP", "Looked", "add_arguments", "answering", "call_many", "measure"]

HELP = "SIP calls of sipp one after the other: ports, descriptors, tasks and memory stay flat"

CLIP = Path(__file__).parents[2] / "tests" / "clips" / "digits" / "digits-012.flac"
WARM_UP = 40
"""Calls before the first look: pools start their threads, allocators take their arenas."""

SAMPLES = 10
RATE = 20
PATIENCE_S = 20.0
"""For the last finals, on a machine that has others to serve."""
MAX_SLOPE_KB = 4.0
"""Of memory, per call, once as many are remembered as ever are. One leaked session holds over 50 kB."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many."""
    parser.add_argument("--calls", type=int, default=2_000, help="default: 2000")
    parser.add_argument("--at-once", type=int, default=16, help="of them go on at a time (default: 16)")


@dataclass(frozen=True)
class Looked:
    """What the server holds after so many calls."""

    held: Held
    udp_ports: int

    def to_json(self) -> dict[str, int]:
        """By name; cycles are calls."""
        figures = asdict(self.held)
        return {"calls": figures.pop("cycles"), **figures, "udp_ports": self.udp_ports}


class Answering:
    """A server that takes calls, and is watched."""

    def __init__(self, server: Watched, sip_port: int) -> None:
        self.server, self.sip_port = server, sip_port
        self.url = server.url()

    async def look(self, calls: int) -> Looked:
        """Once no call is left."""
        held = await look(self.server, self.url, calls)
        sockets = psutil.Process(self.server.pid).net_connections("udp")
        return Looked(held, len(sockets))


@contextlib.contextmanager
def answering(**environment: str) -> Iterator[Answering]:
    """A server for the length of a measurement."""
    port = free_port()
    settings = {"SIP_PORT": str(port), "SIP_ALLOW": "127.0.0.1/32", "RESUME_SECONDS": "1", **environment}
    with tempfile.TemporaryDirectory() as folder:
        server = Watched(Path(folder), "demo", "--port", "0", **settings)
        try:
            yield Answering(server, port)
        finally:
            server.stop()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    with answering() as answers:
        looks, whole, failed = asyncio.run(_measure(answers, options.calls, options.at_once))
        code = answers.server.stop()
        clean = code == 0 and answers.server.is_calm
    first, last = looks[0], looks[-1]
    settled = [seen for seen in looks if seen.held.cycles >= MAX_REMEMBERED]
    points = [(seen.held.cycles, seen.held.rss_kb) for seen in (settled if len(settled) > 2 else looks)]
    slope = statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
    return {
        "calls": options.calls,
        "at_once": options.at_once,
        "calls_whole": whole,
        "memory_slope_kb_per_call": round(slope, 2),
        "looks": [seen.to_json() for seen in looks],
        "marks": {
            "every call went as the caller expects": not failed,
            "every call was told whole, a final among it": whole == options.calls,
            "descriptors as before": last.held.descriptors <= first.held.descriptors,
            "udp ports as before": last.udp_ports <= first.udp_ports,
            "tasks as before": last.held.tasks <= first.held.tasks,
            "threads as before": last.held.threads <= first.held.threads,
            f"memory grows less than {MAX_SLOPE_KB:g} kB a call": slope < MAX_SLOPE_KB,
            "ends with 0 and without an error": clean,
        },
    }


async def _measure(answers: Answering, count: int, at_once: int) -> tuple[list[Looked], int, int]:
    whole = failed = 0
    await call_many(answers, WARM_UP, at_once)
    looks = [await answers.look(0)]
    step = max(at_once, -(-count // SAMPLES))
    for done in range(0, count, step):
        few = min(step, count - done)
        good, code = await call_many(answers, few, at_once)
        whole, failed = whole + good, failed + (code != 0)
        looks.append(await answers.look(done + few))
        print(looks[-1].to_json(), file=sys.stderr)
    return looks, whole, failed


async def call_many(answers: Answering, count: int, at_once: int) -> tuple[int, int]:
    """So many calls; how many were told whole, a final among it, and the exit code of sipp."""
    audio = load(CLIP)
    async with CallEar(answers.url) as ear:
        run = await run_sipp(
            "call", answers.sip_port, caller="sequence", media={"speech.pcap": speak(audio)},
            values={"speech_ms": len(audio) * 1000 // SAMPLE_RATE + 100},
            calls=count, at_once=at_once, rate=RATE,
            timeout=60 + count * 3 / at_once,
        )  # fmt: skip
        if run.code:
            print(run.log, file=sys.stderr)
        deadline = time.monotonic() + PATIENCE_S
        while sum(call.is_over for call in ear.calls.values()) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        heard = [call for call in ear.calls.values() if call.is_over and call.is_whole]
        return sum(bool(call.of("transcript.final")) for call in heard), run.code
