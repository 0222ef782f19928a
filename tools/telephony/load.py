"""So many SIP calls at a time on one core: packets that are late, processor time, how late the loop is.

The server has one core to itself, with everything that it does: SIP, RTP, decoders, detector, sessions and,
where it has any time left, decodes. The caller has another. A packet is late where more than 20 ms passed
from its leaving to its audio being with its session; the line is in order, so nothing waits for jitter.

A virtual machine's core is put aside by its host for tens of milliseconds now and then. A watcher with a
real-time priority on the server's core notes when; packets that were on their way meanwhile, or in as long
again behind it, are counted for themselves: no server could have had them in time. It also times the same
little work again and again: such a core is not always as fast as it can be. And the kernel tells for how much
of the time the host gave the core to others (``steal``, where the host says so).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import load
from rtc_stt.bench.result import percentiles
from rtc_stt.priority import NICENESS
from signaling.jitter import MAX_WAIT_S
from tools.ingest.stalls import Stalls, watching
from tools.ingest.watch import loop_lag, metric
from tools.ports import free_port
from tools.replicas.processes import KEY
from tools.telephony.caller import Caller, OnCall
from tools.telephony.line import payloads

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "many SIP calls on one core: late packets, processor time, loop lag"

LATE_MS = 20.0
WARM_UP_S = 3.0
"""Spoken before anything counts."""

SETTLE_S = 0.3
"""For packets that are on their way."""

SCRIPTS = 16
SCRIPT_S = 40.0
LINE_NOISE = 10 ** (-60 / 20)
"""Of a quiet line, against full scale: no digital silence, so that nothing can be left out for it."""

CALLS_A_SECOND = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--calls", type=int, default=150, help="at a time (default: 150)")
    parser.add_argument("--seconds", type=float, default=60, help="that count (default: 60)")
    parser.add_argument("--talk", type=float, default=0.4, help="share of time with speech (default: 0.4)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--decodes-elsewhere",
        action="store_true",
        help="decodes run on the caller's core, as on a GPU: the one core has all the rest",
    )
    where.add_argument(
        "--replicas",
        action="store_true",
        help="decodes are of replicas on the caller's core, as on other machines: the server has no models",
    )
    parser.add_argument("--law", choices=("mulaw", "alaw"), default="mulaw", help="(default: mulaw)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    scripts = [payloads(_script(seed, options.talk), options.law) for seed in range(SCRIPTS)]
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        engine = stack.enter_context(_replicas(cores[-1])) if options.replicas else None
        server = _Server(Path(folder), cores[0], options.calls, engine)
        if options.decodes_elsewhere:
            server.move_decodes(cores[-1])
        os.sched_setaffinity(0, set(cores[1:]) or set(cores))
        _be_on_time()
        try:
            with watching(cores[0]) as stalls:
                told = _run(server, options, scripts, stalls)
        finally:
            _be_ordinary()
            server.stop()
            os.sched_setaffinity(0, set(cores))
    late = told["packets_late"]
    return {
        "calls": options.calls,
        "seconds": options.seconds,
        "talk_share": options.talk,
        "law": options.law,
        "decodes": "replicas" if options.replicas else "elsewhere" if options.decodes_elsewhere else "here",
        "marks": {
            "no_packet_late": late == 0,
            "no_packet_lost": told["packets_lost"] == 0,
            "every_call_understood": told["finals"] >= options.calls * min(1, options.seconds // 20),
            "sender_on_time": told["sender_late_ms"]["p99"] < LATE_MS / 4,
        },
        **told,
    }


def _run(
    server: _Server, options: argparse.Namespace, scripts: list[list[bytes]], stalls: Stalls
) -> dict[str, Any]:
    caller = Caller(("127.0.0.1", server.sip_port), payload_type=0 if options.law == "mulaw" else 8)
    calls = list[OnCall]()
    try:
        for number in range(options.calls):
            calls.append(caller.call(f"load-{number}"))
            time.sleep(1 / CALLS_A_SECOND)
        spoken = [_from(scripts[n % SCRIPTS], n) for n in range(len(calls))]
        caller.speak(calls, spoken, WARM_UP_S)
        time.sleep(SETTLE_S)
        server.delays()
        caller.lags_s.clear()
        before, busy, begun = asyncio.run(server.figures()), server.cpu_s(), time.monotonic()
        stolen = server.stolen_s()
        # From the second time on each call is elsewhere in its script.
        at = round(WARM_UP_S * 50)
        sent = caller.speak(calls, [script[at:] + script[:at] for script in spoken], options.seconds)
        after, done = asyncio.run(server.figures()), server.cpu_s()
        stolen = server.stolen_s() - stolen
        time.sleep(SETTLE_S)
        noted = server.delays()
        for call in calls:
            caller.hang_up(call)
    finally:
        caller.close()
    used = {name: done[name] - busy[name] for name in done}
    lag = after["lag"].since(before["lag"])
    delays = sorted(1000 * seconds for _, seconds in noted)
    late = [(there - seconds, there) for there, seconds in noted if seconds * 1000 > LATE_MS]
    stood_still = [(begin, end) for begin, end in stalls.spans() if end > begun]
    return {
        "packets": sent,
        "packets_noted": len(delays),
        "packets_late": sum(not _meets(span, stood_still) for span in late),
        "packets_late_for_the_machine": sum(_meets(span, stood_still) for span in late),
        "packets_past_the_jitter_buffer": sum(there - left > MAX_WAIT_S for left, there in late),
        "core_stood_still_ms": sorted(round(1000 * (end - begin), 1) for begin, end in stood_still),
        "core_stolen_percent": round(100 * stolen / options.seconds, 1),
        "core_slowness": percentiles(stalls.slowness(begun), digits=2),
        "packets_lost": sent - len(delays),
        "delay_ms": percentiles(delays, digits=2) | {"max": round(max(delays, default=0.0), 1)},
        "sender_late_ms": percentiles([1000 * s for s in caller.lags_s], digits=2),
        "cpu_percent_of_a_core": {
            name: round(100 * seconds / options.seconds, 1) for name, seconds in used.items()
        },
        "cpu_ms_per_second_of_a_call": round(1000 * used["in_all"] / options.seconds / options.calls, 2),
        "loop_lag": lag.to_json(),
        "finals": round(after["finals"] - before["finals"]),
        "rss_mib": round(psutil.Process(server.pid).memory_info().rss / 2**20, 1),
    }


def _be_on_time() -> None:
    """A telephone line is on time, whatever decodes beside it; what is late comes in a burst."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def _be_ordinary() -> None:
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def _replicas(core: int) -> Iterator[str]:
    """A machine that decodes, on a core of its own and after whoever else is on it; gives where it is."""
    command = ["taskset", "--cpu-list", str(core), "nice", "-n", str(NICENESS)]
    with subprocess.Popen(
        [*command, sys.executable, "-m", "tools.replicas.node", "--calls", "2"],
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            assert node.stdout
            if not (place := node.stdout.readline().strip()):
                raise RuntimeError("the replicas did not come up")
            yield f"ray://{place}"
        finally:
            node.terminate()


class _Server:
    """Answers on one core.

    Args:
        engine: where replicas are; None: it has demo models of its own.
    """

    def __init__(self, folder: Path, core: int, calls: int, engine: str | None) -> None:
        self.sip_port = free_port()
        self._delays, self._log = folder / "delays", folder / "log"
        settings = {
            "SIP_PORT": str(self.sip_port),
            "SIP_ALLOW": "127.0.0.1/32",
            "MAX_CALLS": str(calls + 1),
            "MAX_SESSIONS": str(2 * calls + 2),
        }
        if engine:
            settings |= {"ENGINE": engine, "WORKERS_KEY": KEY}
        verb = "serve" if engine else "demo"
        os.sched_setaffinity(0, {core})
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.telephony.answerer", str(self._delays), verb, "--port", "0"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | settings,
            )
        self.pid = self._process.pid
        self._core = core
        self._url = self._wait()

    def _wait(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"http://\S+:\d+", self._log.read_text(encoding="utf-8")):
                return found[0]
            time.sleep(0.05)
        self._process.kill()
        raise RuntimeError(f"the server did not come up:\n{self._log.read_text(encoding='utf-8')}")

    def move_decodes(self, core: int) -> None:
        """Let them run there: they are the threads that are nicer."""
        for thread in psutil.Process(self.pid).threads():
            if os.getpriority(os.PRIO_PROCESS, thread.id) >= NICENESS:
                os.sched_setaffinity(thread.id, {core})

    def delays(self) -> list[tuple[float, float]]:
        """Of the packets since the last time: when each was there, and after how long; seconds."""
        self._delays.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 20
        while not self._delays.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("the server does not tell its delays")
            time.sleep(0.02)
        told = array("d", self._delays.read_bytes())
        return list(zip(told[::2], told[1::2], strict=True))

    async def figures(self) -> dict[str, Any]:
        """Of its metrics."""
        finals = await metric(self._url, "rtc_stt_endpoint_to_final_seconds_count")
        return {"lag": await loop_lag(self._url), "finals": sum(finals.values())}

    def cpu_s(self) -> dict[str, float]:
        """Seconds of processor time: of the loop's thread, of decodes (which are nicer), of the rest."""
        told = {"in_all": 0.0, "loop": 0.0, "decodes": 0.0, "detector_and_others": 0.0}
        for child in psutil.Process(self.pid).children():  # the detector, where it has a process
            times = child.cpu_times()
            told["in_all"] += times.user + times.system
            told["detector_and_others"] += times.user + times.system
        for thread in psutil.Process(self.pid).threads():
            seconds = thread.user_time + thread.system_time
            told["in_all"] += seconds
            if thread.id == self.pid:
                told["loop"] += seconds
            elif os.getpriority(os.PRIO_PROCESS, thread.id) >= NICENESS:
                told["decodes"] += seconds
            else:
                told["detector_and_others"] += seconds
        return told

    def stolen_s(self) -> float:
        """For how long so far the host gave its core to others."""
        with Path("/proc/stat").open(encoding="ascii") as lines:
            [words] = [line.split() for line in lines if line.startswith(f"cpu{self._core} ")]
        return int(words[8]) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _meets(way: tuple[float, float], spans: Sequence[tuple[float, float]]) -> bool:
    """Whether something was on its way in one of the spans, or in as long again behind it."""
    left, there = way
    return any(begin < there and left < end + (end - begin) for begin, end in spans)


def _script(seed: int, talk: float) -> Samples:
    """Clips and pauses by turns, at random, on a line that is never quite silent."""
    chance, clips = random.Random(seed), load("clean", "digits")
    parts, seconds = list[Samples](), 0.0
    while seconds < SCRIPT_S:
        speech = chance.choice(clips).speech()
        pause = len(speech) * (1 / talk - 1) * chance.uniform(0.5, 1.5)
        parts += [speech, np.zeros(round(pause), np.float32)]
        seconds = sum(map(len, parts)) / SAMPLE_RATE
    audio = np.concatenate(parts)
    noise = np.random.default_rng(seed).standard_normal(len(audio)) * LINE_NOISE
    return np.asarray(np.clip(audio + noise, -1, 1), np.float32)


def _from(script: list[bytes], number: int) -> list[bytes]:
    """Calls with the same script are not in the same place of it."""
    at = number * 137 % len(script)
    return script[at:] + script[:at]
