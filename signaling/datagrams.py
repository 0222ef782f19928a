"""What comes out of a connection's UDP sockets: who may say anything, how often, and where it goes.

aioice takes every datagram of everyone into an unbounded queue, answers any STUN message, and hands media on
through two coroutines. Here a datagram is judged by its first byte (RFC 7983) and its sender: a stranger's
costs about a microsecond, media of the peer goes straight to its handler, and all queues are bounded.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from aioice import stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol

from rtc_stt.errors import trace
from rtc_stt.logs import IdLog
from rtc_stt.token_bucket import TokenBucket

__all__ = ["MAX_PEER_ADDRESSES", "MAX_QUEUED", "Gate"]

log = logging.getLogger(__name__)

DATAGRAM_RATE, DATAGRAM_BURST = 500, 2_000
"""Of the peer. Speech is 50 to 100 a second; the burst is what an interrupted line delivers at once."""

CHECK_RATE, CHECK_BURST = 2, 30
"""Connectivity checks from addresses not heard before: a client has a few interfaces, and moves seldom. Each
makes aioice send checks to that address, which may be a victim's."""

STRAY_RATE, STRAY_BURST = 100, 100
"""Media from addresses not heard before. Behind a NAT that rebinds, a client speaks from a new port seconds
before its next check; SRTP tells it from strangers, who cost a failed decryption each."""

MAX_PEER_ADDRESSES = 128
"""Addresses of one peer, over all its life."""

MAX_TRUSTED = 16
"""Of them, how many of the latest may send more than checks."""

MAX_QUEUED = 256
"""Datagrams of DTLS (data channel) that wait; SCTP sends again what is dropped."""

MAX_HOSTS = 16
"""Addresses of this machine that a connection listens on."""

RECEIVE_BUFFER = 256 * 1024
"""Of a socket, bytes: what may arrive while the loop is busy."""

LOOPBACK = ("127.0.0.1",)


class Gate:
    """Stands between the sockets of one ICE connection and everything behind them.

    Args:
        connection: gets nothing but STUN and DTLS, of the peer.
        media: takes each SRTP or SRTCP packet, still encrypted; gives a reason where it was not the peer's.
        clock: monotonic seconds.
        local: also listen on the loopback interface, which aioice leaves out.
        log: of whose connection it is.
    """

    def __init__(
        self,
        connection: Connection,
        media: Callable[[bytes], str | None],
        clock: Callable[[], float],
        *,
        local: bool,
        log: IdLog | None = None,
    ) -> None:
        self._log = (log or IdLog(logging.getLogger())).at(__name__)
        self.refused: Counter[str] = Counter()
        """Datagrams that were not taken, by reason. The reader may clear it."""
        self.sockets: list[GuardedSocket] = []
        self._connection = connection
        self._media = media
        self._clock = clock
        self._local = local
        self._trusted: dict[tuple[str, int], None] = {}
        self._datagrams = TokenBucket(DATAGRAM_RATE, DATAGRAM_BURST)
        self._checks = TokenBucket(CHECK_RATE, CHECK_BURST)
        self._strays = TokenBucket(STRAY_RATE, STRAY_BURST)
        self._ours = f"{connection.local_username}:".encode()
        connection._queue = _BoundedQueue(self.refused)
        connection.get_component_candidates = self._gather  # type: ignore[method-assign]
        # STUN that cannot be parsed ends up here; it is no data.
        connection.data_received = self._receive_broken  # type: ignore

    def trust(self, source: tuple[str, int]) -> None:
        """Take media and DTLS from an address: it has shown that it knows the password."""
        if source in self._trusted:
            return
        self._trusted[source] = None
        if len(self._trusted) > MAX_TRUSTED:
            del self._trusted[next(iter(self._trusted))]

    def receive(self, sock: GuardedSocket, data: bytes, source: tuple[str, int]) -> None:
        """Take a datagram. Never raises."""
        first = data[0] if data else 255
        try:
            if source in self._trusted or self._is_nominated(source):
                if not self._datagrams.take(self._clock()):
                    self.refused["flood"] += 1
                elif 127 < first < 192:
                    if reason := self._media(data):
                        self.refused[reason] += 1
                elif 19 < first < 64:
                    self._connection._queue.put_nowait((data, 1))
                elif first < 4:
                    sock.receive_stun(data, source)
                else:
                    self.refused["stray"] += 1
            elif first < 4 and self._may_check(sock, data):
                sock.receive_stun(data, source)
            elif 127 < first < 192 and self._strays.take(self._clock()) and self._media(data) is None:
                self.trust(source)
            else:
                self.refused["stranger"] += 1
        except Exception as error:  # aioice trusts the form of attributes; others get an error per datagram
            if not self.refused["broken"]:
                self._log.info("a datagram could not be handled: %s", trace(error))
            self.refused["broken"] += 1

    def close(self) -> None:
        """Close all sockets at once, whatever state the connection is in."""
        for sock in self.sockets:
            sock.transport.abort()
        self.sockets.clear()

    def _is_nominated(self, source: tuple[str, int]) -> bool:
        """An ICE Lite peer never checks: it is known by the pair that we have nominated."""
        pair = self._connection._nominated.get(1)
        if pair is None or pair.remote_addr != source:
            return False
        self.trust(source)
        return True

    def _may_check(self, sock: GuardedSocket, data: bytes) -> bool:
        """Whether a STUN message of an unknown address is worth parsing."""
        if len(data) < 20:
            return False
        if data[0] & 1:  # a response
            return data[8:20] in sock.transactions
        return (
            self._ours in data
            and len(self._connection._remote_candidates) < MAX_PEER_ADDRESSES
            and self._checks.take(self._clock())
        )

    def _receive_broken(self, _data: bytes, _component: int) -> None:
        self.refused["broken"] += 1

    async def _gather(self, component: int, addresses: Sequence[str], timeout: int = 5) -> list[Candidate]:
        """Host candidates, in place of aioice's own; none where no port is free."""
        loop = asyncio.get_running_loop()
        candidates = []
        for address in [*(LOOPBACK if self._local else ()), *addresses][:MAX_HOSTS]:
            try:
                _, sock = await loop.create_datagram_endpoint(
                    lambda: GuardedSocket(self._connection, self), local_addr=(address, 0)
                )
            except OSError as error:
                log.info("no UDP socket on an interface: %s", error.strerror)
                continue
            sock.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER
            )
            host, port = sock.transport.get_extra_info("sockname")[:2]
            sock.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            self._connection._protocols.append(sock)
            candidates.append(sock.local_candidate)
        return candidates


class GuardedSocket(StunProtocol):
    """A socket whose datagrams pass the gate first."""

    def __init__(self, connection: Connection, gate: Gate) -> None:
        super().__init__(connection)
        self._gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Known to the gate from its first moment, so that none is left open."""
        super().connection_made(transport)
        self._gate.sockets.append(self)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """See :meth:`Gate.receive`."""
        self._gate.receive(self, data, (addr[0], addr[1]))  # type: ignore[arg-type]

    def receive_stun(self, data: bytes, source: tuple[str, int]) -> None:
        """Let aioice handle a STUN message."""
        super().datagram_received(data, source)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """aioice answers a check with success only where its integrity holds (RFC 8445 §7.3)."""
        if message.message_class is stun.Class.RESPONSE:
            self._gate.trust((addr[0], addr[1]))
        super().send_stun(message, addr)

    def error_received(self, exc: Exception) -> None:
        """ICMP says that nobody is there: ICE notices by itself."""


class _BoundedQueue(asyncio.Queue[Any]):
    """Drops what does not fit. The mark of the end always fits."""

    def __init__(self, refused: Counter[str]) -> None:
        super().__init__()
        self._refused = refused

    def put_nowait(self, item: Any) -> None:
        if item is not None and self.qsize() >= MAX_QUEUED:
            self._refused["queue"] += 1
        else:
            super().put_nowait(item)
