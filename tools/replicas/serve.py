"""One replica as a process, with a demo model: tells its line of the list, and serves until SIGTERM.

``python -m tools.replicas.serve TIER ID``, with the key in ``WORKERS_KEY``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from rtc_stt import demo_models
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.hypothesis import Tier
from rtc_stt.logs import LogOptions, set_up
from rtc_stt.replicas.replica import write_list
from rtc_stt.replicas.server import DecodeServer

__all__ = ["demo_engine", "main"]

DRAIN_S = 5.0


def demo_engine(tier: Tier, calls: int) -> WhisperEngine:
    """The demo model of a tier, warm."""
    model = demo_models.FAST if tier is Tier.FAST else demo_models.ACCURATE
    engine = WhisperEngine(
        model.path,
        name=model.name,
        device="cpu",
        compute_type="int8",
        cpu_threads=1,
        workers=calls,
        beam_size=1 if tier is Tier.FAST else 5,
        context_policy=ContextPolicy(model.context_policy),
    )
    engine.warm_up(8)
    return engine


async def _serve(tier: Tier, replica_id: str, calls: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = DecodeServer(
        demo_engine(tier, calls),
        tier,
        key=os.environ["WORKERS_KEY"],
        replica_id=replica_id,
        host="127.0.0.1",
        calls=calls,
        version="demo",
    )
    print(write_list([await server.start()]), flush=True)
    await stop.wait()
    await server.drain(DRAIN_S)
    await server.aclose()


def main() -> int:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tools.replicas.serve", description=__doc__)
    parser.add_argument("tier", type=Tier)
    parser.add_argument("id")
    parser.add_argument("--calls", type=int, default=1)
    options = parser.parse_args()
    set_up(LogOptions())
    asyncio.run(_serve(options.tier, options.id, options.calls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
