"""A real ``redis-server``, on one port for as long as it is wanted, with nothing on disk."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from tools.operations.processes import free_port

__all__ = ["RedisProcess"]

START_S = 10.0


class RedisProcess:
    """See above. Started anew it is empty."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For ``REDIS_URL``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """And wait until it listens.

        Raises:
            TimeoutError: it does not.
        """
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if time.monotonic() > deadline:
                raise TimeoutError("redis-server does not listen")
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, and all that was in it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
