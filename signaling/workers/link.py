"""One end of the socket between the front and a worker: messages in, messages out, and one end for both."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from rtc_stt.audio import Samples
from rtc_stt.errors import trace
from signaling.workers.frames import BadFrame, Frame, FrameReader, encode

__all__ = ["Link", "open_link"]

log = logging.getLogger(__name__)

MOST_UNSENT = 64 * 1024 * 1024
"""Bytes. Whoever does not read so much any more will not come back to it."""

SMALL = 16 * 1024
"""Bytes of a body that is sent in one call with its header; a copy is cheaper than a call."""


class Link(asyncio.BufferedProtocol):
    """Called on the event loop only.

    Args:
        receive: takes each message. What it raises ends the link.
        lost: called once, with a reason, when there will be no more messages.
    """

    def __init__(self, receive: Callable[[Frame], None], lost: Callable[[str], None]) -> None:
        self._receive = receive
        self._lost: Callable[[str], None] | None = lost
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None

    @property
    def unsent(self) -> int:
        """Bytes that wait for the other side to read."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def send(self, header: dict[str, Any], body: Samples | None = None) -> None:
        """Send a message; after the end of the link it goes nowhere.

        The body is not copied where the socket takes it at once; it must not change afterwards.
        """
        if self._transport is None or self._transport.is_closing():
            return
        data = body.data.cast("B") if body is not None and body.size else memoryview(b"")
        head = encode(header, data.nbytes)
        if data.nbytes <= SMALL:
            self._transport.write(head + data)
        else:
            self._transport.write(head)
            self._transport.write(data)
        if self.unsent > MOST_UNSENT:
            self.close("the other side does not read")

    def close(self, reason: str) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end(reason)

    def _end(self, reason: str) -> None:
        lost, self._lost = self._lost, None
        if lost:
            lost(reason)

    # ── asyncio's calls ────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """See :class:`asyncio.BufferedProtocol`."""
        return self._reader.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """See :class:`asyncio.BufferedProtocol`."""
        try:
            for frame in self._reader.received(nbytes):
                if self._lost is None:
                    return
                self._receive(frame)
        except BadFrame as error:
            self.close(str(error))
        except Exception as error:
            log.error("a message could not be handled: %s", trace(error))
            self.close("a message could not be handled")

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        self._end("the connection was closed" if exc is None else type(exc).__name__)


async def open_link(
    sock: socket.socket, receive: Callable[[Frame], None], lost: Callable[[str], None]
) -> Link:
    """A link over a connected Unix socket, which it owns from now on."""
    sock.setblocking(False)
    _, link = await asyncio.get_running_loop().create_unix_connection(lambda: Link(receive, lost), sock=sock)
    return link
