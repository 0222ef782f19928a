"""The command line as it is, in a process that notes how long each packet of RTP was on its way to a session.

From when it left its sender (see :mod:`.caller`) to when it was decoded and handed on, or laid aside: for one
before it, or for the one that completes its window, without which a session has nothing to do. SIGUSR1
writes the delays so far into a file, and forgets them.

``python -m tools.telephony.answerer FILE demo --port 0``
"""

from __future__ import annotations

import os
import signal
import sys
import time
from array import array
from asyncio import SelectorEventLoop
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from tools.telephony.caller import left_at

DELAYS = array("d")
"""By turns: when a packet was there, and how long it had been on its way, in seconds."""


def note_delays(path: Path) -> None:
    """From now on."""
    add_reader = SelectorEventLoop.add_reader

    def noting(take: Callable[[bytes, tuple[str, int], float], None]) -> Callable[..., None]:
        def noted(data: bytes, source: tuple[str, int], now: float) -> None:
            take(data, source, now)
            if (left := left_at(data)) is not None:
                there = time.monotonic()
                DELAYS.append(there)
                DELAYS.append(there - left)

        return noted

    def add(loop: SelectorEventLoop, fd: object, read: Callable[..., None], *arguments: Any) -> None:
        # A method of a compiled class cannot be replaced; what the loop is given can.
        if getattr(arguments[-1] if arguments else None, "__name__", "") == "_receive_rtp":
            arguments = *arguments[:-1], noting(arguments[-1])
        add_reader(loop, fd, read, *arguments)

    patch.object(SelectorEventLoop, "add_reader", add).start()

    def tell(_number: int, _frame: FrameType | None) -> None:
        draft = path.with_suffix(".draft")
        draft.write_bytes(DELAYS.tobytes())
        del DELAYS[:]
        draft.rename(path)

    signal.signal(signal.SIGUSR1, tell)


if __name__ == "__main__":
    # Before numpy is imported, as the command line itself does it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rtc_stt.cli import main

    note_delays(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
