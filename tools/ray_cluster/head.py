"""The head of a Ray cluster is killed: how long replicas on another node decode, and what is when it is back.

The head is the machine with Ray's store (GCS), Serve's controller and one of the proxies; all its processes
get ``SIGKILL`` at once. The replica is asked twice a second by ``GET /v1/health`` of its own port.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tools.ray_cluster.cluster import RayCluster

HELP = "kill the head: how long replicas elsewhere decode, and whether they are the same when it is back"

LOOK_S = 0.5
AWAY_S = 10.0
"""That the head is away, where it comes back."""

BACK_S = 120.0
"""In which all is to be as before."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which cases."""
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=sorted(CASES))
    parser.add_argument("--watch", type=float, default=100, metavar="S", help="how long, where it stays away")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What happened in each case, fit for JSON."""
    return {"cases": {name: CASES[name](options.watch) for name in options.cases}}


def stays_away(watch_s: float, **environment: str) -> dict[str, Any]:
    """It does not come back."""
    with cluster(**environment) as (ray, url):
        assert ray.head
        ray.head.kill()
        killed = time.monotonic()
        while is_well(url) and time.monotonic() - killed < watch_s:
            time.sleep(LOOK_S)
        lived = time.monotonic() - killed
        return {"replica_lives_s": round(lived, 1), "still_lived": is_well(url), "watched_s": watch_s}


def comes_back(redis: str | None = None) -> dict[str, Any]:
    """It does, at the same address."""
    with cluster(redis) as (ray, url):
        before = {replica.id for replica in ray.replicas()}
        node = {replica.id for replica in ray.replicas() if replica.ip != "127.0.1.1"}
        assert ray.head
        ray.head.kill()
        time.sleep(AWAY_S)
        lived = is_well(url)
        ray.start_head()
        returned, gone_at, listed_at = time.monotonic(), None, None
        while time.monotonic() - returned < BACK_S:
            if gone_at is None and not is_well(url):
                gone_at = time.monotonic() - returned
            if listed_at is None and is_listed(ray):
                listed_at = time.monotonic() - returned
            if listed_at is not None and (listed_at + 15 < time.monotonic() - returned):
                break
            time.sleep(LOOK_S)
        after = {told["id"] for told in listed(ray)}
        return {
            "replica_lived_while_away": lived,
            "replica_lives_on": gone_at is None,
            "gone_after_s": gone_at and round(gone_at, 1),
            "all_listed_after_s": listed_at and round(listed_at, 1),
            "same_replicas_elsewhere": node <= after,
            "replicas_before": len(before),
            "replicas_after": len(after),
        }


def with_redis(_watch_s: float) -> dict[str, Any]:
    """What the head knows is in a Redis."""
    with redis_server() as address:
        return comes_back(address)


CASES = {
    "stays_away": stays_away,
    "stays_away_patient_nodes": lambda watch_s: stays_away(
        watch_s, RAY_gcs_rpc_server_reconnect_timeout_s="86400"
    ),
    "comes_back_without_redis": lambda _watch_s: comes_back(),
    "comes_back_with_redis": with_redis,
}


@contextlib.contextmanager
def cluster(redis: str | None = None, **environment: str) -> Iterator[tuple[RayCluster, str]]:
    """A head that holds no replica of the fast tier, a node with one, and where that one says how it is."""
    with RayCluster(redis=redis, **environment) as ray:
        ray.start(nodes=1, cpus=1)
        ray.deploy()
        replica = next(told for told in ray.listed() if "127.0.1.2" in told["url"])
        place = urlsplit(replica["url"]).netloc
        yield ray, f"http://{place}/v1/health"


def is_well(url: str) -> bool:
    """Whether the replica answers that it is."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def listed(ray: RayCluster) -> list[dict[str, Any]]:
    """What gateways are told; nothing where nobody answers."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return ray.listed()
    return []


def is_listed(ray: RayCluster) -> bool:
    """Whether both tiers are."""
    return {told["tier"] for told in listed(ray)} == {"fast", "accurate"}


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A real one; gives ``HOST:PORT``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()
