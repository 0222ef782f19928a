"""What strangers may send to the sockets of a connection, and what its own client may."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aioice
import pytest
from aioice import stun

from signaling import datagrams
from signaling.datagrams import MAX_PEER_ADDRESSES, MAX_QUEUED
from tests.line import Line, a_line, until


@pytest.fixture
async def line(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Line]:
    """A connection that stands, over the loopback interface. Nobody may have logged an error at its end."""
    async with a_line() as made:
        await made.connect()
        yield made
        await asyncio.sleep(0.05)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.fixture
def stranger() -> Any:
    """A socket that the connection has never heard of."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


STUN_HEADER = b"\x00\x01\x00\x08" + b"\x21\x12\xa4\x42"
"""A binding request with eight bytes of attributes (RFC 8489 §5)."""


def gate_of(line: Line) -> datagrams.Gate:
    assert line.transport._gate
    return line.transport._gate


def address_of(line: Line) -> tuple[str, int]:
    """Where the connection listens on the loopback interface."""
    return next(
        sock.transport.get_extra_info("sockname")
        for sock in gate_of(line).sockets
        if sock.local_candidate.host == "127.0.0.1"
    )


async def assert_alive(line: Line) -> None:
    packets = len(line.heard.rtp)
    await until(lambda: len(line.heard.rtp) > packets + 3)
    got: list[str] = []
    line.channel.on("message", got.append)
    line.heard.channels[0].send("still there")
    await until(lambda: got == ["still there"])


def a_check(ufrag: str, password: str, **attributes: Any) -> bytes:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = ufrag
    message.attributes.update(attributes)
    message.add_message_integrity(password.encode())
    return bytes(message)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80" + os.urandom(100), id="media"),
        pytest.param(b"\x16\xfe\xfd" + os.urandom(100), id="DTLS"),
        pytest.param(b"\x00\x01\x00\x00" + os.urandom(16), id="a check without a name"),
        pytest.param(b"\x01\x01\x00\x00" + os.urandom(16), id="an answer to nothing"),
        pytest.param(b"\xff" * 1_400, id="garbage"),
        pytest.param(b"\x00", id="a zero"),
    ],
)
async def test_what_a_stranger_sends_gets_no_answer_and_does_no_harm(
    line: Line, stranger: socket.socket, data: bytes
) -> None:
    for _ in range(20):
        stranger.sendto(data, address_of(line))
    await until(lambda: gate_of(line).refused["stranger"] == 20)
    with pytest.raises(BlockingIOError):
        stranger.recv(2_000)
    assert gate_of(line)._connection._queue.empty()
    await assert_alive(line)
    assert line.transport.take_refused() == {"stranger": 20}
    assert line.transport.take_refused() == {}


async def test_a_stranger_costs_little(line: Line) -> None:
    gate, count = gate_of(line), 20_000
    for data in (b"\x80" + os.urandom(160), a_check("x:y", "z" * 22, PRIORITY=1)):
        begun = time.perf_counter()
        for _ in range(count):
            gate.receive(gate.sockets[0], data, ("192.0.2.7", 4_000))
        assert (time.perf_counter() - begun) / count < 20e-6
    assert gate.refused["stranger"] == 2 * count


async def test_checks_with_our_name_are_limited_and_a_wrong_password_gains_no_trust(
    line: Line, stranger: socket.socket
) -> None:
    ice = gate_of(line)._connection
    name = f"{ice.local_username}:{ice.remote_username}"
    for _ in range(200):
        stranger.sendto(a_check(name, "w" * 22, PRIORITY=1), address_of(line))
    await until(lambda: gate_of(line).refused["stranger"] >= 200 - datagrams.CHECK_BURST - 2)
    stranger.sendto(b"\x80" + os.urandom(100), address_of(line))
    before = gate_of(line).refused["stranger"]
    await until(lambda: gate_of(line).refused["stranger"] > before)
    assert not gate_of(line).refused["srtp"], "nothing of it was decrypted"


async def test_who_knows_the_password_is_trusted(line: Line, stranger: socket.socket) -> None:
    """A client that moved to another address, say behind a NAT that has rebooted."""
    ice = gate_of(line)._connection
    check = a_check(
        f"{ice.local_username}:{ice.remote_username}",
        ice.local_password,
        PRIORITY=1,
        **{"ICE-CONTROLLING": 2**64 - 1},
    )
    stranger.sendto(check, address_of(line))
    await until(lambda: stranger.getsockname() in gate_of(line)._trusted)
    stranger.sendto(b"\x80" + os.urandom(100), address_of(line))
    await until(lambda: gate_of(line).refused["srtp"] == 1)
    await assert_alive(line)


async def test_media_from_a_new_port_is_heard_before_its_first_check(line: Line) -> None:
    """A NAT has rebound; the next check may be seconds away."""
    gate = gate_of(line)
    gate._trusted.clear()
    gate._connection._nominated.clear()
    gate._connection._check_list.clear()
    packets = len(line.heard.rtp)
    await until(lambda: len(line.heard.rtp) > packets + 3)
    assert len(gate._trusted) == 1


async def test_the_addresses_of_a_client_are_limited(line: Line) -> None:
    """Each would get checks from us, and it may be a victim's."""
    gate = gate_of(line)
    gate._checks = datagrams.TokenBucket(1e9, 1e9)
    ice = gate._connection
    name = f"{ice.local_username}:{ice.remote_username}"
    for port in range(1, 500):
        check = a_check(name, ice.local_password, PRIORITY=1, **{"ICE-CONTROLLING": 2**64 - 1})
        gate.receive(gate.sockets[0], check, ("127.0.0.9", port))
    assert len(ice._remote_candidates) == MAX_PEER_ADDRESSES
    assert len(gate._trusted) <= datagrams.MAX_TRUSTED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80", id="a byte"),
        pytest.param(b"\x80\x6f" + os.urandom(2_000), id="media that is too long"),
        pytest.param(b"\x80\xc8" + os.urandom(20), id="RTCP that is none"),
        pytest.param(b"\x50" * 100, id="of no protocol"),
        pytest.param(STUN_HEADER + bytes(12) + b"\x00\x24\x00\x01xxxx", id="STUN with a short number"),
        pytest.param(STUN_HEADER + bytes(9), id="short STUN"),
        pytest.param(b"\x16\xfe\xfd" + bytes(10), id="DTLS that is none"),
    ],
)  # fmt: skip
async def test_nonsense_from_the_clients_own_address_does_no_harm(line: Line, data: bytes) -> None:
    gate = gate_of(line)
    source = next(iter(gate._trusted))
    for _ in range(10):
        gate.receive(gate.sockets[0], data, source)
    await assert_alive(line)
    if data[:1] != b"\x16":
        assert sum(line.transport.take_refused().values()) == 10


async def test_a_flood_of_the_client_is_cut_and_queues_stay_short(line: Line) -> None:
    gate = gate_of(line)
    (source, *_), sock = gate._trusted, gate.sockets[0]
    for _ in range(2 * datagrams.DATAGRAM_BURST):
        gate.receive(sock, b"\x17\xfe\xfd" + bytes(20), source)
    assert gate.refused["flood"] >= datagrams.DATAGRAM_BURST - 10
    assert gate.refused["queue"] >= datagrams.DATAGRAM_BURST - MAX_QUEUED - 10
    assert gate._connection._queue.qsize() == MAX_QUEUED
    gate._connection._queue.put_nowait(None)  # the mark of the end always fits
    assert gate._connection._queue.qsize() == MAX_QUEUED + 1


def test_aioice_is_the_one_that_this_was_written_for():
    assert aioice.__version__.startswith("0.13.")
