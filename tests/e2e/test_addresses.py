"""The addresses under which media travel: a range of ports, 1:1 NAT, IPv6."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from aioice.ice import get_host_addresses

from tests.e2e.support import Clip, Process
from tests.e2e.test_network import say, stop
from tools.ingest.relay import Relay
from tools.ingest.speaker import Refused, Speaker

pytestmark = pytest.mark.e2e

Start = Callable[..., Process]
CANDIDATE = re.compile(r"^a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ host.*\r?\n", re.M | re.I)
OUTSIDE = "203.0.113.9"


class Wire:
    """Stands where a relay stands: sees both descriptions, and may change them."""

    def __init__(
        self,
        offer: Callable[[str], str] = lambda sdp: sdp,
        answer: Callable[[str], str] = lambda sdp: sdp,
    ) -> None:
        self._offer, self._answer = offer, answer
        self.offered: list[tuple[str, str]] = []
        """Address and port of each candidate that the server gets."""
        self.answered: list[tuple[str, str]] = []
        """Likewise of the server's own, as it told them."""

    def offer(self, sdp: str) -> str:
        changed = self._offer(sdp)
        self.offered = CANDIDATE.findall(changed)
        return changed

    def answer(self, sdp: str) -> str:
        self.answered = CANDIDATE.findall(sdp)
        return self._answer(sdp)

    def __call__(self) -> Relay:
        return cast(Any, self)


async def as_soon_as_there_is_room(url: str) -> Speaker:
    """The server lets the last events of a session arrive before it gives its port back."""
    async with asyncio.timeout(5):
        while True:
            speaker = Speaker(url)
            try:
                await speaker.connect()
            except Refused:
                await speaker.close()
                await asyncio.sleep(0.2)
            else:
                return speaker


async def test_media_keep_to_the_range_of_ports(start_server: Start, sentences: list[Clip]) -> None:
    """A session takes one port on each address. Where all are taken, the next client is told so."""
    interfaces = 1 + len(get_host_addresses(use_ipv4=True, use_ipv6=True))  # and loopback
    ports = range(47_310, 47_310 + interfaces)
    server = start_server("demo", "--port", "0", UDP_PORT_RANGE=f"{ports[0]}-{ports[-1]}")
    url, wire = server.url(), Wire()
    async with contextlib.AsyncExitStack() as open_now:
        first = await open_now.enter_async_context(Speaker(url, relay=wire()))
        assert {int(port) for _, port in wire.answered} == set(ports)
        for _ in ports[1:]:
            await open_now.enter_async_context(Speaker(url))
        one_too_many = Speaker(url)
        with pytest.raises(Refused) as refusal:
            await one_too_many.connect()
        await one_too_many.close()
        assert refusal.value.status == 503
        assert "UDP port" in refusal.value.args[2]
        assert await say(first, sentences[0]) == sentences[0].text
        await stop(first)
        next_one = await as_soon_as_there_is_room(url)
        open_now.push_async_callback(next_one.close)
        assert await say(next_one, sentences[3]) == sentences[3].text
        await stop(next_one)
    server.stop()


async def test_behind_one_to_one_nat_only_the_outer_address_is_told(
    start_server: Start, sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", PUBLIC_IP=OUTSIDE)
    url = server.url()
    # What the NAT does to packets, done to where they are sent.
    wire = Wire(answer=lambda sdp: sdp.replace(OUTSIDE, "127.0.0.1"))
    async with Speaker(url, relay=wire()) as speaker:
        assert {host for host, _ in wire.answered if ":" not in host} == {OUTSIDE}
        assert await say(speaker, sentences[1]) == sentences[1].text
        await stop(speaker)
    server.stop()


async def test_ipv6_alone(demo: str, sentences: list[Clip]) -> None:
    def only_ipv6(sdp: str) -> str:
        return CANDIDATE.sub(lambda m: m[0] if ":" in m[1] else "", sdp)

    wire = Wire(only_ipv6, only_ipv6)
    async with Speaker(demo, relay=wire()) as speaker:
        if not (wire.offered and any(":" in host for host, _ in wire.answered)):
            pytest.skip("this machine has no IPv6 address but ::1")
        assert await say(speaker, sentences[2]) == sentences[2].text
        await stop(speaker)
