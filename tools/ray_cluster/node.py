"""One node of a Ray cluster on this machine: all its processes, to be stopped or killed together.

``ray start --block`` is started in a session of its own (``setsid``), so that whatever it starts, the workers
too, can be found by that session, and nothing of another cluster is ever touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["START_S", "Node"]

START_S = 180.0
"""On a machine that is busy. Ten seconds, if it is not."""

ATTEMPTS = 3
"""A raylet gives up after 15 s without its agents, which takes a machine with too much to do."""

STOP_S = 20.0
STARTED = "Ray runtime started."


class Node:
    """The head, or another node.

    Args:
        ip: a loopback address of its own, such as ``127.0.1.2``: Ray, and gateways, see another machine.
        arguments: of ``ray start``.
        environment: beside that of this process; its workers have it too.
        log: where its output goes.
    """

    def __init__(self, ip: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.ip = ip
        self._log = log
        self._arguments = [str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments]
        self._environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to start it; see :meth:`wait`."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._arguments, f"--node-ip-address={self.ip}", "--disable-usage-stats"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it runs; where it ends it is started again, twice at most.

        Raises:
            RuntimeError: it does not; the message holds what it said.
        """
        deadline, attempts = time.monotonic() + START_S, ATTEMPTS
        while STARTED not in self.log:
            has_ended = not self.is_running
            attempts -= has_ended
            if time.monotonic() > deadline or attempts == 0:
                raise RuntimeError(f"the Ray node {self.ip} did not start:\n{self.log}")
            if has_ended:
                self.kill()
                self.start()
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What ``ray start`` said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether ``ray start`` does."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """Of all its processes that run."""
        return _session(self._process.pid) if self._process else []

    def pid_of(self, name: str) -> int:
        """Of that one whose command line holds ``name``: ``gcs_server``, ``raylet/raylet``, ``dashboard.py``.

        Raises:
            LookupError: there is none.
        """
        for pid in self.pids():
            with contextlib.suppress(OSError):
                if name in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    return pid
        raise LookupError(f"no {name} on node {self.ip}")

    def signal(self, number: signal.Signals) -> None:
        """To all its processes: ``SIGSTOP`` is a machine that stands still, ``SIGCONT`` wakes it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """The machine is gone: ``SIGKILL`` to all at once."""
        while self.pids():
            self.signal(signal.SIGKILL)
            time.sleep(0.02)
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        """As an operator does; what does not go is killed."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()


def _session(leader: int) -> list[int]:
    """All processes of a session, those of our own that have ended aside."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            # pid (name) state ppid pgrp session …; the name may hold anything, a bracket too (proc(5)).
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found
