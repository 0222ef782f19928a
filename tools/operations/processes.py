"""Services of ``rtc-stt`` on loopback that are started, drained and started again on the same port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import keys
from rtc_stt.loading import DEMO_VALUES
from tools.ports import free_port

__all__ = ["DRAIN_S", "KEY", "ROOT", "Service", "gateway_of_demo_models"]

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-measurements-only"
DRAIN_S = 20.0
"""As deploy/configs has it."""

_ALARMING = ("Traceback", " ERROR ", " CRITICAL ")

_HAND_ON = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); "
    "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)
"""As systemd does it: descriptor 3, and the number of the very process."""

_COMMON = {
    "API_KEYS": KEY,
    "DRAIN_SECONDS": f"{DRAIN_S:g}",
    "RATE_LIMIT_RPS": "1000",  # all clients have one key here
    "RATE_LIMIT_BURST": "1000",
    "MAX_HALF_OPEN_PER_KEY": "32",
}


def gateway_of_demo_models(fallbacks: str) -> dict[str, str]:
    """The environment of a gateway whose accurate tier is elsewhere."""
    demo = {name: value for name, (value, _) in DEMO_VALUES.entries.items() if name != "CT2_MEDIUM_PATH"}
    return demo | {
        "FALLBACK_URL": fallbacks,
        "FALLBACK_API_KEY": KEY,
        "TRUSTED_PROXIES": "127.0.0.1",
    }


class Service:
    """One service, on one port for as long as it is wanted.

    Args:
        folder: for its logs.
        role: ``serve``, ``primary`` …: the command.
        environment: beside what all have.
        listener: a socket that it inherits in place of the port (sd_listen_fds(3)).
    """

    def __init__(
        self,
        folder: Path,
        role: Literal["serve", "primary", "fallback"],
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.role = role
        self.port = int(listener.getsockname()[1]) if listener else free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._listener = listener
        self._arguments = (role, *arguments, "--port", str(self.port), "--log-level", "info")
        self._environment = dict(environment or {})
        self._folder, self._started = folder, 0
        self._process: subprocess.Popen[bytes] | None = None
        self._logs: list[Path] = []

    def start(self) -> None:
        """Begin; :meth:`wait_ready` says when it serves."""
        log = self._folder / f"{self.role}-{self.port}-{len(self._logs)}.log"
        self._logs.append(log)
        command = [sys.executable, "-m", "rtc_stt", *self._arguments]
        ours = {spec.name for group in GROUPS for spec in keys(group).values()} | {"CONFIG_PATH"}
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= _COMMON | self._environment | {"PYTHONPATH": str(ROOT)}
        given: tuple[int, ...] = ()
        if self._listener:
            given = (self._listener.fileno(),)
            command = [sys.executable, "-c", _HAND_ON, str(given[0]), *command[1:]]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, pass_fds=given
            )

    def set_environment(self, environment: Mapping[str, str]) -> None:
        """For the next start: what is made of its port, which is known only now."""
        self._environment = dict(environment)

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the process, once there is one."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """What its latest process has said."""
        return self._logs[-1].read_text(encoding="utf-8")

    @property
    def is_calm(self) -> bool:
        """Whether none of its processes has said anything alarming."""
        return not any(word in log.read_text(encoding="utf-8") for log in self._logs for word in _ALARMING)

    async def wait_ready(self, seconds: float = 60.0) -> float:
        """Seconds until it says that it is ready.

        Raises:
            RuntimeError: it ended, or was not in time.
        """
        begun = time.monotonic()
        while " is ready on " not in self.log:  # not asked: another may answer on an inherited socket
            if not self.is_running or time.monotonic() - begun > seconds:
                raise RuntimeError(f"{self.role} did not come up:\n{self.log}")
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    async def drain(self) -> float:
        """SIGTERM, and wait for its end; the seconds that it took.

        Raises:
            RuntimeError: it did not end with 0, or not in time.
        """
        assert self._process
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        while self._process.poll() is None and time.monotonic() - begun < DRAIN_S + 20:
            await asyncio.sleep(0.02)
        if self._process.poll() != 0:
            raise RuntimeError(f"{self.role} ended with {self._process.poll()}:\n{self.log}")
        return time.monotonic() - begun

    def kill(self) -> None:
        """Whatever became of it: it is gone after this."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
