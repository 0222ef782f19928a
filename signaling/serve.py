"""Run the gateway until it is told to stop, then see everyone out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from rtc_stt.errors import ConfigError
from signaling.codecs import opus_backend
from signaling.connections import KEEPALIVE_S
from signaling.http_protocol import HttpProtocol
from signaling.keyring import Keyring
from signaling.keys import DRAIN, GATE, SERVER

__all__ = ["listening", "serve"]

LINGER_S = 2.0
"""An answer that comes before the end of a body is followed by so much of the rest, which is thrown away: a
connection that is closed at once is reset, and the client may never see the answer."""

log = logging.getLogger(__name__)
http_log = logging.getLogger(f"{__name__}.http")
"""Of aiohttp's server, in place of its own."""


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Not that somebody sent what is no HTTP: with it aiohttp logs what was sent, and from where."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


http_log.addFilter(_is_worth_telling)


async def serve(app: web.Application, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. SIGHUP reads the file of keys again.

    While draining the port stays open, so that readiness and refusals are answered, not timed out.

    Args:
        announce: takes the URL once requests are answered.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    server = app[SERVER]
    loop = asyncio.get_running_loop()
    async with listening(app) as port, _reloading(app[GATE].keyring):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        _settle()
        host = "localhost" if server.is_loopback else server.host
        log.info("Opus is decoded by %s", opus_backend())
        announce(f"http://{host}:{port}")
        await stop.wait()
        log.info("draining")
        loop.remove_signal_handler(signal.SIGINT)  # who asks twice does not want to wait
        await app[DRAIN](server.drain_seconds)


@contextlib.asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """Answer requests while in the block, on the port that is given; connections are watched over.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    server = app[SERVER]
    runner, gate = web.AppRunner(app), app[GATE]
    await runner.setup()
    assert runner.server
    make_protocol = partial(
        HttpProtocol,
        runner.server,
        gate.instrument,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        logger=http_log,
    )
    factory = gate.connections.guard(make_protocol)
    try:
        try:
            listener = await asyncio.get_running_loop().create_server(factory, server.host, server.port)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {server.host}:{server.port} ({error.strerror}): choose another --port"
            ) from error
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _reloading(keyring: Keyring) -> AsyncIterator[None]:
    """While in the block, SIGHUP reads the file of keys again. Where there is none it ends the process as
    ever: it comes from a terminal that was closed.
    """
    if not keyring.has_file:
        yield
        return
    loop, wanted = asyncio.get_running_loop(), asyncio.Event()

    async def obey() -> None:
        while await wanted.wait():
            wanted.clear()
            await keyring.reload()

    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    task = loop.create_task(obey(), name="keys")
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _settle() -> None:
    """Take what will live as long as the process out of the garbage collector's sight.

    With the demo models these are 75,000 objects, and a full collection that looks at them all blocks the
    loop for 75 ms.
    """
    gc.collect()
    gc.freeze()
