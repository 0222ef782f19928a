"""Strangers at the SIP port and at the media ports of a server in a process of its own, while calls of sipp
go on: the callers must not notice, and what is dropped or refused is counted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.phones.server import PhoneServer, phone_server
from tests.e2e.phones.sipsak import sipsak
from tests.e2e.support import Clip, until
from tools.ingest.watch import Holdings, metric
from tools.telephony import strangers
from tools.telephony.honest import Honest
from tools.telephony.packets import Timed
from tools.telephony.sipp import run_sipp

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

UNLISTED = "127.0.0.2"
MAX_CALLS = 12
MAX_PER_ADDRESS = 64
"""TCP connections."""
CHANCE = random.Random(8)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(sipp: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PhoneServer]:
    folder = tmp_path_factory.mktemp("hostile-sip")
    async with phone_server(folder, MAX_CALLS=str(MAX_CALLS)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def honest(server: PhoneServer, digits: list[Clip]) -> AsyncIterator[Honest]:
    caller = Honest(server.ear, server.sip_port, digits[0].audio, digits[0].text)
    await caller.call()
    assert not caller.wrong
    before = Holdings.of(server.pid, 0)
    yield caller

    def gone() -> bool:
        now = Holdings.of(server.pid, 0)
        return now.descriptors <= before.descriptors and now.threads <= before.threads + 2

    assert await until(gone, 15), (before, Holdings.of(server.pid, 0))
    assert Holdings.of(server.pid, 0).rss_mib < before.rss_mib + 24


@pytest.fixture(autouse=True)
def unnoticed(honest: Honest) -> Iterator[None]:
    """Whatever strangers do, every honest call is understood."""
    yield
    assert not honest.wrong


async def refused(server: PhoneServer) -> dict[str, float]:
    """By reason."""
    counts = await metric(server.url, "rtc_stt_phone_refused_total")
    return {labels.removeprefix('{reason="').removesuffix('"}'): n for labels, n in counts.items()}


async def test_a_flood_from_an_unlisted_address_gets_no_answer(server: PhoneServer, honest: Honest) -> None:
    before = (await refused(server)).get("unlisted", 0)
    methods = ("INVITE", "OPTIONS", "REGISTER", "BYE")
    flood = (
        strangers.request(methods[number % 4], address=UNLISTED, port=5060, user=str(number))
        for number in range(6_000)
    )
    exchange = await honest.during(strangers.over_udp(server.sip_port, flood, address=UNLISTED, rate=2_000))
    assert exchange.answers == 0
    counts = await refused(server)
    # What the kernel has no room for never reaches the server.
    assert counts.get("unlisted", 0) + counts.get("rate", 0) - before > exchange.sent / 2


async def test_broken_messages_over_udp(server: PhoneServer, honest: Honest) -> None:
    methods = ("INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "UPDATE")
    good = [strangers.request(method, address="127.0.0.1", port=5060) for method in methods]
    broken = [strangers.mutated(good[number % len(good)], CHANCE) for number in range(1_500)]
    broken += [CHANCE.randbytes(CHANCE.randrange(1, 1_400)) for _ in range(300)]
    before = sum((await refused(server)).values())
    await honest.during(strangers.over_udp(server.sip_port, broken, rate=600, hangs_up=True))
    assert sum((await refused(server)).values()) > before
    assert await until(lambda: all(call.is_over for call in server.ear.calls.values()), 5)


async def test_broken_messages_over_tcp_large_ones_and_scans(
    server: PhoneServer, honest: Honest, sipsak_program: str
) -> None:
    before = await refused(server)
    await honest.during(
        asyncio.gather(_broken_over_tcp(server), _too_large(server), _scans(server), _flood(server))
    )
    after = await refused(server)
    for reason in ("malformed", "oversize"):
        assert after.get(reason, 0) > before.get(reason, 0), after


async def _broken_over_tcp(server: PhoneServer) -> None:
    good = strangers.request("OPTIONS", address="127.0.0.1", port=5060)
    broken = [
        *(strangers.mutated(good, CHANCE) for _ in range(40)),
        *(CHANCE.randbytes(2_000) for _ in range(10)),
        good.replace(b"Content-Length: 0", b"Content-Length: 4294967296") + bytes(100_000),
        good.replace(b"Content-Length: 0", b"Content-Length: -1"),
        b"OPTIONS sip:a SIP/2.0\r\n" + b"X-Long: y\r\n" * 50_000,
        b"\r\n\r\n" * 20_000,
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    await asyncio.gather(*(strangers.over_tcp(server.sip_port, data, patience_s=2) for data in broken))


async def _too_large(server: PhoneServer) -> None:
    large = strangers.request("INVITE", address="127.0.0.1", port=5060, body="v=0\r\n" + "a=x\r\n" * 11_000)
    exchange = await strangers.over_udp(server.sip_port, [large] * 20, rate=100)
    assert 200 not in exchange.statuses
    assert b" 200 " not in await strangers.over_tcp(server.sip_port, large, patience_s=2)


async def _scans(server: PhoneServer) -> None:
    names = [strangers.request("REGISTER", address="127.0.0.1", port=5060, user=str(n)) for n in range(200)]
    exchange = await strangers.over_udp(server.sip_port, names, rate=200)
    assert exchange.answers
    assert set(exchange.statuses) <= {405, 503}, "nobody is told which of them exist"


async def _flood(server: PhoneServer) -> None:
    """As fast as it can."""
    assert await sipsak(server.sip_port, "-F", "-e", "500") == 0


async def test_connections_that_say_nothing(server: PhoneServer, honest: Honest) -> None:
    half = strangers.request("INVITE", address="127.0.0.1", port=5060)[:120]
    closed = await honest.during(
        asyncio.gather(
            strangers.silent_connections(server.sip_port, 150, address=UNLISTED),
            strangers.silent_connections(server.sip_port, 150, half),
        )
    )
    assert min(closed) >= 150 - MAX_PER_ADDRESS
    assert (await refused(server)).get("connections", 0) > 0


async def test_noise_from_a_second_source_is_not_heard(
    server: PhoneServer, honest: Honest, tmp_path: Path
) -> None:
    noted = tmp_path / "port"
    before = await _strangers(server)

    async def disturb() -> None:
        ports = await until(lambda: noted.exists() and noted.read_text().split())
        assert ports
        await asyncio.sleep(0.2)  # the first packets of the caller are there
        flood = [*strangers.noise(CHANCE, 600, ssrc=0x5EA4), *strangers.noise(CHANCE, 600)]
        CHANCE.shuffle(flood)
        await strangers.over_udp(int(ports[0]), flood, rate=600, linger_s=0)

    await asyncio.gather(honest.call("noted", ports=noted), disturb())
    assert await _strangers(server) > before + 1_000


async def _strangers(server: PhoneServer) -> float:
    """Datagrams at media ports that were not of the caller."""
    counts = await metric(server.url, "rtc_stt_datagrams_refused_total")
    return counts.get('{reason="stranger"}', 0)


async def test_one_call_too_many_is_busy(server: PhoneServer, honest: Honest) -> None:
    hum = strangers.noise(CHANCE, 1)
    filling = asyncio.create_task(
        run_sipp(
            "call", server.sip_port, caller="fill", media={"speech.pcap": [Timed(0.0, hum[0])]},
            values={"speech_ms": 1_500}, calls=MAX_CALLS, rate=100,
        )
    )  # fmt: skip
    assert await until(lambda: sum(not call.is_over for call in server.ear.calls.values()) == MAX_CALLS)
    late = await run_sipp("busy", server.sip_port, caller="late", values={"refused": 486})
    assert late.code == 0, late.log
    filled = await filling
    assert filled.code == 0, filled.log
    await honest.call()


async def test_no_answer_is_larger_than_what_asked_for_it(sipp: str, tmp_path: Path) -> None:
    """Where there are passwords, whoever comes from anywhere is asked for one."""
    async with phone_server(tmp_path, SIP_USERS="phone:a-password-for-tests-only") as server:
        for datagram in strangers.amplified(server.sip_port, UNLISTED):
            exchange = await strangers.over_udp(server.sip_port, [datagram], address=UNLISTED, linger_s=0.15)
            assert exchange.amplification <= 1, (datagram, exchange)
        scans = (
            strangers.request("REGISTER", address=UNLISTED, port=5060, user=str(n)) for n in range(2_000)
        )
        exchange = await strangers.over_udp(server.sip_port, scans, address=UNLISTED, rate=2_000)
        assert exchange.amplification <= 1
        assert set(exchange.statuses) <= {401, 405, 503}
        assert sum((await refused(server)).values()) > 0
