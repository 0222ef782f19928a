"""The command line as it is, in a process that tells its number of tasks: SIGUSR1 appends it to a file.

Garbage is collected first, so that what is measured is what stays, not what the collector has yet to come to.

``python -m tools.ingest.counted FILE demo --port 0``
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path
from types import FrameType

from rtc_stt.cli import main


def tell_on_signal(path: Path) -> None:
    """From now on."""

    def tell(_number: int, _frame: FrameType | None) -> None:
        gc.collect()
        with path.open("a", encoding="ascii") as file:
            file.write(f"{len(asyncio.all_tasks())}\n")

    signal.signal(signal.SIGUSR1, tell)


if __name__ == "__main__":
    tell_on_signal(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
