"""TCP connections of the HTTP server: how many there may be, and how long one may say nothing.

aiohttp closes a connection that is idle between requests, and a body has its own time limit; but it waits for
ever for the first request of a connection, and takes as many connections as there are descriptors.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rtc_stt.instrument import Instrument
from signaling.forwarding import Network, is_loopback, is_one_of

__all__ = ["KEEPALIVE_S", "Connections"]

HEAD_TIMEOUT_S = 10.0
"""From the connection to the end of the first request's head."""

KEEPALIVE_S = 30.0
"""Between requests, their heads included. A page asks every few seconds or not at all."""

SEND_STALL_S = 20.0
"""Without a byte taken of an answer that is too long for the sockets' own buffers: who does not read is not
written to for ever."""

MAX_CONNECTIONS = 512
"""In all. Most systems give a process 1,024 descriptors, and a session takes two."""

MAX_PER_ADDRESS = 64
"""A browser opens six. Proxies and this machine itself are not held to it."""


class Connections:
    """Watches over all connections of one server.

    Args:
        proxies: see :class:`~signaling.keys.Gate`.
    """

    def __init__(self, proxies: Sequence[Network], instrument: Instrument) -> None:
        self._proxies = proxies
        self._instrument = instrument
        self._open: dict[asyncio.Transport, _Connection] = {}
        self._by_address: Counter[str] = Counter()
        self._closing = False
        self._more = 0  # than the constants say

    def make_room(self, requests: int) -> None:
        """So many requests may be worked on at a time, all of one address perhaps, and each takes a
        connection for as long. There is room for as many again, who are to be told that there is none.
        """
        self._more += 2 * requests

    def __len__(self) -> int:
        return len(self._open)

    def guard(self, factory: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A protocol factory whose connections are counted and timed."""
        return lambda: _Connection(factory, self)

    def heard(self, transport: asyncio.BaseTransport | None) -> None:
        """A request has come in on a connection, as a whole head."""
        if isinstance(transport, asyncio.Transport) and (connection := self._open.get(transport)):
            connection.stop_timer()
            connection.is_idle = False

    def answered(self, transport: asyncio.BaseTransport | None) -> bool:
        """A request has its answer; whether its connection is to be closed behind that."""
        if isinstance(transport, asyncio.Transport) and (connection := self._open.get(transport)):
            connection.is_idle = True
        return self._closing

    def close_idle(self) -> None:
        """Close those that wait for a further request now, and the others behind the answer that they wait
        for. Who has only just connected may still say what for.
        """
        self._closing = True
        for transport, connection in list(self._open.items()):
            if connection.is_idle:
                transport.close()

    def _admit(self, transport: asyncio.Transport, connection: _Connection) -> bool:
        address = _address(transport)
        own = not is_loopback(address) and not is_one_of(address, self._proxies)
        most, most_of_one = MAX_CONNECTIONS + self._more, MAX_PER_ADDRESS + self._more
        if len(self._open) >= most or (own and self._by_address[address] >= most_of_one):
            self._instrument.session_refused("connections")
            return False
        self._open[transport] = connection
        self._by_address[address] += 1
        return True

    def _part(self, transport: asyncio.Transport) -> None:
        if self._open.pop(transport, None):
            address = _address(transport)
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class _Connection(asyncio.Protocol):
    """Hands everything on to the protocol behind it, if it is let in."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], owner: Connections) -> None:
        self._factory = factory
        self._owner = owner
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_idle = False  # between two requests
        self._sending: asyncio.TimerHandle | None = None  # while there is much to be read
        self._unsent = 0

    def connection_made(self, transport: Any) -> None:
        """A connection."""
        if not self._owner._admit(transport, self):
            transport.abort()
            return
        self._transport = transport
        self._inner = self._factory()
        self._inner.connection_made(transport)
        # Gone without a word: who sends half a request reads no answer.
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes."""
        if self._inner:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """No more bytes."""
        return self._inner.eof_received() if self._inner else None

    def pause_writing(self) -> None:
        """The client has much to read."""
        self._watch_sending()
        if self._inner:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has read most of it."""
        if self._sending:
            self._sending.cancel()
        if self._inner:
            self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """The end."""
        self.stop_timer()
        if self._sending:
            self._sending.cancel()
        if self._inner and self._transport:
            self._owner._part(self._transport)
            self._inner.connection_lost(error)

    def stop_timer(self) -> None:
        """A request has come."""
        if self._timer:
            self._timer.cancel()

    def _watch_sending(self) -> None:
        if self._transport:
            self._unsent = self._transport.get_write_buffer_size()
            self._sending = asyncio.get_running_loop().call_later(SEND_STALL_S, self._check_sending)

    def _check_sending(self) -> None:
        assert self._transport
        if self._transport.get_write_buffer_size() >= self._unsent:
            self._transport.abort()
        else:
            self._watch_sending()


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
