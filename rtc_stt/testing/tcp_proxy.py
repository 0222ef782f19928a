"""A TCP proxy on loopback that breaks when it is told to: bad networks by command, not by luck.

It stands between a client and a server and knows neither: WebSockets, HTTP and whatever else runs over TCP::

    client ──▶ listener ──▶ _Pump TO_SERVER ──▶ server
           ◀── writer  ◀── _Pump TO_CLIENT ◀──
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
from types import TracebackType
from urllib.parse import urlsplit

__all__ = ["Direction", "TcpProxy"]

PIECE = 4096

MAX_WAITING = 64
"""Pieces on their way in one direction. Beyond it nothing more is read, as with a full buffer of TCP."""

CONNECT_TIMEOUT_S = 5.0

LINGER_RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` with no time to linger: closing sends RST instead of FIN."""


class Direction(enum.Enum):
    """Which way bytes go."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


class TcpProxy:
    """``async with TcpProxy("http://127.0.0.1:8080") as proxy: … connect to proxy.url … proxy.drop()``

    Args:
        url: of the server; only host and port are used.
        delay_s: how much later everything arrives, each way. May be set at any time.
        bytes_per_s: how fast it goes, each way and connection; None: as fast as it can. Likewise.

    Raises:
        ValueError: the URL names no host or no port.
    """

    def __init__(self, url: str, *, delay_s: float = 0.0, bytes_per_s: float | None = None) -> None:
        there = urlsplit(url)
        if not there.hostname or not there.port:
            raise ValueError(
                f"a URL with host and port is needed, such as http://127.0.0.1:8080, not {url!r}"
            )
        self._scheme, self._host, self._port = there.scheme, there.hostname, there.port
        self.delay_s, self.bytes_per_s = delay_s, bytes_per_s
        self.port = 0
        """Where it listens, from ``async with`` on."""
        self.connections = 0
        """That clients have made so far."""
        self.bytes_passed = dict.fromkeys(Direction, 0)
        """That have arrived, of all connections."""
        self._open: set[_Connection] = set()
        self._keeper: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()

    @property
    def url(self) -> str:
        """What clients connect to instead."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """That have not ended."""
        return len(self._open)

    async def __aenter__(self) -> TcpProxy:
        # This one never listens: it keeps the port ours while new connections are refused.
        self._keeper = _bound(0)
        self.port = self._keeper.getsockname()[1]
        self._flows.set()
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        await asyncio.gather(*[connection.end() for connection in self._open], return_exceptions=True)
        if self._keeper:
            self._keeper.close()

    # ── Faults ────────────────────────────────────────────────────────────

    def drop(self) -> None:
        """Close every connection on both sides (FIN), as a proxy does that is restarted."""
        for connection in self._open:
            connection.end()

    def reset(self) -> None:
        """Break every connection on both sides (RST), as a NAT does that has forgotten it."""
        for connection in self._open:
            connection.end(reset=True)

    def stall(self) -> None:
        """Let nothing go through, of new connections neither. Nothing is lost: see :meth:`resume`."""
        self._flows.clear()

    def resume(self) -> None:
        """End a stall: what has waited arrives."""
        self._flows.set()

    def half_open(self, direction: Direction) -> None:
        """Of the connections that there are, only this direction goes on; what goes the other way vanishes,
        its end too, and nobody is told. New connections are whole."""
        for connection in self._open:
            connection.lost |= set(Direction) - {direction}

    def darken(self) -> None:
        """Likewise, with both directions: a cable is pulled out, and there is another way for what is new."""
        for connection in self._open:
            connection.lost |= set(Direction)

    def refuse(self) -> None:
        """Refuse new connections, as a port does where nobody listens. Those that there are stay."""
        if self._server:
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """Take new connections again, at the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, sock=_bound(self.port))

    # ── Connections ────────────────────────────────────────────────────────────

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        self.connections += 1
        task = asyncio.current_task()
        assert task
        connection = _Connection(task, [writer])
        self._open.add(connection)
        try:
            await self._pump(connection, reader, writer)
        except asyncio.CancelledError:
            return  # by end(); asyncio's own callback would make a noise about it
        finally:
            connection.close()
            self._open.discard(connection)

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._flows.wait()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                there, back = await asyncio.open_connection(self._host, self._port)
            connection.writers.append(back)
            async with asyncio.TaskGroup() as pumps:
                for source, sink, direction in (
                    (reader, back, Direction.TO_SERVER),
                    (there, writer, Direction.TO_CLIENT),
                ):
                    pump = _Pump(self, connection, source, sink, direction)
                    pumps.create_task(pump.read())
                    pumps.create_task(pump.write())
        except* OSError:  # TimeoutError is one. The server is not there, or one side has reset.
            connection.close(reset=True)


class _Connection:
    """Both sides of one, and the task that carries it."""

    def __init__(self, task: asyncio.Task[None], writers: list[asyncio.StreamWriter]) -> None:
        self._task = task
        self.writers = writers
        self.lost: set[Direction] = set()

    def close(self, *, reset: bool = False) -> None:
        """Close both sides, at once; what has not arrived is lost. Does nothing a second time."""
        for writer in self.writers:
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET
                    )
            writer.transport.abort()
        self.writers.clear()

    def end(self, *, reset: bool = False) -> asyncio.Task[None]:
        """Likewise, and carry nothing more."""
        self.close(reset=reset)
        self._task.cancel()
        return self._task


class _Pump:
    """One direction of one connection. What is read waits until it is due, then it is written."""

    def __init__(
        self,
        proxy: TcpProxy,
        connection: _Connection,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        self._proxy, self._connection, self._direction = proxy, connection, direction
        self._source, self._sink = source, sink
        self._line: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(MAX_WAITING)

    async def read(self) -> None:
        """Until the source has nothing more to say."""
        loop = asyncio.get_running_loop()
        data: bytes | None = b"begin"
        while data:
            try:
                data = await self._source.read(PIECE)
            except OSError:
                data = None
            await self._line.put((loop.time() + self._proxy.delay_s, data))

    async def write(self) -> None:
        """Until the sink has been told all of it.

        Raises:
            OSError: the connection broke.
        """
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._line.get()
            rate = self._proxy.bytes_per_s
            pause = len(data) / rate if data and rate else 0.0
            await asyncio.sleep(max(due - loop.time(), pause))
            await self._proxy._flows.wait()
            if self._direction in self._connection.lost:
                if not data:
                    return
            elif data is None:
                raise ConnectionResetError
            elif data:
                self._proxy.bytes_passed[self._direction] += len(data)
                self._sink.write(data)
                await self._sink.drain()
            else:
                self._sink.write_eof()
                return


def _bound(port: int) -> socket.socket:
    """A socket that has this port of loopback, together with others of this process."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
