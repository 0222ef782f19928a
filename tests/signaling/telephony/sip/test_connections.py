"""SIP over TCP: who may hold a connection, and a call over one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from signaling.telephony.sip import connections as module
from signaling.telephony.sip.connections import SipConnections
from signaling.telephony.sip.vocabulary import Flow
from tests.line import until
from tests.signaling.telephony.sip.caller import Caller, describe, media_port
from tests.signaling.telephony.sip.media import Notes
from tests.signaling.telephony.sip.test_server import HIGH, a_site, say


class Port:
    """A port that answers what it is sent, and notes who has gone."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.heard: list[tuple[bytes, Flow]] = []
        self.lost: list[Flow] = []
        self.connections = SipConnections(self._receive, lambda flow, _: self.lost.append(flow), self.notes)
        self.number = 0

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        self.heard.append((data, flow))
        if data != b"quiet":
            self.connections.send(flow, data)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.number)


@contextlib.asynccontextmanager
async def a_port() -> AsyncIterator[Port]:
    port = Port()
    server = await asyncio.get_running_loop().create_server(port.connections.make, "127.0.0.1", 0)
    port.number = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        port.connections.close()
        await server.wait_closed()
        await until(lambda: len(port.connections) == 0)


async def test_bytes_go_both_ways_and_each_connection_has_its_number() -> None:
    async with a_port() as port:
        for number in (1, 2):
            reader, writer = await port.connect()
            writer.write(b"hello")
            assert await reader.read(5) == b"hello"
            assert port.heard[-1][1].connection == number
            writer.close()
        await until(lambda: len(port.lost) == 2)
        port.connections.send(port.lost[0], b"too late")
        port.connections.disconnect(port.lost[0])


async def test_who_says_nothing_that_is_answered_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WORD_S", 0.2)
    async with a_port() as port:
        (silent, one), (quiet, two), (reader, three) = [await port.connect() for _ in range(3)]
        two.write(b"quiet")
        three.write(b"hello")
        assert await reader.read(5) == b"hello"
        for gone in (silent, quiet):
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(gone.read(1), 2) == b""
        await until(lambda: len(port.connections) == 1)
        for writer in (one, two, three):
            writer.close()


async def test_there_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that nobody was answered on goes first; where all were, the new one."""
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    async with a_port() as port:
        talking, one = await port.connect()
        one.write(b"hello")
        await talking.read(5)
        silent, two = await port.connect()
        await until(lambda: len(port.connections) == 2)
        third, three = await port.connect()
        three.write(b"hello")
        assert await third.read(5) == b"hello"
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(silent.read(1), 2) == b""
        refused, four = await port.connect()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(refused.read(1), 2) == b""
        assert port.notes.refused["connections"] == 1
        one.write(b"still")
        assert await talking.read(5) == b"still"
        for writer in (one, two, three, four):
            writer.close()


async def test_one_address_does_not_take_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_ADDRESS", 1)
    async with a_port() as port:
        _, one = await port.connect()
        await until(lambda: len(port.connections) == 1)
        refused, two = await port.connect()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(refused.read(1), 2) == b""
        for writer in (one, two):
            writer.close()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT", 64 * 1024)
    async with a_port() as port:
        _, writer = await port.connect()
        writer.write(b"hello")
        await until(lambda: port.heard)
        flow = port.heard[0][1]
        for _ in range(200):
            port.connections.send(flow, bytes(64 * 1024))
        await until(lambda: len(port.connections) == 0)
        writer.close()


class TcpCaller(Caller):
    """One connection for all."""

    async def open(self, address: str = "127.0.0.1") -> Caller:
        reader, self._writer = await asyncio.open_connection(*self.server)
        self._reading = asyncio.create_task(self._read(reader))
        return self

    @property
    def own(self) -> str:
        host, port = self._writer.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    def write(self, data: bytes) -> None:
        self._writer.write(data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP"))

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            self.datagram_received(head + await reader.readexactly(size), None)


async def test_a_call_over_tcp() -> None:
    async with a_site() as site:
        caller = await TcpCaller(("127.0.0.1", site.server.port)).open()
        site.open.append(caller)
        phone = site.peer(0)
        answer = await caller.invite(describe(phone.port))
        assert answer.code == 200
        phone.to = ("127.0.0.1", media_port(answer))
        await say(phone, HIGH)
        await until(lambda: site.texts())
        site.house.hub.calls[0].end("deleted")
        await caller.hung_up()
        assert site.texts() == [("caller", "high")]


async def test_a_call_outlives_its_connection() -> None:
    async with a_site() as site:
        caller = await TcpCaller(("127.0.0.1", site.server.port)).open()
        phone = site.peer(0)
        answer = await caller.invite(describe(phone.port))
        phone.to = ("127.0.0.1", media_port(answer))
        caller.close()
        await say(phone, HIGH)
        await until(lambda: site.texts())


async def test_what_is_no_sip_is_disconnected() -> None:
    async with a_site() as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"\x16\x03\x01\x02\x00" + bytes(100) + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(1), 2) == b""
        writer.close()
        assert ("refused", "malformed") in site.house.notes.told
