"""Run the gateway until it is told to stop, then see everyone out."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable

from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.keys import HOST, SERVER

__all__ = ["serve"]

log = logging.getLogger(__name__)


async def serve(app: web.Application, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    While draining the port stays open, so that readiness and refusals are answered, not timed out.

    Args:
        announce: takes the URL once requests are answered.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    server = app[SERVER]
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, server.host, server.port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {server.host}:{server.port} ({error.strerror}): choose another --port"
            ) from error
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        port = runner.addresses[0][1]
        _settle()
        host = "localhost" if server.is_loopback else server.host
        announce(f"http://{host}:{port}")
        await stop.wait()
        log.info("draining")
        loop.remove_signal_handler(signal.SIGINT)  # who asks twice does not want to wait
        await app[HOST].drain(server.drain_seconds)
    finally:
        await runner.cleanup()


def _settle() -> None:
    """Take what will live as long as the process out of the garbage collector's sight.

    With the demo models these are 75,000 objects, and a full collection that looks at them all blocks the
    loop for 75 ms.
    """
    gc.collect()
    gc.freeze()
