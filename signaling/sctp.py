"""A guard around aiortc's SCTP: what a client may send below the data channel, and no exception of it.

aiortc runs the association inside the task that reads DTLS: whatever raises there (a second OPEN of a stream,
a string that is no UTF-8, a gap that does not fit into a SACK) ends the connection, audio included; and
several messages make it count or keep as much as the client likes. The guard wraps methods of one instance.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from struct import unpack_from
from typing import Any

from rtc_stt.errors import trace
from rtc_stt.logs import IdLog

__all__ = ["MAX_CHANNELS_OPENED", "RECEIVE_WINDOW", "SctpGuard"]

MAX_CHANNELS_OPENED = 8
"""Channels that a client may open in a connection's life; the first is enough."""

RECEIVE_WINDOW = 256 * 1024
"""Bytes that may wait for their message to be complete (RFC 9260 §3.3.2)."""

MAX_STREAMS = 64
"""Streams that data may arrive on; each costs a record for good."""

MAX_GAP = 1_024
"""How far ahead a TSN may be, and how many may be acknowledged by gap blocks: a window of full packets is
220."""

DCEP, STRING, BINARY, STRING_EMPTY, BINARY_EMPTY = 50, 51, 53, 56, 57
"""Payload protocol identifiers (RFC 8831 §8)."""

OPEN, ACK = 3, 2
"""Messages of DCEP (RFC 8832 §8.2.1)."""


class SctpGuard:
    """See above.

    Args:
        sctp: an ``RTCSctpTransport`` that has not started.
        refuse: told the reason of each message that is not taken.
        violate: told the reason where the connection should be closed; nothing is taken after that.
        log: of whose connection it is.
    """

    def __init__(
        self,
        sctp: Any,
        refuse: Callable[[str], None],
        violate: Callable[[str], None],
        log: IdLog | None = None,
    ) -> None:
        self._log = (log or IdLog(logging.getLogger())).at(__name__)
        self._sctp = sctp
        self._refuse = refuse
        self._tell = violate
        self._violated = False
        self._opened = 0
        sctp._advertised_rwnd = RECEIVE_WINDOW
        self._wrap("_handle_data", self._handle_data)
        self._wrap("_send_chunk", self._send_chunk)
        self._wrap("_receive_data_chunk", self._receive_data_chunk)
        self._wrap("_receive_sack_chunk", self._receive_sack_chunk)
        self._wrap("_receive_forward_tsn_chunk", self._receive_forward_tsn_chunk)
        self._wrap("_data_channel_receive", self._data_channel_receive)

    @property
    def outstanding_bytes(self) -> int:
        """Handed to SCTP and not yet acknowledged by the other side's SCTP."""
        sctp = self._sctp
        return sum(
            len(chunk.user_data) for queue in (sctp._sent_queue, sctp._outbound_queue) for chunk in queue
        ) + sum(len(data) for _, _, data in sctp._data_channel_queue)

    @property
    def round_trip_s(self) -> float | None:
        """The smoothed round-trip time (RFC 9260 §6.3.1), once there is one."""
        srtt: float | None = self._sctp._srtt
        return srtt

    def _wrap(self, name: str, guard: Callable[..., Awaitable[None]]) -> None:
        original = getattr(self._sctp, name)

        async def guarded(*arguments: Any) -> None:
            await guard(original, *arguments)

        setattr(self._sctp, name, guarded)

    def _violate(self, reason: str) -> None:
        if not self._violated:
            self._violated = True
            self._refuse(reason)
            self._tell(reason)

    async def _handle_data(self, original: Callable[..., Awaitable[None]], data: bytes) -> None:
        if self._violated:
            return
        try:
            await original(data)
        except ConnectionError:
            pass  # DTLS is closing; who reads it will notice
        except Exception as error:
            self._log.info("SCTP of the client could not be handled: %s", trace(error))
            self._violate("sctp")

    async def _send_chunk(self, original: Callable[..., Awaitable[None]], chunk: Any) -> None:
        # What is lost is sent again; and where all is at its end, there is nobody to raise to.
        with contextlib.suppress(ConnectionError):
            await original(chunk)

    async def _receive_data_chunk(self, original: Callable[..., Awaitable[None]], chunk: Any) -> None:
        sctp = self._sctp
        if self._violated:
            return
        if chunk.stream_id not in sctp._inbound_streams and len(sctp._inbound_streams) >= MAX_STREAMS:
            self._violate("streams")
        elif MAX_GAP < (chunk.tsn - sctp._last_received_tsn) % 2**32 < 2**31:
            self._violate("window")
        else:
            await original(chunk)
            if sctp._advertised_rwnd < 0:
                self._violate("window")

    async def _receive_sack_chunk(self, original: Callable[..., Awaitable[None]], chunk: Any) -> None:
        if sum(max(0, end - start + 1) for start, end in chunk.gaps) > MAX_GAP:
            self._violate("sack")  # aiortc would count them one by one, 65,535 a block
        else:
            await original(chunk)

    async def _receive_forward_tsn_chunk(self, original: Callable[..., Awaitable[None]], chunk: Any) -> None:
        if len(chunk.streams) + len(self._sctp._inbound_streams) > 2 * MAX_STREAMS:
            self._violate("streams")
        else:
            await original(chunk)

    async def _data_channel_receive(
        self, original: Callable[..., Awaitable[None]], stream: int, protocol: int, data: bytes
    ) -> None:
        if self._violated:
            return
        channels = self._sctp._data_channels
        if protocol == DCEP:
            if not self._may_negotiate(stream, data):
                return
        elif stream not in channels or protocol not in (STRING, BINARY, STRING_EMPTY, BINARY_EMPTY):
            self._refuse("channel" if stream not in channels else "protocol")
            return
        elif protocol == STRING and not _is_utf8(data):
            self._refuse("utf8")
            protocol = BINARY  # as bytes it can be answered like any other message that is no command
        await original(stream, protocol, data)

    def _may_negotiate(self, stream: int, data: bytes) -> bool:
        """Whether a DCEP message is one that aiortc can take."""
        kind = data[0] if data else None
        known = stream in self._sctp._data_channels
        if kind == ACK and known:
            return True
        if kind == OPEN:
            self._opened += 1
            if self._opened > MAX_CHANNELS_OPENED:
                self._violate("channels")
                return False
            if not known and len(data) >= 12:
                label, protocol = unpack_from("!HH", data, 8)
                if _is_utf8(data[12 : 12 + label]) and _is_utf8(data[12 + label : 12 + label + protocol]):
                    return True
        self._refuse("channel")
        return False


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
