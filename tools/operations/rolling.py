"""Every process is replaced, one after the other, while clients speak, ask and come; nothing may be lost.

Twice: two of each role behind nginx, as ``docs/operate/rolling-update.md`` has it; and one gateway alone on a
socket that outlives it, which is started again, and then handed over to one that is up already.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.operations.processes import Service, gateway_of_demo_models
from tools.operations.proxy import Proxy
from tools.operations.traffic import Asker, Newcomers, Talker, recordings, summary

__all__ = ["HELP", "Plan", "add_arguments", "behind_a_proxy", "marks", "measure", "on_one_box"]

HELP = "replace each process in turn under sessions and requests: 0 failed, 0 lost, 0 refused"

SETTLE_S = 1.0
"""From nginx's reload to SIGTERM: what its old workers have taken in has been sent by then."""


@dataclass(frozen=True)
class Plan:
    """How much goes on meanwhile."""

    talkers: int = 4
    """Half over WebSockets, half over WebRTC."""
    rate: float = 2.0
    """Requests per second of each kind."""
    rounds: int = 1
    warm_up_s: float = 4.0
    """Before, between and after."""
    roles: tuple[str, ...] = ("fallback", "primary", "gateway")
    """Who is there behind the proxy; a gateway always."""


@dataclass
class Scene:
    """Who is there during a run."""

    talkers: list[Talker]
    askers: dict[str, Asker]
    newcomers: list[Newcomers]
    replaced: list[dict[str, Any]] = field(default_factory=list)

    async def during(self, act: Callable[[], Awaitable[None]]) -> None:
        """Let all go on while ``act`` does its work, and come to their ends."""
        until = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for talker in self.talkers:
                group.create_task(talker.talk(until))
            for asker in self.askers.values():
                group.create_task(asker.ask(until))
            for newcomers in self.newcomers:
                group.create_task(newcomers.come(until))
            try:
                await act()
            finally:
                until.set()

    def result(self) -> dict[str, Any]:
        """Fit for JSON."""
        gaps = [gap for talker in self.talkers for gap in talker.gaps_s]
        return {
            "replaced": self.replaced,
            "talkers": [talker.result() for talker in self.talkers],
            "requests": {name: asker.asked.result() for name, asker in self.askers.items()},
            "newcomers": {
                n.way: {
                    "welcomed": n.came.welcomed,
                    "refused": n.came.refused,
                    "seconds": summary(n.came.seconds),
                }
                for n in self.newcomers
            },
            "longest_gap_s": round(max(gaps, default=0.0), 2),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--talkers", type=int, default=4, help="sessions that speak (default: 4)")
    parser.add_argument("--rate", type=float, default=2.0, help="requests/s of each kind (default: 2)")
    parser.add_argument("--rounds", type=int, default=2, help="how often all are replaced (default: 2)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    plan = Plan(talkers=options.talkers, rate=options.rate, rounds=options.rounds)
    scenes = {
        "behind_a_proxy": asyncio.run(behind_a_proxy(plan)),
        "one_box_started_again": asyncio.run(on_one_box(plan, overlap=False)),
        "one_box_handed_over": asyncio.run(on_one_box(plan, overlap=True)),
    }
    return {
        "talkers": plan.talkers,
        "requests_per_second_of_each_kind": plan.rate,
        "rounds": plan.rounds,
        **scenes,
        "marks": marks(scenes.values()),
    }


def marks(scenes: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What must be none."""
    scenes = list(scenes)
    talkers = [talker for scene in scenes for talker in scene["talkers"]]
    counts = {
        "requests failed": sum(len(r["failed"]) for s in scenes for r in s["requests"].values()),
        "words in no final": sum(talker["words_lost"] for talker in talkers),
        "words in two finals": sum(talker["words_twice"] for talker in talkers),
        "sessions refused": sum(len(n["refused"]) for s in scenes for n in s["newcomers"].values()),
        "clients that gave up": sum(talker["error"] is not None for talker in talkers),
        "processes that did not end as they should": sum(not s["calm"] for s in scenes),
    }
    return {name: {"value": value, "at_most": 0, "met": value == 0} for name, value in counts.items()}


# ── Behind a proxy ────────────────────────────────────────────────────────────


async def behind_a_proxy(plan: Plan) -> dict[str, Any]:
    """Two of each role; one at a time is taken out of the balance, drained, started again, taken back in."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        fallbacks = _some(plan, "fallback", lambda: Service(folder, "fallback", "--demo"))
        asking = gateway_of_demo_models(",".join(one.url for one in fallbacks))
        gateways = _some(plan, "gateway", lambda: Service(folder, "serve", environment=asking))
        primaries = _some(plan, "primary", lambda: Service(folder, "primary", environment=asking))
        everyone = {"fallback": fallbacks, "primary": primaries, "gateway": gateways}
        services = [*fallbacks, *primaries, *gateways]
        proxy = Proxy(folder, [one.port for one in gateways], [one.port for one in primaries])
        stack.callback(proxy.stop)
        for service in services:
            stack.callback(service.kill)
        await _start(services)
        proxy.start()
        scene = _scene(plan, proxy.url, {"primary": proxy.recordings_url} if primaries else {})

        async def replace_all() -> None:
            await asyncio.sleep(plan.warm_up_s)
            for _ in range(plan.rounds):
                for role in plan.roles:
                    for service in everyone[role]:
                        await _replace(scene, service, None if role == "fallback" else proxy)
                        await asyncio.sleep(plan.warm_up_s)

        await scene.during(replace_all)
        for service in reversed(services):
            await service.drain()
        calm = all(service.is_calm for service in services)
        return scene.result() | {"calm": calm}


def _some(plan: Plan, role: str, make: Callable[[], Service]) -> list[Service]:
    """Two, where the plan has this role."""
    return [make() for _ in range(2)] if role in plan.roles else []


async def _start(services: Sequence[Service]) -> None:
    """Two at a time: loading is work for all cores."""
    for begin in range(0, len(services), 2):
        for service in services[begin : begin + 2]:
            service.start()
        for service in services[begin : begin + 2]:
            await service.wait_ready()


async def _replace(scene: Scene, service: Service, proxy: Proxy | None) -> None:
    """As an operator does. Fallbacks are asked directly: who gets no answer there asks the other."""
    if proxy:
        proxy.mark(service.port, down=True)
        await asyncio.sleep(SETTLE_S)
    drain_s = await service.drain()
    service.start()
    up_s = await service.wait_ready()
    if proxy:
        proxy.mark(service.port, down=False)
    _note(scene, service, drain_s, up_s)


# ── On one box ────────────────────────────────────────────────────────────


async def on_one_box(plan: Plan, *, overlap: bool) -> dict[str, Any]:
    """One gateway on a socket that outlives it.

    Args:
        overlap: whether the next one is up before the last one is told to go.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        gateways: list[Service] = []

        def make() -> Service:
            own = folder / str(len(gateways))
            own.mkdir()
            gateways.append(Service(own, "serve", environment=gateway_of_demo_models(""), listener=listener))
            stack.callback(gateways[-1].kill)
            return gateways[-1]

        await _start([make()])
        scene = _scene(plan, url, {})

        async def replace_all() -> None:
            await asyncio.sleep(plan.warm_up_s)
            for _ in range(plan.rounds):
                await _follow(scene, gateways[-1], make(), overlap=overlap)
                await asyncio.sleep(plan.warm_up_s)

        await scene.during(replace_all)
        await gateways[-1].drain()
        return scene.result() | {"calm": all(gateway.is_calm for gateway in gateways)}


async def _follow(scene: Scene, old: Service, new: Service, *, overlap: bool) -> None:
    if overlap:
        new.start()
        up_s = await new.wait_ready()
        drain_s = await old.drain()
    else:
        drain_s = await old.drain()
        new.start()
        up_s = await new.wait_ready()
    _note(scene, old, drain_s, up_s)


# ── Both ────────────────────────────────────────────────────────────


def _scene(plan: Plan, url: str, more: dict[str, str]) -> Scene:
    said = recordings()
    talkers = [
        Talker("webrtc" if number % 2 else "websocket", url, said, number) for number in range(plan.talkers)
    ]
    askers = {
        "plain": Asker("plain", url, plan.rate, said),
        "sdk": Asker("sdk", url, plan.rate, said),
        **{name: Asker("plain", place, plan.rate, said) for name, place in more.items()},
    }
    return Scene(talkers, askers, [Newcomers("websocket", url, 0.5), Newcomers("webrtc", url, 3.0)])


def _note(scene: Scene, service: Service, drain_s: float, up_s: float) -> None:
    told = {"role": service.role, "drained_s": round(drain_s, 2), "ready_after_s": round(up_s, 2)}
    scene.replaced.append(told)
    print(time.strftime("%H:%M:%S"), told, file=sys.stderr)
