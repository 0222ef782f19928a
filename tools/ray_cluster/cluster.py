"""A head and its nodes, the replicas in them, and what can be done to each.

::

    with RayCluster() as cluster:
        cluster.start(nodes=2)
        cluster.deploy()
        gateway("--engine", cluster.engine, WORKERS_KEY=cluster.key)
        os.kill(cluster.replicas("fast")[0].pid, signal.SIGKILL)
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.ray_cluster.node import START_S, Node

__all__ = ["ROOT", "RayCluster", "Running"]

ROOT = Path(__file__).resolve().parents[2]
OBJECT_STORE_BYTES = 80 * 1000 * 1000
"""The least that Ray takes, nearly: audio does not go through it."""

PORTS = range(20_000, 32_000)
ANSWER_S = 10.0
LOOK_S = 0.2
STANDARD = {
    "PYTHONPATH": str(ROOT),  # a checkout may not be the one that is installed
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
    "RAY_DEDUP_LOGS": "0",
    "RAY_COLOR_PREFIX": "0",
    "HF_HUB_OFFLINE": "1",  # the demo models ship with the package
}


@dataclass(frozen=True)
class Running:
    """A replica, as Serve tells it."""

    id: str
    tier: str
    ip: str
    """Of its node."""
    pid: int
    """Of its process."""
    state: str
    """``RUNNING``, ``STARTING``, ``STOPPING`` …"""


class RayCluster:
    """Processes of a cluster on this machine, on ports and in a folder of its own. Close it.

    Args:
        key: ``WORKERS_KEY`` of all its nodes.
        redis: ``HOST:PORT`` of a Redis that keeps what the head knows: it may be killed and come back.
        environment: of its nodes, beside that of this process.
    """

    def __init__(
        self, *, key: str = "a-key-of-tests-only", redis: str | None = None, **environment: str
    ) -> None:
        self.key = key
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the paths of sockets are short
        self._environment = STANDARD | {"WORKERS_KEY": key} | environment
        if redis:
            self._environment["RAY_REDIS_ADDRESS"] = redis
        self._gcs_port, self._dashboard_port, self.serve_port = _free_ports(3)
        self.head: Node | None = None
        self.nodes: list[Node] = []
        self._made = 0

    # ── Nodes ────────────────────────────────────────────────────────────

    def start(self, nodes: int = 0, *, cpus: int = 2) -> None:
        """The head, and as many nodes beside it; all at once, for most of it is Python's imports."""
        head = self._begin_head(cpus)
        for node in [head, *(self.begin_node(cpus=cpus) for _ in range(nodes))]:
            node.wait()
        self._wait_for_dashboard()

    def start_head(self, *, cpus: int = 2) -> Node:
        """It, for the first time or again: its address stays."""
        head = self._begin_head(cpus)
        head.wait()
        self._wait_for_dashboard()
        return head

    def _begin_head(self, cpus: int) -> Node:
        # By this note, and by nodes of this machine that name the head, ``ray start`` would take one that was
        # killed for one that runs. On machines of their own there is neither.
        (self.folder / "ray_current_cluster").unlink(missing_ok=True)
        self.head = self._node(
            "127.0.1.1",
            "--head",
            f"--port={self._gcs_port}",
            f"--temp-dir={self.folder}",
            f"--dashboard-port={self._dashboard_port}",
            "--dashboard-host=127.0.0.1",
            cpus=cpus,
        )
        self.head.start()
        _wait_for_port("127.0.1.1", self._gcs_port)
        return self.head

    def begin_node(self, *, cpus: int = 2, gpus: float = 0) -> Node:
        """One more, which is not waited for."""
        ip = f"127.0.1.{len(self.nodes) + 2}"
        gpu = [f"--num-gpus={gpus:g}"] if gpus else []
        node = self._node(ip, f"--address=127.0.1.1:{self._gcs_port}", *gpu, cpus=cpus)
        self.nodes.append(node)
        node.start()
        return node

    def add_node(self, *, cpus: int = 2, gpus: float = 0) -> Node:
        """One more."""
        node = self.begin_node(cpus=cpus, gpus=gpus)
        node.wait()
        return node

    def _node(self, ip: str, *arguments: str, cpus: int) -> Node:
        self._made += 1
        agent, client, metrics = _free_ports(3)
        return Node(
            ip,
            [
                *arguments,
                f"--num-cpus={cpus}",
                "--min-worker-port=0",  # any that is free
                "--max-worker-port=0",
                f"--object-store-memory={OBJECT_STORE_BYTES}",
                f"--dashboard-agent-listen-port={agent}",
                f"--ray-client-server-port={client}",
                f"--metrics-export-port={metrics}",
            ],
            self._environment,
            self.folder / f"node-{self._made}-{ip}.log",
        )

    def _wait_for_dashboard(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                self.details()
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the dashboard of the Ray cluster does not answer")
            time.sleep(LOOK_S)

    # ── Serve ────────────────────────────────────────────────────────────

    @property
    def address(self) -> str:
        """Where nodes, and programs that use Ray, join."""
        return f"127.0.1.1:{self._gcs_port}"

    @property
    def dashboard(self) -> str:
        """Where ``rtc-stt workers --address`` asks."""
        return f"http://127.0.0.1:{self._dashboard_port}"

    @property
    def engine(self) -> str:
        """``ENGINE`` of a gateway. Each node that has a replica answers there."""
        return f"ray://127.0.0.1:{self.serve_port}"

    def workers(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``rtc-stt workers …`` upon this cluster."""
        command = [sys.executable, "-m", "rtc_stt", "workers", *arguments, "--address", self.dashboard]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env=os.environ | self._environment | environment,
        )

    def deploy(self, *arguments: str, **environment: str) -> str:
        """Put the demo models on it, and wait until they are ready; gives what the command said.

        Args:
            arguments: of ``rtc-stt workers deploy``, further ones.
            environment: configuration keys.

        Raises:
            RuntimeError: they do not get ready.
        """
        environment = {"WORKERS_HTTP_PORT": str(self.serve_port)} | environment
        done = self.workers("deploy", "--demo", "--wait", "120", *arguments, **environment)
        if done.returncode:
            raise RuntimeError(f"rtc-stt workers deploy: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def details(self) -> dict[str, Any]:
        """All that Serve tells of itself.

        Raises:
            OSError: nobody answers.
        """
        found: dict[str, Any] = self._get(f"{self.dashboard}/api/serve/applications/")
        return found

    def replicas(self, tier: str | None = None, state: str = "RUNNING") -> list[Running]:
        """Those of a tier, or all of both tiers, in a state."""
        applications = self.details()["applications"]
        return [
            Running(told["replica_id"], name, told["node_ip"], told["pid"], told["state"])
            for application in applications.values()
            for name, deployment in application["deployments"].items()
            if name in ("fast", "accurate") and tier in (None, name)
            for told in deployment["replicas"]
            if told["state"] == state
        ]

    def wait_for_replicas(self, tier: str, count: int, seconds: float = 60.0) -> list[Running]:
        """Until so many run.

        Raises:
            TimeoutError: they do not.
        """
        deadline = time.monotonic() + seconds
        while len(found := self.replicas(tier)) != count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} replicas of {tier} run, and not {count}")
            time.sleep(LOOK_S)
        return found

    def listed(self) -> list[dict[str, Any]]:
        """What ``GET /replicas`` answers a gateway.

        Raises:
            OSError: nobody answers.
        """
        found: list[dict[str, Any]] = self._get(f"http://127.0.0.1:{self.serve_port}/replicas")["replicas"]
        return found

    def _get(self, url: str) -> Any:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.key}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            raise

    # ── The end ────────────────────────────────────────────────────────────

    def logs(self) -> Path:
        """The folder of all that the replicas, the controller and Ray itself have written."""
        return self.folder / "session_latest" / "logs"

    def keep_logs(self, folder: Path) -> None:
        """Copy them; where it was killed in the middle of writing, what can be read."""
        with contextlib.suppress(OSError, shutil.Error):
            shutil.copytree(self.logs(), folder, dirs_exist_ok=True, ignore_dangling_symlinks=True)

    def close(self) -> None:
        """End everything, and remove the folder."""
        for node in [*self.nodes, *([self.head] if self.head else [])]:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _free_ports(count: int) -> list[int]:
    """Free now, and different from each other. None that the kernel gives to connections: nodes that ask for
    a head that is away would connect to themselves sooner or later, and hold its port."""
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no port is free")


def _wait_for_port(host: str, port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on {host}:{port}")
        time.sleep(0.05)
