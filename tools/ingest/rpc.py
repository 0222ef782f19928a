"""What it costs that the decode pool is in another process: time and CPU of a request and its answer.

The models answer at once, so that nothing is measured but the way there and back. The asking side is a
process of its own, as a media worker is.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.decode_pool import DecodePool
from rtc_stt.decoding import Answer, Decoder
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.testing import hypothesis
from signaling.workers.frames import Frame
from signaling.workers.link import open_link
from signaling.workers.messages import PoolState
from signaling.workers.pool_server import PoolServer
from signaling.workers.remote_pool import RemotePool

__all__ = ["compare"]

WARM_UP = 20


async def compare(seconds: Sequence[float], count: int) -> dict[str, Any]:
    """For each length of audio, what ``count`` requests cost in one process and in two."""
    found: dict[str, Any] = {}
    for length in seconds:
        one = await _local(length, count)
        two = await _remote(length, count) | await _longest_turn_of(length, count)
        more = two["asker_cpu_us"] + two["front_cpu_us"] - one["asker_cpu_us"]
        found[f"{length:g}_s"] = {"one_process": one, "two_processes": two, "more_cpu_us": more}
    return found


class _Silent:
    """A model that hears nothing, at once, and keeps nothing."""

    name = "silent"
    languages = frozenset({"en"})

    def decode(self, request: DecodeRequest) -> Hypothesis:
        return hypothesis(request, "")


async def _local(seconds: float, count: int) -> dict[str, Any]:
    pool = DecodePool({Tier.FAST: _Silent()}, concurrency=1)
    asked = await _ask(pool, seconds, count)
    await pool.aclose()
    return asked


async def _remote(seconds: float, count: int) -> dict[str, Any]:
    began = time.process_time()
    asked: dict[str, Any] = json.loads(await _be_asked(seconds, count))
    asked["front_cpu_us"] = round((time.process_time() - began) / (count + WARM_UP) * 1e6)
    return asked


async def _longest_turn_of(seconds: float, count: int) -> dict[str, Any]:
    """In a run of its own: to look at every turn of the loop keeps it busy."""
    asking = asyncio.ensure_future(_be_asked(seconds, count))
    longest, last = 0.0, time.thread_time()
    while not asking.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return {"front_longest_turn_ms": round(longest * 1000, 2)}


async def _be_asked(seconds: float, count: int) -> bytes:
    """Serve a process that asks; gives what it found."""
    pool = DecodePool({Tier.FAST: _Silent()}, concurrency=1)
    ours, theirs = socket.socketpair()
    gone = asyncio.get_running_loop().create_future()
    with theirs:
        asker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tools.ingest.rpc", str(theirs.fileno()), str(seconds), str(count),
            pass_fds=[theirs.fileno()], stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    link = await open_link(ours, lambda frame: _serve(server, frame), gone.set_result)
    server = PoolServer(pool, link.send)
    (told, _), _ = await asyncio.gather(asker.communicate(), gone)
    await pool.aclose()
    return told


def _serve(server: PoolServer, frame: Frame) -> None:
    if not server.receive(frame):
        raise ValueError(frame.type)


async def _ask(pool: Decoder, seconds: float, count: int) -> dict[str, Any]:
    """One request after the other."""
    audio = np.random.default_rng(1).random(round(seconds * SAMPLE_RATE), np.float32)
    answers: asyncio.Queue[Answer] = asyncio.Queue()
    pool.attach("a", answers.put_nowait)
    took, began = list[float](), 0.0
    for number in range(WARM_UP + count):
        if number == WARM_UP:
            began = time.process_time()
        asked_at = time.perf_counter()
        pool.submit(DecodeRequest("a", number, 1, Tier.FAST, Urgency.FINAL, audio, 0))
        await answers.get()
        took.append(time.perf_counter() - asked_at)
    return {
        "ms": {name: round(value, 3) for name, value in _quantiles(took[WARM_UP:]).items()},
        "asker_cpu_us": round((time.process_time() - began) / count * 1e6),
    }


def _quantiles(took: Sequence[float]) -> dict[str, float]:
    cut = statistics.quantiles([1000 * seconds for seconds in took], n=100)
    return {"p50": cut[49], "p99": cut[98]}


async def _be_the_asker(descriptor: int, seconds: float, count: int) -> None:
    state = PoolState({"fast": "scripted", "accurate": None}, frozenset({"en"}), has_accurate_tier=False)
    link = await open_link(
        socket.socket(fileno=descriptor), lambda frame: _hear(pool, frame), lambda _reason: None
    )
    pool = RemotePool(state, link)
    print(json.dumps(await _ask(pool, seconds, count)))
    link.close("done")


def _hear(pool: RemotePool, frame: Frame) -> None:
    if not pool.receive(frame):
        raise ValueError(frame.type)


if __name__ == "__main__":
    asyncio.run(_be_the_asker(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
