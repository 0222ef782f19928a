"""UDP sockets out of a range of ports."""

from __future__ import annotations

import asyncio
import errno

import pytest

from rtc_stt.errors import ConfigError
from signaling.udp import PortRangeLoop, loop_factory, parse_port_range


def test_a_range_is_two_ports_both_included():
    assert parse_port_range("50000-50999") == range(50_000, 51_000)
    assert parse_port_range(" 50000 - 50000 ") == range(50_000, 50_001)
    assert parse_port_range("") is None
    assert loop_factory("") is None


@pytest.mark.parametrize(
    "text",
    ["x", "50000", "50000-", "-50999", "50999-50000", "80-90", "60000-65536", "1e4-2e4", "²-9", "1-2-3"],
)
def test_anything_else_is_told_to_the_operator(text):
    with pytest.raises(ConfigError, match="UDP_PORT_RANGE"):
        parse_port_range(text)


async def open_socket(host: str = "127.0.0.1", port: int = 0) -> tuple[asyncio.DatagramTransport, int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(host, port)
    )
    return transport, transport.get_extra_info("sockname")[1]


def test_ports_come_from_the_range_one_after_the_other_until_none_is_left():
    ports = range(41_200, 41_204)

    async def take_all() -> None:
        sockets = [await open_socket() for _ in ports]
        assert {port for _, port in sockets} == set(ports)
        with pytest.raises(OSError, match="taken") as caught:
            await open_socket()
        assert caught.value.errno == errno.EADDRINUSE
        given_up, port = sockets[2]
        given_up.close()
        await asyncio.sleep(0)
        again, found = await open_socket()
        assert found == port
        for transport, _ in [*sockets, (again, found)]:
            transport.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: PortRangeLoop(ports)) as runner:
        runner.run(take_all())


def test_a_port_that_somebody_else_has_is_passed_over_and_the_last_one_is_not_reused_at_once():
    ports = range(41_210, 41_214)

    async def take() -> list[int]:
        found = []
        for _ in range(3):
            transport, port = await open_socket()
            transport.close()
            await asyncio.sleep(0)
            found.append(port)
        return found

    with asyncio.Runner(loop_factory=lambda: PortRangeLoop(ports)) as runner:
        found = runner.run(take())
    assert len(set(found)) == 3


def test_who_names_a_port_gets_it_and_ipv6_works():
    async def take() -> None:
        named, port = await open_socket(port=41_230)
        assert port == 41_230
        six, port = await open_socket("::1")
        assert port in range(41_220, 41_224)
        for transport in (named, six):
            transport.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: PortRangeLoop(range(41_220, 41_224))) as runner:
        runner.run(take())


def test_an_address_that_is_not_ours_is_an_error_at_once():
    async def take() -> None:
        with pytest.raises(OSError, match="assign") as caught:
            await open_socket("192.0.2.254")
        assert caught.value.errno == errno.EADDRNOTAVAIL

    with asyncio.Runner(loop_factory=loop_factory("41240-41243")) as runner:
        runner.run(take())
