"""An event loop whose UDP sockets come from a range of ports, so that a firewall can let them through.

aioice asks for any free port; the loop is where that can be answered otherwise.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import Callable
from typing import Any

from rtc_stt.errors import ConfigError

__all__ = ["PortRangeLoop", "loop_factory", "parse_port_range"]

MAX_ATTEMPTS = 1_000
"""Ports tried for one socket: 2 ms. In a larger range that is nearly full, a client is turned away a little
early."""


def parse_port_range(text: str, name: str = "UDP_PORT_RANGE") -> range | None:
    """The ports of a key like ``UDP_PORT_RANGE``: ``first-last``, both included. None where it is empty.

    Raises:
        ConfigError: it is something else.
    """
    if not text.strip():
        return None
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise ConfigError(f"{name}: two ports are needed, e.g. 50000-50999")
    ports = range(int(first), int(last) + 1)
    if not 1_024 <= ports.start <= ports.stop - 1 <= 65_535:
        raise ConfigError(f"{name}: the first port is at least 1024, the last at most 65535 and not lower")
    return ports


def loop_factory(port_range: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For ``asyncio.Runner``; None for the usual loop.

    Raises:
        ConfigError: see :func:`parse_port_range`.
    """
    ports = parse_port_range(port_range)
    return None if ports is None else lambda: PortRangeLoop(ports)


class PortRangeLoop(asyncio.SelectorEventLoop):
    """Binds UDP sockets for which any port would do to free ones of ``ports``.

    Which port is next is drawn once, then they follow each other: a port that was just given up is not taken
    again at once, when packets for its last user may still be on their way.
    """

    def __init__(self, ports: range) -> None:
        super().__init__()
        self._ports = ports
        self._next = random.randrange(len(ports))  # noqa: S311 (no secret)

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], local_addr: Any = None, **options: Any
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """As ever.

        Raises:
            OSError: ``EADDRINUSE`` where no port of the range is free.
        """
        if local_addr is None or local_addr[1] != 0 or options:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, **options)
        sock = self._bind(local_addr[0])
        try:
            return await super().create_datagram_endpoint(protocol_factory, sock=sock)
        except BaseException:
            sock.close()
            raise

    def _bind(self, host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            for _ in range(min(len(self._ports), MAX_ATTEMPTS)):
                port = self._ports[self._next]
                self._next = (self._next + 1) % len(self._ports)
                try:
                    sock.bind((host, port))
                except OSError as error:
                    if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                        raise
                else:
                    return sock
            raise OSError(errno.EADDRINUSE, "every port of UDP_PORT_RANGE is taken")
        except BaseException:
            sock.close()
            raise
