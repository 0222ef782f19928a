"""Each part of a fleet is killed, stopped or replaced under sessions that speak: what was lost, and how soon
it went on.

Each fault has a run of its own upon the same fleet, which is whole again before the next. ``none`` is the
control: what is told of it is the machine's, and not a fault's.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.fleet.figures import Phases, by_phase, delays, gone_on_after, longest_silence, missed_events
from tools.fleet.figures import percentile as share_of
from tools.fleet.machine import Cores
from tools.fleet.speakers import Arrivals, Speaker
from tools.fleet.stage import Fleet, Size, fleet
from tools.operations.traffic import recordings

__all__ = ["FAULTS", "HELP", "Plan", "add_arguments", "marks", "measure", "run_faults"]

HELP = "kill, stop and replace each part of a fleet under sessions that speak; count what is lost"


@dataclass(frozen=True)
class Plan:
    """How much goes on."""

    speakers: int = 10
    """Half over WebSockets, half over WebRTC."""
    pause_s: tuple[float, float] = (0.8, 1.6)
    """Between two recordings of one speaker."""
    before_s: float = 8.0
    after_s: float = 20.0
    """From when all is whole again to the last word."""
    away_s: float = 10.0
    """How long what is stopped or away is so."""
    settle_s: float = 5.0
    """From when it is whole again, to what counts as after."""


Act = Callable[[Fleet, Plan], Awaitable[None]]

# ── What is done ────────────────────────────────────────────────────────────


async def nothing(there: Fleet, plan: Plan) -> None:
    """The control."""
    await asyncio.sleep(plan.away_s)


async def replica_killed(there: Fleet, plan: Plan) -> None:
    """Ray Serve begins another one by itself."""
    there.signal(await there.pid_of_replica(), signal.SIGKILL)
    await asyncio.to_thread(there.cluster.wait_for_replicas, "fast", there.size.fast - 1, 30.0)
    await asyncio.to_thread(there.cluster.wait_for_replicas, "fast", there.size.fast, 60.0)


async def replica_stopped(there: Fleet, plan: Plan) -> None:
    """It stands still, and keeps its connections."""
    pid = await there.pid_of_replica()
    there.signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(plan.away_s)
    finally:
        there.signal(pid, signal.SIGCONT)


async def head_killed(there: Fleet, plan: Plan) -> None:
    """All of Ray's own processes there; it comes back with what is in its Redis."""
    assert there.cluster.head
    await asyncio.to_thread(there.cluster.head.kill)
    await asyncio.sleep(plan.away_s)
    await asyncio.to_thread(there.cluster.start_head, cpus=0)


async def redis_killed(there: Fleet, plan: Plan) -> None:
    """It comes back empty."""
    there.redis.kill()
    await asyncio.sleep(plan.away_s)
    there.redis.start()


async def gateway_killed(there: Fleet, plan: Plan) -> None:
    """Its sessions go on at the other one. It is back after a while."""
    there.gateways["a"].kill()
    await asyncio.sleep(plan.away_s)
    there.gateways["a"].start()
    await there.gateways["a"].wait_ready()


async def gateways_replaced(there: Fleet, plan: Plan) -> None:
    """One after the other, as an operator does it: out of the balance, drained, started, back in."""
    for service in there.gateways.values():
        there.balancer.mark(service.port, down=True)
        await asyncio.sleep(1.0)
        await service.drain()
        service.start()
        await service.wait_ready()
        there.balancer.mark(service.port, down=False)
        await asyncio.sleep(2.0)


async def workers_replaced(there: Fleet, plan: Plan) -> None:
    """A rolling update of Ray Serve, with another setting: every replica is a new one after it."""
    there.batch = 7 if there.batch == 8 else 8
    await asyncio.to_thread(there.deploy, MAX_BATCH=str(there.batch))


async def all_replaced(there: Fleet, plan: Plan) -> None:
    """Gateways and replicas."""
    await gateways_replaced(there, plan)
    await workers_replaced(there, plan)


FAULTS: Mapping[str, Act] = {
    "none": nothing,
    "replica_killed": replica_killed,
    "replica_stopped": replica_stopped,
    "redis_killed": redis_killed,
    "gateway_killed": gateway_killed,
    "all_replaced": all_replaced,
    "head_killed": head_killed,
}
"""By name, in the order in which they are run; what may leave the most behind is last."""

# ── The run ────────────────────────────────────────────────────────────


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--only", action="append", choices=FAULTS, help="this fault; may be said again")
    parser.add_argument("--speakers", type=int, default=10, help="sessions that speak (default: 10)")
    parser.add_argument(
        "--pause", type=float, default=0.8, help="shortest pause of a speaker, in s; the longest is twice it"
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    plan = Plan(speakers=options.speakers, pause_s=(options.pause, 2 * options.pause))
    names = options.only or list(FAULTS)
    found = asyncio.run(run_faults(names, plan, Size()))
    return {
        "speakers": plan.speakers,
        "pause_s": plan.pause_s,
        **found,
        "marks": marks(found["faults"]),
    }


async def run_faults(names: Sequence[str], plan: Plan, size: Size) -> dict[str, Any]:
    """One fleet, and one fault after the other; what cannot be done says so, and the next one is tried."""
    with fleet(size) as there:
        await there.start()
        faults: dict[str, Any] = {}
        for name in names:
            try:
                faults[name] = await _run(there, name, plan)
                faults[name]["healed_s"] = await there.heal()
            except (RuntimeError, OSError, TimeoutError, ExceptionGroup) as error:
                faults[name] = faults.get(name, {}) | {"failed": f"{type(error).__name__}: {error}"[-600:]}
            print(time.strftime("%H:%M:%S"), name, faults[name], file=sys.stderr)
        logs = {name: service.is_calm for name, service in there.gateways.items()}
        return {"up_s": there.took_s, "faults": faults, "gateways_calm": logs}


async def _run(there: Fleet, name: str, plan: Plan) -> dict[str, Any]:
    said = recordings()
    speakers = [
        Speaker("webrtc" if number % 2 else "websocket", there.url, said, number, plan.pause_s)
        for number in range(plan.speakers)
    ]
    arrivals, until, cores = Arrivals(there.url), asyncio.Event(), Cores()
    async with asyncio.TaskGroup() as group:
        for speaker in speakers:
            group.create_task(speaker.talk(until))
        group.create_task(arrivals.come(until))
        try:
            await asyncio.sleep(plan.before_s)
            moment = time.monotonic()
            hosts = {id(speaker): speaker.session.partition(".")[0] for speaker in speakers}
            await FAULTS[name](there, plan)
            whole = time.monotonic()
            await asyncio.sleep(plan.after_s)
        finally:
            until.set()
    phases = Phases(moment, whole + plan.settle_s)
    died = {id(it) for it in speakers if name == "gateway_killed" and hosts[id(it)] == "a"}
    return {
        "lasted_s": round(whole - moment, 1),
        "cores_used": cores.used(),
        "lived": _told_of([it for it in speakers if id(it) not in died], phases),
        "gateway_died": _told_of([it for it in speakers if id(it) in died], phases) if died else None,
        "arrivals": {
            "welcomed": len(arrivals.welcomed),
            "refused": len(arrivals.refused),
            "refused_until_s": round(arrivals.refused_until(moment), 1),
            "why": sorted({why.partition(", url")[0] for _, why in arrivals.refused})[:5],
        },
        "balancer_says": there.balancer.complaints(),
    }


def _told_of(speakers: Sequence[Speaker], phases: Phases) -> dict[str, Any]:
    """Of these sessions together."""
    ways = {way: [it for it in speakers if it.way == way] for way in ("websocket", "webrtc")}
    waits = by_phase([pair for it in speakers for pair in delays(it.said, it.told)], phases)
    ends = {
        "before": (0.0, phases.fault),
        "during": (phases.fault, phases.over),
        "after": (phases.over, 1e12),
    }
    going = [gone_on_after(it.told, it.said, phases.fault) for it in speakers]
    return {
        "sessions": {way: len(of) for way, of in ways.items()},
        "words": {way: _words(of) for way, of in ways.items()},
        "sessions_begun_anew": sum(it.sessions - 1 for it in speakers),
        "audio_missing_ms": sum(it.missing_ms for it in speakers),
        "events_missed": sum(missed_events(it.told) for it in speakers),
        "longest_without_connection_s": round(max((g for it in speakers for g in it.gaps_s), default=0), 1),
        "longest_silence_s": {
            phase: round(max((longest_silence(it.told, *bounds) for it in speakers), default=0), 1)
            for phase, bounds in ends.items()
        },
        "gone_on_after_s": round(max((s for s in going if s is not None), default=0), 1),
        "never_gone_on": sum(s is None for s in going),
        "end_to_final_s": {
            phase: {"p50": share_of(of, 50), "p95": share_of(of, 95), "finals": len(of)}
            for phase, of in waits.items()
        },
        "gave_up": [it.error for it in speakers if it.error],
    }


def _words(speakers: Sequence[Speaker]) -> dict[str, int]:
    told = [speaker.result() for speaker in speakers]
    kinds = {"spoken": "words", "in_no_final": "words_lost", "in_two": "words_twice", "other": "words_other"}
    return {name: sum(one[key] for one in told) for name, key in kinds.items()}


def marks(faults: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What must be none."""
    found = {}
    for name, told in faults.items():
        groups = [told[key] for key in ("lived", "gateway_died") if told.get(key)]
        words = [way for group in groups for way in group["words"].values()]
        counts = {
            "could not be run": int("failed" in told),
            "words in no final": sum(way["in_no_final"] for way in words),
            "words in two finals": sum(way["in_two"] for way in words),
            "events missed": sum(group["events_missed"] for group in groups),
            "clients that gave up": sum(len(group["gave_up"]) for group in groups),
        }
        for what, value in counts.items():
            found[f"{name}: {what}"] = {"value": value, "at_most": 0, "met": value == 0}
    return found
