"""A machine that decodes: a replica of each tier with demo models, and the directory that lists them.

``python -m tools.replicas.node`` tells ``HOST:PORT`` of the directory when they serve, and stays until
SIGTERM. The key is :data:`tools.replicas.processes.KEY`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from rtc_stt.hypothesis import Tier
from tools.replicas.processes import Directory, ReplicaProcess

__all__ = ["main"]


async def _serve(calls: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with tempfile.TemporaryDirectory() as folder:
        replicas = [ReplicaProcess(Path(folder), tier, tier, calls) for tier in Tier]
        try:
            async with Directory() as directory:
                directory.list(*[replica.replica() for replica in replicas])
                print(directory.place, flush=True)
                await stop.wait()
        finally:
            for replica in replicas:
                replica.kill()


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tools.replicas.node", description=__doc__)
    parser.add_argument("--calls", type=int, default=1, help="of a model at a time (default: 1)")
    asyncio.run(_serve(parser.parse_args().calls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
