"""Two receive paths side by side: aiortc's own, and ours. Real sockets, DTLS and SRTP on loopback.

A trial is two processes: one sends packets that were encoded beforehand, one receives them on one of the
paths. Delay is from the moment a packet leaves to its being 16 kHz PCM; processor time is that of the
receiving process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.bench.result import percentiles
from signaling.codecs import opus_backend
from tools.ingest import opus

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "delay, processor time and delivered audio of the receive path: stock aiortc against ours"

PATHS = ("stock", "own")
SESSIONS = (1, 10, 20, 50, 80)
CONDITIONS: dict[str, dict[str, float]] = {
    "loss_0": {},
    "loss_1": {"loss": 0.01},
    "loss_3": {"loss": 0.03},
    "loss_5": {"loss": 0.05},
    "loss_10": {"loss": 0.10},
    "jitter_30_ms": {"jitter_s": 0.03},
    "jitter_30_ms_reordered": {"jitter_s": 0.03, "reorder": 0.1, "reorder_s": 0.03},
}
BESIDE_EACH_OTHER = 8
"""Sessions of a trial under bad conditions: each has a pattern of its own."""

LATE_MS = 60.0
"""A frame that took longer is late: no wait of ours is longer."""

GRACE_S = 1.0
"""For the last packets, after the sender has ended."""

AFTER = 5
"""Packets behind a hole: 100 ms later nothing of it should be felt."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--quick", action="store_true", help="a look in half a minute: few and short trials")
    parser.add_argument("--plot", type=Path, help="draw the figures here, as SVG")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All trials, and whether the marks were met."""
    sessions = (1, 5) if options.quick else SESSIONS
    chosen = ("loss_0", "loss_5") if options.quick else tuple(CONDITIONS)
    seconds = 3.0 if options.quick else 10.0
    load: dict[str, Any] = {path: {} for path in PATHS}
    network: dict[str, Any] = {path: {} for path in PATHS}
    with tqdm(total=len(PATHS) * (len(sessions) + len(chosen)), unit="trial") as bar:
        for count in sessions:
            for path in PATHS:
                load[path][str(count)] = asyncio.run(trial(path, count, seconds, {}))
                bar.update()
        for name in chosen:
            for path in PATHS:
                told = asyncio.run(trial(path, BESIDE_EACH_OTHER, seconds, CONDITIONS[name]))
                network[path][name] = told
                bar.update()
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        options.plot.write_text(draw(load, network), encoding="utf-8")
    return {
        "marks": marks(load, network),
        "opus": opus_backend(),
        "seconds_a_trial": seconds,
        "by_sessions": load,
        "by_network": network,
    }


async def trial(path: str, sessions: int, seconds: float, conditions: dict[str, float]) -> dict[str, Any]:
    """One run of both processes."""
    listener = await _start("listener", "--path", path)
    talker = await _start(
        "talker",
        "--sessions", str(sessions), "--seconds", str(seconds), "--conditions", json.dumps(conditions),
    )  # fmt: skip
    try:
        for _ in range(sessions):
            await _write(listener, await _read(talker))
            await _write(talker, await _read(listener))
        await _read(talker)
        await _write(listener, {"begin": True})
        await _write(talker, {"go": True})
        said = await _read(talker)
        await _write(listener, {"end": GRACE_S})
        heard = await _read(listener)
        await _write(talker, {"end": True})
        await asyncio.gather(listener.wait(), talker.wait())
    finally:
        for process in (listener, talker):
            if process.returncode is None:
                process.kill()
    return summary(heard, said, sessions)


def summary(heard: dict[str, Any], said: dict[str, Any], sessions: int) -> dict[str, Any]:
    """The figures of a trial."""
    delays = [delay for ledger in heard["delays_ms"] for _, delay in ledger]
    sent = said["packets"] * sessions * SAMPLE_RATE * opus.FRAME_MS / 1000
    samples = heard["samples"]
    return {
        "sessions": sessions,
        "cpu_percent_per_session": round(heard["cpu_percent"] / sessions, 3),
        "rss_mib": round(heard["rss_mib"], 1),
        "delay_ms": percentiles(delays) | {"max": max(delays, default=None)},
        "delay_ms_100_ms_after_a_hole": percentiles(behind_holes(heard["delays_ms"], AFTER)),
        "late_frames": sum(delay > LATE_MS for delay in delays),
        "media_time_percent": {
            "in_all": round(100 * sum(samples.values()) / sent, 2),
            **{origin: round(100 * count / sent, 2) for origin, count in samples.items()},
        },
        "sender_timer_late_ms": said["timer_late_ms"],
        "waited_for_a_core_ms": round(heard["waited_ms"], 1),
    }


def behind_holes(ledgers: Iterable[list[tuple[int, float]]], after: int) -> list[float]:
    """Delays of packets that come ``after`` packets behind one that did not, none between them missing."""
    found: list[float] = []
    for ledger in ledgers:
        delays = dict(ledger)
        for number, delay in delays.items():
            near = range(number - after + 1, number)
            if number >= after and number - after not in delays and all(other in delays for other in near):
                found.append(delay)
    return found


def marks(load: dict[str, Any], network: dict[str, Any]) -> dict[str, bool]:
    """What the receive path must show; only of what was measured."""
    own = network["own"]
    told = {
        "delay_without_loss_p50_at_most_5_ms": own["loss_0"]["delay_ms"]["p50"] <= 5,
        "delay_at_5_percent_loss_p99_at_most_60_ms": own["loss_5"]["delay_ms"]["p99"] <= 60,
        "delay_100_ms_after_a_hole_p50_at_most_5_ms": own["loss_5"]["delay_ms_100_ms_after_a_hole"]["p50"]
        <= 5,
        "media_time_at_5_percent_loss_at_least_99_percent": own["loss_5"]["media_time_percent"]["in_all"]
        >= 99,
    }
    if "20" in load["own"]:
        stock, ours = (load[path]["20"]["cpu_percent_per_session"] for path in PATHS)
        told["cpu_at_20_sessions_at_most_a_third_of_stock"] = ours <= stock / 3
    if "80" in load["own"]:
        told["no_late_frame_at_80_sessions"] = load["own"]["80"]["late_frames"] == 0
    return told


def draw(load: dict[str, Any], network: dict[str, Any]) -> str:
    """The figures as a picture."""
    names = {"stock": "stock aiortc", "own": "rtc-stt"}
    rates = [name for name in network["own"] if name.startswith("loss_")]

    def lines(points: Any) -> list[Line]:
        return [Line(names[path], points(path)) for path in PATHS]

    return write(
        [
            Chart(
                "CPU per session", "sessions", "% of a core",
                lines(lambda p: [(int(n), t["cpu_percent_per_session"]) for n, t in load[p].items()]),
            ),
            Chart(
                "Delay, packet to PCM (median)", "sessions", "ms",
                lines(lambda p: [(int(n), t["delay_ms"]["p50"]) for n, t in load[p].items()]),
                log=True,
            ),
            Chart(
                "Media time delivered", "random loss, %", "%",
                lines(lambda p: [(int(r[5:]), network[p][r]["media_time_percent"]["in_all"]) for r in rates]),
            ),
        ]
    )  # fmt: skip


# ── Processes ──


async def _start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tools.ingest.{module}", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26,
    )  # fmt: skip


async def _read(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the trial has ended before its time")
    return dict(json.loads(line))


async def _write(process: asyncio.subprocess.Process, message: dict[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(message).encode() + b"\n")
    await process.stdin.drain()
