"""Run the gateway until it is told to stop, then see everyone out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from rtc_stt.errors import ConfigError
from rtc_stt.memory import settle
from signaling.access_log import ACCESS_LOG, AccessLogger
from signaling.codecs import opus_backend
from signaling.connections import KEEPALIVE_S, Connections
from signaling.http_protocol import HttpProtocol
from signaling.inherited import inherited_sockets
from signaling.keyring import Keyring
from signaling.keys import DRAIN, GATE, SERVER
from signaling.settings import Server

__all__ = ["listening", "serve"]

LINGER_S = 2.0
"""An answer that comes before the end of a body is followed by so much of the rest, which is thrown away: a
connection that is closed at once is reset, and the client may never see the answer."""

HEAR_OUT_S = 0.3
"""From a connection to its first request, which is about a round trip."""

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

    While draining the port stays open, so that readiness and refusals are answered, not timed out. A socket
    that was inherited (see :mod:`~signaling.inherited`) is left to whoever comes next: who connects now waits
    for that one, and connections that are idle are closed.

    Args:
        announce: takes the URL once requests are answered.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    server = app[SERVER]
    loop = asyncio.get_running_loop()
    async with _listening(app, inherits=True) as door, _reloading(app[GATE].keyring):
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        settle()
        host = "localhost" if server.is_loopback else server.host
        log.info("Opus is decoded by %s", opus_backend())
        announce(f"http://{host}:{door.port}")
        await stop.wait()
        log.info("draining")
        await door.hand_over()
        loop.remove_signal_handler(signal.SIGINT)  # who asks twice does not want to wait
        await app[DRAIN](server.drain_seconds)


@contextlib.asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[int]:
    """Answer requests while in the block, on the port that is given; connections are watched over.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    async with _listening(app, inherits=False) as door:
        yield door.port


@dataclass(frozen=True)
class _Listening:
    """Where connections come in."""

    connections: Connections
    listeners: list[asyncio.Server]
    is_inherited: bool

    @property
    def port(self) -> int:
        return int(self.listeners[0].sockets[0].getsockname()[1])

    async def hand_over(self) -> None:
        """Take no more connections where somebody else will; who has just connected is served."""
        if self.is_inherited:
            for listener in self.listeners:
                listener.close()
            self.connections.close_idle()
            await asyncio.sleep(HEAR_OUT_S)


@contextlib.asynccontextmanager
async def _listening(app: web.Application, *, inherits: bool) -> AsyncIterator[_Listening]:
    """See :func:`listening`.

    Args:
        inherits: whether sockets that were given to the process are used in place of the address.
    """
    runner, gate = web.AppRunner(app), app[GATE]
    await runner.setup()
    assert runner.server
    make_protocol = partial(
        HttpProtocol,
        runner.server,
        gate.instrument,
        access_log_class=AccessLogger,
        access_log=ACCESS_LOG,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        logger=http_log,
    )
    factory = gate.connections.guard(make_protocol)
    try:
        given: contextlib.AbstractContextManager[list[socket.socket]] = contextlib.nullcontext([])
        with inherited_sockets(loopback_only=app[SERVER].is_loopback) if inherits else given as inherited:
            listeners = await _open(factory, app[SERVER], inherited)
            try:
                yield _Listening(gate.connections, listeners, bool(inherited))
            finally:
                for listener in listeners:
                    listener.close()
    finally:
        await runner.cleanup()


async def _open(
    factory: Callable[[], asyncio.Protocol], server: Server, inherited: list[socket.socket]
) -> list[asyncio.Server]:
    """Listen on the sockets that were inherited, else on the address.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    if inherited:
        return [await loop.create_server(factory, sock=one) for one in inherited]
    try:
        return [await loop.create_server(factory, server.host, server.port)]
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {server.host}:{server.port} ({error.strerror}): choose another --port"
        ) from error


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
