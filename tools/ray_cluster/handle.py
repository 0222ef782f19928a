"""A decode three ways, the same requests in turn: in the process, by our link, and by Serve's handle.

The replica and the one behind the handle are on one cluster of this machine, with one model each; who asks
is a driver of that cluster, as a gateway that goes by handles would have to be.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray import serve

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
from tools.ray_cluster.cluster import RayCluster
from tools.replicas.serve import demo_engine

HELP = "p50 and p95 of a decode by Serve's handle, by our link, and in the process, the same requests in turn"

PAUSE_S = 0.005
"""Between two calls: nobody waits for anybody."""

Way = Callable[[DecodeRequest], Awaitable[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long."""
    parser.add_argument(
        "--rounds", type=int, default=10, help="times that each clip is decoded (default: 10)"
    )
    parser.add_argument("--clips", type=int, default=12, help="of them (default: 12)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures, fit for JSON."""
    with RayCluster() as cluster:
        cluster.start(nodes=1, cpus=2)
        cluster.deploy(CT2_MEDIUM_PATH="")
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        try:
            served = serve.run(
                serve.deployment(Served).options(max_ongoing_requests=4).bind(),
                name="handle",
                route_prefix=None,
                logging_config={"enable_access_log": False},
            )
            return asyncio.run(_compare(cluster, served, options.clips, options.rounds))
        finally:
            ray.shutdown()


class Served:
    """The model behind a handle of Serve."""

    def __init__(self) -> None:
        self._engine = demo_engine(Tier.FAST, 1)

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """One request."""
        return self._engine.decode(request)


class ByLane:
    """By a lane, timed from ``start`` to ``done``, one call at a time."""

    def __init__(self) -> None:
        self.lane: DecodeLane | None = None
        self._done: asyncio.Future[list[Answer]] | None = None

    def done(self, _lane: DecodeLane, _run: object, answers: list[Answer]) -> None:
        """For the lane."""
        assert self._done
        self._done.set_result(answers)

    async def __call__(self, request: DecodeRequest) -> str:
        """What was heard."""
        assert self.lane
        self._done = asyncio.get_running_loop().create_future()
        self.lane.start([Ticket(request, time.monotonic(), 0)])
        [answer] = await self._done
        assert isinstance(answer, Hypothesis), answer
        return answer.text


async def _compare(cluster: RayCluster, served: Any, count: int, rounds: int) -> dict[str, Any]:
    def nothing(_lane: object) -> None:
        """Nobody needs to know."""

    here, there = ByLane(), ByLane()
    here.lane = Lane(
        Tier.FAST,
        demo_engine(Tier.FAST, 1),
        concurrency=1,
        hang_s=60,
        clock=time.monotonic,
        done=here.done,
        changed=nothing,
    )
    roster = Roster([cluster.engine.removeprefix("ray://")], cluster.key)
    tier = ReplicaTier(Tier.FAST, roster, cluster.key, 60, 60, Instrument(), time.monotonic)
    link = tier(done=there.done, changed=nothing, queued_s=lambda: 0.0)
    link.wake()
    there.lane = link
    while not link.free:
        await asyncio.sleep(0.01)

    async def by_handle(request: DecodeRequest) -> str:
        answer: Hypothesis = await served.decode.remote(request)
        return answer.text

    ways: dict[str, Way] = {"in_process": here, "link": there, "handle": by_handle}
    taken, differ = await _ask_in_turn(ways, count, rounds)
    for lane in (here.lane, link):
        await lane.aclose(1.0)
    more = {
        f"{name}_more_ms": _ranks([a - b for a, b in zip(taken[name], taken["in_process"], strict=True)])
        for name in ("link", "handle")
    }
    return {
        "what": f"{count} clips, {rounds} rounds, one call of one request at a time, all on one machine",
        **{f"{name}_ms": _ranks(seconds) for name, seconds in taken.items()},
        **more,
        "marks": {"the same words": {"met": differ == 0, "value": differ, "at_most": 0}},
    }


async def _ask_in_turn(ways: dict[str, Way], count: int, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Seconds by way, and how many requests were not heard alike by all."""
    audios = [clip.audio() for clip in clips.load("clean", limit=count)]
    taken: dict[str, list[float]] = {name: [] for name in ways}
    differ = 0
    for number in range((rounds + 1) * len(audios)):
        audio = audios[number % len(audios)]
        texts = set()
        names = list(ways)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:  # each comes first as often
            request = DecodeRequest("s", 1, number + 1, Tier.FAST, Urgency.FINAL, audio, 0)
            begun = time.perf_counter()
            texts.add(await ways[name](request))
            if number >= len(audios):  # the first round warms all of them up
                taken[name].append(time.perf_counter() - begun)
            await asyncio.sleep(PAUSE_S)
        differ += len(texts) > 1
    return taken, differ


def _ranks(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * second for second in seconds)
    return {"calls": len(ordered)} | {f"p{p}": round(nearest_rank(ordered, p), 2) for p in (50, 95)}
