"""SIP over TCP: connections, how many, and how long without a word. Their bytes are the user agent's to
cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

from rtc_stt.instrument import Instrument
from signaling.telephony.sip.vocabulary import Flow

__all__ = ["SipConnections"]

MAX_CONNECTIONS = 256
"""A PBX has one or two. Where there are as many, one goes that nobody was answered on, or the new one."""

MAX_PER_ADDRESS = 64

FIRST_WORD_S = 10.0
"""So long after it was made a connection has to have brought something that was answered."""

IDLE_S = 4 * 3_600.0
"""Without a byte; a dialog may be quiet for as long as its session's refresh, and calls last for hours."""

MAX_UNSENT = 256 * 1024
"""Bytes that the other side does not take."""


class SipConnections:
    """All of a server.

    Args:
        receive: takes bytes, where they came from, and the time.
        lose: told of each that has gone.
    """

    def __init__(
        self,
        receive: Callable[[bytes, Flow, float], None],
        lose: Callable[[Flow, float], None],
        instrument: Instrument,
    ) -> None:
        self.receive = receive
        self.lose = lose
        self._instrument = instrument
        self._open: dict[int, SipConnection] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._open)

    def make(self) -> asyncio.Protocol:
        """For a connection that comes in."""
        return SipConnection(self)

    def add(self, connection: SipConnection, address: str) -> int | None:
        """Its number; None: there are too many."""
        own = sum(other.flow is not None and other.flow.address == address for other in self._open.values())
        if own >= MAX_PER_ADDRESS or (len(self._open) >= MAX_CONNECTIONS and not self._make_room()):
            self._instrument.phone_refused("connections")
            return None
        self._last += 1
        self._open[self._last] = connection
        return self._last

    def _make_room(self) -> bool:
        """Close the oldest on which nothing was answered."""
        for number, connection in self._open.items():
            if not connection.was_answered:
                del self._open[number]
                connection.abort()
                return True
        return False

    def remove(self, flow: Flow) -> None:
        """It has gone."""
        self._open.pop(flow.connection, None)
        self.lose(flow, time.monotonic())

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on a connection; nothing happens where it has gone."""
        if connection := self._open.get(flow.connection):
            connection.send(data)

    def disconnect(self, flow: Flow) -> None:
        """Close one, whatever waits on it."""
        if connection := self._open.get(flow.connection):
            connection.abort()

    def close(self) -> None:
        """Close all."""
        for connection in list(self._open.values()):
            connection.abort()


class SipConnection(asyncio.Protocol):
    """One."""

    def __init__(self, owner: SipConnections) -> None:
        self.flow: Flow | None = None
        """None where it was not let in."""
        self.was_answered = False
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        address, port = transport.get_extra_info("peername")[:2]
        number = self._owner.add(self, address)
        if number is None:
            self._transport.abort()
            return
        self.flow = Flow("tcp", address, port, number)
        self._timer = asyncio.get_running_loop().call_later(FIRST_WORD_S, self._look)

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self.flow:
            self._heard_at = time.monotonic()
            self._owner.receive(data, self.flow, self._heard_at)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._timer:
            self._timer.cancel()
        if self.flow:
            self._owner.remove(self.flow)

    def send(self, data: bytes) -> None:
        """Send it. Who does not take what was sent is cut off."""
        assert self._transport
        self.was_answered = True
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport:
            self._transport.abort()

    def _look(self) -> None:
        """Whether it still has a reason to be."""
        if not self.was_answered or time.monotonic() - self._heard_at > IDLE_S:
            self.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(IDLE_S / 4, self._look)
