"""Several gateways that share a Redis, and a balancer in front of them: real processes on this machine."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import support
from tools.ports import free_port
from tools.shared.redis_server import RedisServer
from tools.shared.redis_server import running as redis_running

__all__ = ["Gateways", "running"]

SECRET = "a secret of all these gateways"
START_S = 10.0


@dataclass
class Gateways:
    """See above; by name."""

    redis: RedisServer
    folder: Path
    url: str = ""
    """Of the balancer."""
    processes: dict[str, support.Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """Of the configuration of all …"""
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    """… and of each."""

    def at(self, name: str) -> str:
        """The address of one."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str) -> None:
        """Begin one, or begin it anew; it may take a moment until it answers."""
        port = self.ports.setdefault(name, free_port())
        values = {
            "REDIS_URL": self.redis.url,
            "REDIS_TIMEOUT_MS": "500",  # these machines may be busy
            "NODE_NAME": name,
            "NODE_URL": self.at(name),
            "TOKEN_SECRET": SECRET,
            "TRUSTED_PROXIES": "127.0.0.1",
        }
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        arguments = ("demo", "--port", str(port), "--log-level", "info")
        self.processes[name] = support.Process(
            log, *arguments, **(values | self.values | self.own.get(name, {}))
        )

    def kill(self, name: str) -> None:
        """SIGKILL: it can do nothing about it."""
        self.processes[name].kill()

    def of(self, session_id: str) -> str:
        """Which one a session, or a connection, is of by its name."""
        return session_id.partition(".")[0]


CONFIG = """
pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; {places}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream gateways {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gateways; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_connect_timeout 1s; proxy_read_timeout 1h; proxy_next_upstream error timeout non_idempotent;
    }}
  }}
}}
"""


@contextlib.contextmanager
def _balancer(folder: Path, ports: list[int]) -> Iterator[str]:
    assert shutil.which("nginx"), "tools/ensure_operations.sh installs it"
    port = free_port()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            places="".join(f"{name}_temp_path {folder}/{name};" for name in names),
            servers=" ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=2s;" for one in ports),
        )
    )
    with subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def running(folder: Path, own: dict[str, dict[str, str]], **values: str) -> Iterator[Gateways]:
    """Gateways of these names, each with values of its own, all of which answer."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_running(folder))
        gateways = Gateways(redis, folder, values=values, own=own)
        stack.callback(lambda: [process.kill() for process in gateways.processes.values()])
        for name in own:
            gateways.start(name)
        for process in gateways.processes.values():
            process.url(90)
        gateways.url = stack.enter_context(_balancer(folder, list(gateways.ports.values())))
        yield gateways
