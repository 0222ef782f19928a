"""A whole fleet on this machine: Ray, Redis, two gateways, nginx. Real processes, demo models."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rtc_stt.loading import DEMO_VALUES
from tools.fleet.balancer import Balancer
from tools.operations.processes import Service
from tools.ray_cluster.cluster import RayCluster
from tools.shared.redis_server import RedisServer

__all__ = ["Fleet", "Size", "fleet"]

NODES_IN_ORDER = ("a", "b")
HEAL_S = 90.0


@dataclass(frozen=True)
class Size:
    """How much there is."""

    nodes: int = 2
    """Of Ray, beside its head, which decodes nothing."""
    fast: int = 2
    """Replicas."""
    accurate: int = 1
    keeps_head: bool = True
    """Whether what Ray's head knows is in a Redis of its own, so that it may die."""

    @property
    def settings(self) -> dict[str, str]:
        """For ``rtc-stt workers deploy``."""
        fast = {"FAST_REPLICAS": str(self.fast)}
        return fast | (
            {"ACCURATE_REPLICAS": str(self.accurate)} if self.accurate else {"CT2_MEDIUM_PATH": ""}
        )


@dataclass
class Fleet:
    """What can be broken."""

    size: Size
    cluster: RayCluster
    redis: RedisServer
    """Of the gateways."""
    gateways: dict[str, Service]
    """By ``NODE_NAME``."""
    balancer: Balancer
    batch: int = 8
    """``MAX_BATCH`` of the replicas, which a rolling update changes."""
    took_s: dict[str, float] = field(default_factory=dict)
    """How long each part took to come up."""

    @property
    def url(self) -> str:
        """Where clients go."""
        return self.balancer.url

    async def start(self) -> None:
        """Everything, one after the other: loading is work for all cores.

        Raises:
            RuntimeError: something does not come up.
        """
        self.redis.start()
        await self._timed("ray", asyncio.to_thread(self.start_ray))
        await self._timed("replicas", asyncio.to_thread(self.deploy))
        for service in self.gateways.values():
            service.start()
        for name, service in self.gateways.items():
            await self._timed(f"gateway {name}", service.wait_ready(HEAL_S))
        self.balancer.start()

    def start_ray(self) -> None:
        """It alone. Blocks."""
        self.cluster.start_head(cpus=0)
        for _ in range(self.size.nodes):
            try:
                self.cluster.add_node(cpus=2)
            except RuntimeError:  # a machine that is busy with something else; once more, and no oftener
                self.cluster.add_node(cpus=2)

    def deploy(self, **changes: str) -> None:
        """Tell Ray Serve what is to run, and wait until it does. Blocks."""
        self.cluster.deploy(**(self.size.settings | changes))

    async def _timed(self, what: str, done: asyncio.Future[object] | object) -> None:
        begun = time.monotonic()
        await done  # type: ignore[misc]
        self.took_s[what] = round(time.monotonic() - begun, 1)
        print(time.strftime("%H:%M:%S"), f"{what}: {self.took_s[what]} s", file=sys.stderr)

    async def heal(self) -> float:
        """Until all of it is there again, whatever was done to it; the seconds that it took.

        Raises:
            TimeoutError: replicas do not come back.
            RuntimeError: a gateway does not.
        """
        begun = time.monotonic()
        for service in self.gateways.values():
            if not service.is_running:
                service.start()
                await service.wait_ready(HEAL_S)
        await asyncio.to_thread(self.cluster.wait_for_replicas, "fast", self.size.fast, HEAL_S)
        await asyncio.to_thread(self.cluster.wait_for_replicas, "accurate", self.size.accurate, HEAL_S)
        return round(time.monotonic() - begun, 1)

    async def pid_of_replica(self, tier: str = "fast") -> int:
        """Of one of them."""
        found = await asyncio.to_thread(self.cluster.replicas, tier)
        return found[0].pid

    @staticmethod
    def signal(pid: int, number: signal.Signals) -> None:
        """To a process of this fleet."""
        os.kill(pid, number)


@contextmanager
def fleet(size: Size) -> Iterator[Fleet]:
    """Its parts, to be started by :meth:`Fleet.start`; all are gone after this."""
    with TemporaryDirectory(prefix="fl", dir="/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        redis = RedisServer(folder)
        stack.callback(redis.kill)
        kept = None
        if size.keeps_head:
            of_ray = RedisServer(folder)
            of_ray.start()
            stack.callback(of_ray.kill)
            kept = f"127.0.0.1:{of_ray.port}"
        # As in the image: nodes have patience with a head that is away.
        cluster = RayCluster(redis=kept, RAY_gcs_rpc_server_reconnect_timeout_s="3600")
        stack.callback(cluster.close)
        gateways = {name: _gateway(folder, name, cluster, redis) for name in NODES_IN_ORDER}
        balancer = Balancer(folder, [service.port for service in gateways.values()])
        for service in gateways.values():
            stack.callback(service.kill)
        stack.callback(balancer.stop)
        yield Fleet(size, cluster, redis, gateways, balancer)


def _gateway(folder: Path, name: str, cluster: RayCluster, redis: RedisServer) -> Service:
    own = folder / name
    own.mkdir()
    service = Service(own, "serve")
    demo = {key: value for key, (value, _) in DEMO_VALUES.entries.items() if not key.startswith("CT2_")}
    service.set_environment(
        demo
        | {
            "ENGINE": cluster.engine,
            "WORKERS_KEY": cluster.key,
            "REDIS_URL": redis.url,
            "NODE_NAME": name,
            "NODE_URL": service.url,
            "RESUME_ACROSS_NODES": "true",
            "TOKEN_SECRET": "a-secret-of-measurements-only-0123456789",
            "TRUSTED_PROXIES": "127.0.0.1",
        }
    )
    return service
