"""What is on its way to the client of a WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from aiohttp import WSMsgType, web

from signaling.data_channel import MAX_OUTSTANDING_BYTES

__all__ = ["Outbox"]

FRAMES_A_GO = 32
"""Messages that are sent before others have their turn: about a third of a millisecond."""


class Outbox:
    """What is on its way to a client: in order, and never more than it may be behind.

    Args:
        give_up: called where the client does not read.
    """

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.WriteTransport, give_up: Callable[[str], None]
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._give_up = give_up
        self._waiting: deque[tuple[bytes, WSMsgType]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._is_over = False
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(
            self._run(), name="outbox"
        )

    def put(self, message: str | bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        """Send it, after what waits."""
        if self._is_over:
            return
        data = message.encode() if isinstance(message, str) else message
        self._waiting.append((data, kind))
        self._bytes += len(data)
        self._news.set()
        if self.waiting_bytes > MAX_OUTSTANDING_BYTES:
            self._is_over = True
            self._give_up("client_does_not_read")

    @property
    def waiting_bytes(self) -> int:
        """What has not left yet."""
        return self._bytes + self._transport.get_write_buffer_size()

    async def flush(self, seconds: float) -> None:
        """Until all has left, or so long."""
        deadline = time.monotonic() + seconds
        while (self._waiting or self._transport.get_write_buffer_size()) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Send nothing more. A client that has not read what was sent is cut off. May be called again."""
        self._is_over = True
        task, self._task = self._task, None  # that it was cancelled is told with frames that hold this
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self._transport.get_write_buffer_size():
            self.abort()

    def abort(self) -> None:
        """Let go of the connection, whatever it still holds."""
        self._transport.abort()

    async def _run(self) -> None:
        try:
            while True:
                sent = 0
                while self._waiting:
                    data, kind = self._waiting.popleft()
                    self._bytes -= len(data)
                    await self._ws.send_frame(data, kind)
                    sent += 1
                    if sent % FRAMES_A_GO == 0:  # to send need not mean to wait
                        await asyncio.sleep(0)
                self._news.clear()
                await self._news.wait()
        except ConnectionError:  # the reader learns of it too
            self._is_over = True
