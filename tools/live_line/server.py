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
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Server", "running"]


@dataclass(frozen=True)
class Server:
    """Where it is, and its process if it is on this machine and ours."""

    url: str
    pid: int | None


@contextlib.contextmanager
def running(url: str | None, *, environment: dict[str, str] | None = None) -> Iterator[Server]:
    """The server at ``url``, or where there is none a fresh demo server that ends with the block."""
    if url:
        yield Server(url, None)
        return
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rtc_stt", "demo", "--port", "0"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield Server(_wait_for_url(process, log), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_for_url(process: subprocess.Popen[bytes], log: object) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        log.seek(0)  # type: ignore[attr-defined]
        told = log.read()  # type: ignore[attr-defined]
        if found := re.search(r"http://\S+", told):
            return found[0]
        if process.poll() is not None:
            raise SystemExit(f"the server did not start:\n{told}")
        time.sleep(0.1)
    raise SystemExit("the server did not start within 60 s")
