"""What a decode costs more on a replica: the same requests in turn by a lane of threads and of replicas."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rtc_stt.bench import clips
from rtc_stt.decode_lane import Lane
from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane
from rtc_stt.percentiles import nearest_rank
from rtc_stt.replicas.lane import ReplicaTier
from rtc_stt.replicas.roster import Roster
from tools.replicas.processes import KEY, Directory, ReplicaProcess
from tools.replicas.serve import demo_engine

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "p50 and p95 of a decode by a lane of replicas beside one in the process, the same requests in turn"

BATCHES = (1, 4)
"""Requests in a call."""

PAUSE_S = 0.005
"""Between two calls: nobody waits for anybody."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument(
        "--rounds", type=int, default=12, help="times that each clip is decoded (default: 12)"
    )
    parser.add_argument("--clips", type=int, default=12, help="of them (default: 12)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See above."""
    return asyncio.run(_measure(options.clips, options.rounds))


class _Overheads(Instrument):
    """What the lane itself tells."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def replica_answered(self, tier: Tier, overhead_s: float) -> None:
        self.seconds.append(overhead_s)


class _Caller:
    """One call at a time, timed from ``start`` to ``done``."""

    def __init__(self) -> None:
        self._done: asyncio.Future[list[Answer]] | None = None

    def done(self, _lane: DecodeLane, _run: object, answers: list[Answer]) -> None:
        assert self._done
        self._done.set_result(answers)

    async def time(self, lane: DecodeLane, requests: list[DecodeRequest]) -> tuple[float, list[str]]:
        self._done = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        lane.start([Ticket(request, time.monotonic(), n) for n, request in enumerate(requests)])
        answers = await self._done
        took = time.perf_counter() - begun
        assert all(isinstance(answer, Hypothesis) for answer in answers), answers
        return took, [answer.text for answer in answers if isinstance(answer, Hypothesis)]


async def _measure(count: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        process = ReplicaProcess(Path(folder), Tier.FAST, "fast-1")
        try:
            async with Directory() as directory:
                directory.list(await asyncio.to_thread(process.replica))
                return await _compare(directory, count, rounds)
        finally:
            process.kill()


async def _compare(directory: Directory, count: int, rounds: int) -> dict[str, Any]:
    caller, told = _Caller(), _Overheads()
    nothing: Callable[[object], None] = lambda _: None  # noqa: E731
    here = Lane(
        Tier.FAST,
        demo_engine(Tier.FAST, 1),
        concurrency=1,
        hang_s=60,
        clock=time.monotonic,
        done=caller.done,
        changed=nothing,
    )
    tier = ReplicaTier(Tier.FAST, Roster([directory.place], KEY), KEY, 60, 60, told, time.monotonic)
    there = tier(done=caller.done, changed=nothing, queued_s=lambda: 0.0)
    there.wake()
    while not there.free:
        await asyncio.sleep(0.01)
    lanes: dict[str, DecodeLane] = {"here": here, "replica": there}
    taken: dict[int, dict[str, list[float]]] = {}
    differ = 0
    for size in BATCHES:
        taken[size] = {name: [] for name in lanes}
        for number, batch in enumerate(_batches(size, count, rounds)):
            texts = []
            for name in sorted(lanes, reverse=bool(number % 2)):  # in turn, and each first as often
                took, said = await caller.time(lanes[name], batch)
                if number >= count:  # the first round warms both up
                    taken[size][name].append(took)
                texts.append(said)
                await asyncio.sleep(PAUSE_S)
            differ += texts[0] != texts[1]
    for lane in lanes.values():
        await lane.aclose(1.0)
    return {
        "what": f"{count} clips, {rounds} rounds, one call at a time; a replica on the same machine",
        "batches": {f"of_{size}": _told(by_name) for size, by_name in taken.items()},
        "way_ms": _ranks(told.seconds),
        "marks": {"the same words": {"met": differ == 0, "value": differ, "at_most": 0}},
    }


def _batches(size: int, count: int, rounds: int) -> Iterator[list[DecodeRequest]]:
    audios = [clip.audio() for clip in clips.load("clean", limit=count)]
    for round_ in range(rounds + 1):
        for first in range(len(audios)):
            yield [
                DecodeRequest(
                    f"s{n}", 1, round_ + 1, Tier.FAST, Urgency.FINAL, audios[(first + n) % len(audios)], 0
                )
                for n in range(size)
            ]


def _told(taken: dict[str, list[float]]) -> dict[str, Any]:
    more = [there - here for here, there in zip(taken["here"], taken["replica"], strict=True)]
    return {f"{name}_ms": _ranks(seconds) for name, seconds in taken.items()} | {"more_ms": _ranks(more)}


def _ranks(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * second for second in seconds)
    return {"calls": len(ordered)} | {f"p{p}": round(nearest_rank(ordered, p), 2) for p in (50, 95)}
