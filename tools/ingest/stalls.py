"""When the machine itself stood still, or was slow: virtual ones are put aside by their host for tens of
milliseconds, and share what they run on.

A process of the highest priority that is allowed, a real-time one if it may, asks to be woken every few
milliseconds, on a core of the server's. When even that one is late, no loop on that core could have been in
time. Now and then it times the same little piece of work.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

__all__ = ["Stalls", "watching"]

INTERVAL_S = 0.0025
LATE_S = 0.004
"""Later than this is noted."""

TIMED_EVERY, WORK = 20, 1_000
"""Wakings, and rounds of a loop that take some tens of microseconds."""


class Stalls:
    """What the watcher has noted so far."""

    def __init__(self, path: str) -> None:
        self._path = path

    def spans(self) -> list[tuple[float, float]]:
        """Begin and end of each, monotonic seconds."""
        return [(end - late, end) for end, late in self._noted("late")]

    def slowness(self, since: float) -> list[float]:
        """How many times as long as at best the work took, each time after ``since`` (monotonic)."""
        took = [(at, seconds) for at, seconds in self._noted("took")]
        best = min((seconds for _, seconds in took), default=0.0)
        return [seconds / best for at, seconds in took if at > since]

    def _noted(self, what: str) -> list[tuple[float, float]]:
        with open(self._path, encoding="ascii") as file:
            lines = [line.split() for line in file if line.endswith("\n")]
        return [(float(at), float(seconds)) for kind, at, seconds in lines if kind == what]

    def over(self, bound_s: float, since: float) -> int:
        """How many stalls of at least so long ended after ``since`` (monotonic)."""
        return sum(end > since and end - begin >= bound_s for begin, end in self.spans())


@contextlib.contextmanager
def watching(core: int) -> Iterator[Stalls]:
    """Watch one core meanwhile."""
    with tempfile.NamedTemporaryFile("w+") as notes:
        watcher = subprocess.Popen([sys.executable, "-m", __name__, str(core)], stdout=notes)
        try:
            yield Stalls(notes.name)
        finally:
            watcher.send_signal(signal.SIGKILL)
            watcher.wait()


def _watch(core: int) -> None:
    os.sched_setaffinity(0, {core})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    due = time.monotonic() + INTERVAL_S
    for number in itertools.count():
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        if now - due > LATE_S:
            print(f"late {now:.4f} {now - due:.4f}", flush=True)
        if number % TIMED_EVERY == 0:
            began = time.monotonic()
            for _ in range(WORK):
                pass
            print(f"took {now:.4f} {time.monotonic() - began:.7f}", flush=True)
        due = now + INTERVAL_S


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
