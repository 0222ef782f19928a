"""Runs a command that may not outlive the benchmark, not even where that is killed: ``keeper.py PROGRAM …``.

A process of its own between the two, the first of its session. When its standard input ends, as the pipe does
with whoever holds the other end, it ends the command and all that the command has started; and where the
command ends by itself, it says so and ends too. Standard library only: it is started as a script.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

__all__ = ["main"]

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""


def main(argv: list[str]) -> int:
    """Never returns, unless the command cannot be started."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # not SIG_IGN, which the command would inherit
    try:
        command = subprocess.Popen(argv, stdin=subprocess.DEVNULL)  # noqa: S603 — what the user asked for
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    threading.Thread(target=_end_with, args=(command,), daemon=True).start()
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)
    return 0


def _end_with(command: subprocess.Popen[bytes]) -> None:
    code = command.wait()
    print(f"ended with exit code {code}", file=sys.stderr, flush=True)  # noqa: T201
    os.killpg(0, signal.SIGKILL)  # what it has started, and this process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
