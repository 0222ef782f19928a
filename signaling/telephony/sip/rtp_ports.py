"""UDP sockets for media, in pairs: RTP on an even port of ``RTP_PORT_RANGE``, RTCP on the next (RFC 3550
§11)."""

from __future__ import annotations

import errno
import random
import socket
from dataclasses import dataclass

from rtc_stt.errors import Unavailable

__all__ = ["RtpPair", "RtpPorts"]

MAX_ATTEMPTS = 500
"""Pairs tried for one stream: some milliseconds."""


@dataclass(frozen=True, slots=True)
class RtpPair:
    """Two sockets that do not block."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int
    """Of RTP."""

    def close(self) -> None:
        """Give the ports back. May be called again."""
        self.rtp.close()
        self.rtcp.close()


class RtpPorts:
    """Which pair is next is drawn once, then they follow each other: a port that was just given up is not
    taken again at once, when packets for its last user may still be on their way.

    Args:
        host: address to listen on, IPv4 or IPv6.
        ports: those that may be taken.
    """

    def __init__(self, host: str, ports: range) -> None:
        self._host = host
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        first = ports.start + ports.start % 2
        self._even = range(first, ports.stop - 1, 2)
        self._next = random.randrange(max(1, len(self._even)))  # noqa: S311 (no secret)

    def take(self) -> RtpPair:
        """A pair that nobody has.

        Raises:
            Unavailable: none is free.
        """
        for _ in range(min(len(self._even), MAX_ATTEMPTS)):
            port = self._even[self._next]
            self._next = (self._next + 1) % len(self._even)
            if (rtp := self._bind(port)) is None:
                continue
            if (rtcp := self._bind(port + 1)) is None:
                rtp.close()
                continue
            return RtpPair(rtp, rtcp, port)
        raise Unavailable("every port of RTP_PORT_RANGE is taken; try again later")

    def _bind(self, port: int) -> socket.socket | None:
        try:
            sock = socket.socket(self._family, socket.SOCK_DGRAM)
        except OSError as error:  # the process has as many descriptors as it may have
            raise Unavailable("there are no sockets left; try again later") from error
        try:
            sock.setblocking(False)
            sock.bind((self._host, port))
        except OSError as error:
            sock.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return None
            raise Unavailable("no socket for media can be had") from error
        return sock
