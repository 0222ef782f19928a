"""TCP connections: how many, and how long without a word."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rtc_stt.instrument import Instrument
from signaling import connections as module
from signaling.app import create_app
from signaling.connections import Connections
from signaling.forwarding import parse_proxies
from signaling.keys import GATE
from signaling.page import About
from signaling.serve import listening
from signaling.settings import Access, Server, WebRtc
from tests.signaling.front import FakeHost

HEALTH = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, Connections]]:
    monkeypatch.setattr(module, "HEAD_TIMEOUT_S", 0.2)
    about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
    app = create_app(FakeHost(), Server(port=0), Access(), WebRtc(), about)
    async with listening(app) as port:
        yield port, app[GATE].connections
    assert not len(app[GATE].connections), "all are let go at the end"


async def ends(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the server hangs up in time; what it says before does not matter."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            await reader.read()
    return reader.at_eof() or reader.exception() is not None


@pytest.mark.parametrize("said", [b"", b"GET /v1/hea", HEALTH])
async def test_who_never_finishes_a_request_is_not_waited_for(served, said):
    port, connections = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    assert await ends(reader, 2)
    assert not len(connections)
    writer.close()


async def test_drops_of_a_request_gain_no_time(served):
    port, _ = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in HEALTH * 3:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
        if reader.exception() or reader.at_eof():
            break
    else:
        pytest.fail("the server has listened to it all")
    writer.close()


async def test_who_has_asked_once_may_ask_again_later(served):
    port, connections = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(HEALTH + b"\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n")
        await reader.readuntil(b"}")
        await asyncio.sleep(0.3)
    assert len(connections) == 1
    writer.close()
    await writer.wait_closed()


async def test_there_are_no_more_than_there_may_be(served, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    port, connections = served
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
    assert await ends(opened[3][0], 1)
    assert len(connections) == 3
    for _, writer in opened:
        writer.close()


async def long_answer(_request: web.Request) -> web.Response:
    return web.Response(body=io.BytesIO(bytes(20_000_000)))


@pytest.fixture
async def talkative(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server with a long answer."""
    monkeypatch.setattr(module, "SEND_STALL_S", 0.1)
    about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
    app = create_app(FakeHost(), Server(port=0), Access(), WebRtc(), about)
    app.router.add_get("/long", long_answer)
    async with listening(app) as port:
        yield port


async def ask_for_much(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
    writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader, writer


async def test_who_does_not_read_is_not_written_to_for_ever(talkative):
    reader, writer = await ask_for_much(talkative)
    await asyncio.sleep(0.15)
    assert len(await read_slowly(reader, pause_s=0)) < 20_000_000
    writer.close()


async def test_who_reads_slowly_is_waited_for(talkative):
    reader, writer = await ask_for_much(talkative)
    assert len(await read_slowly(reader, pause_s=0.002)) > 20_000_000
    writer.close()
    await writer.wait_closed()


async def read_slowly(reader: asyncio.StreamReader, pause_s: float) -> bytes:
    """All that comes, up to a pause or the end."""
    got = bytearray()
    with contextlib.suppress(TimeoutError, ConnectionError):
        while piece := await asyncio.wait_for(reader.read(200_000), 1):
            got += piece
            if len(got) > 20_000_000:
                break
            await asyncio.sleep(pause_s)
    return bytes(got)


class Transport(asyncio.Transport):
    """Somebody's."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("requests", [0, 1])
async def test_one_address_gets_its_share_and_proxies_theirs(monkeypatch, requests):
    refused: list[str] = []

    class Watcher(Instrument):
        def session_refused(self, reason: str) -> None:
            refused.append(reason)

    connections = Connections(parse_proxies(["10.0.0.0/8"]), Watcher())
    if requests:
        connections.make_room(requests)
    monkeypatch.setattr(module, "MAX_PER_ADDRESS", 2 - 2 * requests)
    factory = connections.guard(asyncio.Protocol)

    def connect(address: str) -> tuple[asyncio.Protocol, Transport]:
        protocol, transport = factory(), Transport(address)
        protocol.connection_made(transport)
        return protocol, transport

    opened = [connect(address) for address in ("192.0.2.1", "192.0.2.1", "10.0.0.1", "10.0.0.1", "10.0.0.1")]
    assert not any(transport.aborted for _, transport in opened)
    stranger, transport = connect("192.0.2.1")
    assert transport.aborted
    stranger.data_received(b"late")
    assert stranger.eof_received() is None
    stranger.connection_lost(None)
    assert refused == ["connections"]
    opened[0][0].connection_lost(None)
    assert not connect("192.0.2.1")[1].aborted
    for protocol, _ in opened[1:]:
        protocol.connection_lost(None)
    assert len(connections) == 1


async def test_idle_connections_are_closed_and_others_behind_their_answer(served):
    port, connections = served
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    (idle, idle_writer), (busy, busy_writer), (fresh, fresh_writer) = opened
    idle_writer.write(HEALTH + b"\r\n")
    await idle.readuntil(b"}")
    busy_writer.write(HEALTH.replace(b"GET", b"POST") + b"Content-Length: 9\r\n")
    await asyncio.sleep(0.05)
    connections.close_idle()
    assert await ends(idle, 1)
    for reader, writer, rest in (
        (busy, busy_writer, b'\r\n{"a": 12}'),
        (fresh, fresh_writer, HEALTH + b"\r\n"),
    ):
        writer.write(rest)
        async with asyncio.timeout(1):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 "), "it is heard out, and then closed"
        assert b"\r\nConnection: close\r\n" in answer
    for _, writer in opened:
        writer.close()
