"""A user-space network between one WebRTC client and the server: a NAT with loss, delay and the rest.

    client  ⇄  front (its address stands in the answer)   ⇄  back (its address stands in the offer)  ⇄  server

Whoever makes the offer passes it through :meth:`Relay.offer`, and the answer through :meth:`Relay.answer`.
Each address that the client sends from gets a back socket of its own, as behind any NAT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioice.ice import get_host_addresses

from rtc_stt.bench.link import Conditions, Link, reroute

__all__ = ["Relay", "local_address"]

Address = tuple[str, int]


def local_address() -> str:
    """An IPv4 address of this machine that ICE takes for a host candidate; loopback where there is none."""
    return next(iter(get_host_addresses(use_ipv4=True, use_ipv6=False)), "127.0.0.1")


class Relay:
    """See above. ``async with Relay(up=Conditions(loss=0.05)) as relay``.

    Args:
        up: what happens to datagrams of the client.
        down: what happens to datagrams of the server.
    """

    def __init__(self, up: Conditions | None = None, down: Conditions | None = None) -> None:
        self.up, self.down = Link(up), Link(down)
        self.server: Address | None = None
        self.rebinds = 0
        self._front: asyncio.DatagramTransport | None = None
        self._spare: asyncio.DatagramTransport | None = None  # told in the offer, for the first who sends
        self._backs: dict[Address, asyncio.DatagramTransport] = {}
        self._making: set[Address] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._host = local_address()

    async def __aenter__(self) -> Relay:
        self._front = await self._open(self._receive_from_client)
        self._spare = await self._open_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        for transport in [self._front, self._spare, *self._backs.values()]:
            if transport:
                transport.close()
        await asyncio.sleep(0)  # sockets close in the next turn of the loop

    # ── Signalling ────────────────────────────────────────────────────────────

    def offer(self, sdp: str) -> str:
        """The client's offer, for the server."""
        assert self._spare
        return reroute(sdp, lambda *_: _address(self._spare))

    def answer(self, sdp: str) -> str:
        """The server's answer, for the client.

        Raises:
            ValueError: the answer has no candidate that could be relayed to.
        """
        return reroute(sdp, self._meet)

    def _meet(self, host: str, port: int) -> Address:
        if not port:
            raise ValueError("the answer has no UDP host candidate over IPv4")
        self.server = (host, port)
        return _address(self._front)

    # ── Trouble ────────────────────────────────────────────────────────────

    def black_hole(self, on: bool) -> None:
        """From now on nothing passes, in either direction, or everything does again."""
        self.up.dead = self.down.dead = on

    async def rebind(self) -> None:
        """The NAT forgets its mappings: what the client sends next comes from a new port, and what the server
        sends to the old one is lost."""
        for back in self._backs.values():
            back.close()
        self._backs.clear()
        self.rebinds += 1
        await asyncio.sleep(0)

    # ── Datagrams ────────────────────────────────────────────────────────────

    def _receive_from_client(self, data: bytes, client: Address) -> None:
        back = self._backs.get(client)
        if back is None and self._spare:
            back, self._spare = self._spare, None
            self._adopt(client, back)
        if back is not None:
            self._pass_on(self.up, data, back, self.server)
        elif client not in self._making:  # this datagram is lost; ICE and everyone else sends again
            self._making.add(client)
            task = asyncio.get_running_loop().create_task(self._map(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _map(self, client: Address) -> None:
        try:
            self._adopt(client, await self._open_back())
        finally:
            self._making.discard(client)

    def _adopt(self, client: Address, back: asyncio.DatagramTransport) -> None:
        self._backs[client] = back
        protocol: Any = back.get_protocol()
        protocol.receive = lambda data, _: self._pass_on(self.down, data, self._front, client)

    def _pass_on(
        self, link: Link, data: bytes, by: asyncio.DatagramTransport | None, to: Address | None
    ) -> None:
        if by is None or to is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for at in link.pass_on(data, now):
            if at <= now:
                _send(by, data, to)
            else:
                loop.call_at(at, _send, by, data, to)

    async def _open_back(self) -> asyncio.DatagramTransport:
        """A socket towards the server that hears nobody yet."""
        return await self._open(lambda data, _: None)

    async def _open(self, receive: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Protocol(receive), local_addr=(self._host, 0)
        )
        return transport


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self.receive = receive

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.receive(data, (addr[0], addr[1]))


def _send(by: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
    if not by.is_closing():
        by.sendto(data, to)


def _address(transport: asyncio.DatagramTransport | None) -> Address:
    assert transport is not None, "the relay is not open"
    host, port = transport.get_extra_info("sockname")[:2]
    return host, port
