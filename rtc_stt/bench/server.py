"""The server that is measured: one that runs already, or ``rtc-stt demo`` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rtc_stt.errors import TargetFailed

__all__ = ["DemoServer", "Server", "running"]

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
LOOK_S = 0.02
"""How often is looked whether it has told its address: this much a cold start may be told too long."""


class DemoServer:
    """``rtc-stt demo`` on a port of its own. Whoever makes one calls :meth:`stop`, from any thread.

    Args:
        environment: configuration keys that are set for it, over those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.url = ""
        """Where it is; empty before :meth:`start`."""
        self._log = tempfile.TemporaryFile("a+")  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rtc_stt", "demo", "--port", "0"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            process_group=0,  # Ctrl-C is for who measures: the server goes when it is told to
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def start(self) -> str:
        """Wait until it serves, its models warm; gives its address.

        Raises:
            TargetFailed: it ended, or said nothing for a minute; the message holds its last words.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if found := re.search(r"http://\S+", self._told()):
                self.url = found[0]
                return self.url
            if self._process.poll() is not None:
                raise TargetFailed(f"the server did not start:\n{self._told()}")
            time.sleep(LOOK_S)
        raise TargetFailed(f"the server did not start within {START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        """End it, as an operator does; where it does not go, by force. May be called again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()

    def _told(self) -> str:
        if self._log.closed:
            return ""
        self._log.seek(0)
        return self._log.read()


@dataclass(frozen=True)
class Server:
    """Where it is, and its process if it is on this machine and ours."""

    url: str
    pid: int | None


@contextlib.contextmanager
def running(url: str | None, *, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """The server at ``url``, or where there is none a fresh demo server that ends with the block.

    Raises:
        TargetFailed: it does not start.
    """
    if url:
        yield Server(url, None)
        return
    server = DemoServer(environment)
    try:
        yield Server(server.start(), server.pid)
    finally:
        server.stop()
