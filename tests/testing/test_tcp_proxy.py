"""A proxy that breaks on command, between a real client and a real echo."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rtc_stt.testing.tcp_proxy import Direction, TcpProxy


class Echo:
    """Says back what it hears, and counts who has gone and how."""

    def __init__(self) -> None:
        self.url = ""
        self.heard = b""
        self.ended: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        how = "end"
        try:
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except ConnectionResetError:
            how = "reset"
        self.ended.append(how)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    for writer in made.writers:
        writer.close()
    async with asyncio.timeout(5):
        while len(made.ended) < len(made.writers):
            await asyncio.sleep(0.001)


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(echo.url) as made:
        yield made


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[TcpProxy], Awaitable[Streams]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients that end with the test."""
    writers: list[asyncio.StreamWriter] = []

    async def make(proxy: TcpProxy) -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(writer)
        return reader, writer

    yield make
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(streams: Streams, words: bytes) -> bytes:
    streams[1].write(words)
    async with asyncio.timeout(2):
        return await streams[0].readexactly(len(words))


async def hears_nothing(streams: Streams) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await streams[0].readexactly(1)
    except TimeoutError:
        return True
    return False


async def test_what_goes_in_comes_out_and_is_counted(echo: Echo, proxy: TcpProxy, connect: Connect) -> None:
    first, second = await connect(proxy), await connect(proxy)
    assert await ask(first, b"one") == b"one"
    assert await ask(second, bytes(300_000)) == bytes(300_000)
    assert proxy.connections == proxy.open_connections == 2
    assert proxy.bytes_passed == dict.fromkeys(Direction, 300_003)
    assert proxy.url == f"http://127.0.0.1:{proxy.port}"


async def test_an_end_is_passed_on_and_the_other_direction_goes_on(
    echo: Echo, proxy: TcpProxy, connect: Connect
) -> None:
    reader, writer = await connect(proxy)
    writer.write(b"last words")
    writer.write_eof()
    async with asyncio.timeout(2):
        assert await reader.read() == b"last words"
        while proxy.open_connections:
            await asyncio.sleep(0.001)
    assert echo.ended == ["end"]


async def test_dropped_connections_end_on_both_sides_and_new_ones_are_whole(
    echo: Echo, proxy: TcpProxy, connect: Connect
) -> None:
    streams = await connect(proxy)
    await ask(streams, b"x")
    proxy.drop()
    async with asyncio.timeout(2):
        assert await streams[0].read() == b""
        while not echo.ended:
            await asyncio.sleep(0.001)
    assert echo.ended == ["end"]
    assert proxy.open_connections == 0
    assert await ask(await connect(proxy), b"again") == b"again"
    assert proxy.connections == 2


async def test_a_reset_is_one_on_both_sides(echo: Echo, proxy: TcpProxy, connect: Connect) -> None:
    streams = await connect(proxy)
    await ask(streams, b"x")
    proxy.reset()
    async with asyncio.timeout(2):
        with pytest.raises(ConnectionResetError):
            await streams[0].read()
        while not echo.ended:
            await asyncio.sleep(0.001)
    assert echo.ended == ["reset"]


async def test_a_reset_of_one_side_is_passed_on(echo: Echo, proxy: TcpProxy, connect: Connect) -> None:
    streams = await connect(proxy)
    await ask(streams, b"x")
    again = TcpProxy(proxy.url)
    async with again:
        through_two = await connect(again)
        await ask(through_two, b"y")
        again.reset()
        async with asyncio.timeout(2):
            while "reset" not in echo.ended:
                await asyncio.sleep(0.001)
    assert await ask(streams, b"the other is as it was") == b"the other is as it was"


async def test_what_is_stalled_arrives_later_also_on_a_new_connection(
    echo: Echo, proxy: TcpProxy, connect: Connect
) -> None:
    before = await connect(proxy)
    await ask(before, b"x")
    proxy.stall()
    after = await connect(proxy)
    for _, writer in (before, after):
        writer.write(b"held")
    assert await hears_nothing(before)
    assert await hears_nothing(after)
    assert echo.heard == b"x"
    assert proxy.open_connections == 2
    proxy.resume()
    for reader, _ in (before, after):
        async with asyncio.timeout(2):
            assert await reader.readexactly(4) == b"held"


async def test_a_stalled_sender_has_to_wait(proxy: TcpProxy, connect: Connect) -> None:
    _, writer = await connect(proxy)
    proxy.stall()
    writer.write(bytes(64 << 20))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await writer.drain()


@pytest.mark.parametrize("direction", Direction)
async def test_half_open_is_open_one_way(
    echo: Echo, proxy: TcpProxy, direction: Direction, connect: Connect
) -> None:
    streams = await connect(proxy)
    await ask(streams, b"x")
    proxy.half_open(direction)
    streams[1].write(b"word")
    echo.writers[0].write(b"!")
    if direction is Direction.TO_SERVER:
        assert await hears_nothing(streams)
        assert echo.heard == b"xword"
    else:
        async with asyncio.timeout(2):
            assert await streams[0].readexactly(1) == b"!"
        assert await hears_nothing(streams)
        assert echo.heard == b"x"
    assert await ask(await connect(proxy), b"new") == b"new"


async def test_in_the_dark_not_even_the_end_is_told(echo: Echo, proxy: TcpProxy, connect: Connect) -> None:
    streams = await connect(proxy)
    await ask(streams, b"x")
    proxy.darken()
    streams[1].write(b"word")
    assert await hears_nothing(streams)
    streams[1].transport.abort()
    await asyncio.sleep(0.05)
    assert echo.heard == b"x"
    assert echo.ended == []
    assert await ask(await connect(proxy), b"new") == b"new"


async def test_refused_is_refused_until_it_is_not(proxy: TcpProxy, connect: Connect) -> None:
    old = await connect(proxy)
    await ask(old, b"x")
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    assert await ask(old, b"those that there are stay") == b"those that there are stay"
    await proxy.accept()
    await proxy.accept()  # once more changes nothing
    assert proxy.port == port
    assert await ask(await connect(proxy), b"new") == b"new"


async def test_late_and_slow(proxy: TcpProxy, connect: Connect) -> None:
    streams = await connect(proxy)
    proxy.delay_s = 0.05
    begun = time.monotonic()
    await ask(streams, b"x")
    assert 0.1 <= time.monotonic() - begun < 1
    proxy.delay_s, proxy.bytes_per_s = 0.0, 100_000
    begun = time.monotonic()
    await ask(streams, bytes(10_000))
    assert 0.1 <= time.monotonic() - begun < 1


async def test_a_delay_does_not_make_it_slow(proxy: TcpProxy, connect: Connect) -> None:
    streams = await connect(proxy)
    proxy.delay_s = 0.05
    begun = time.monotonic()
    await ask(streams, bytes(200_000))
    assert time.monotonic() - begun < 1


async def test_where_no_server_is_a_client_is_reset(connect: Connect) -> None:
    async with TcpProxy("http://127.0.0.1:1") as proxy:
        reader, _ = await connect(proxy)
        async with asyncio.timeout(2):
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_nothing_is_left_of_it(echo: Echo, connect: Connect) -> None:
    proxy = TcpProxy(echo.url)
    async with proxy:
        streams = await connect(proxy)
        await ask(streams, b"x")
        proxy.stall()
        streams[1].write(b"held")
        stalled = await connect(proxy)
    async with asyncio.timeout(2):
        assert await streams[0].read() == b""
        assert await stalled[0].read() == b""
    assert proxy.open_connections == 0
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:80", "http://:80", ""])
def test_it_has_to_know_where_the_server_is(url: str) -> None:
    with pytest.raises(ValueError, match="host and port"):
        TcpProxy(url)
