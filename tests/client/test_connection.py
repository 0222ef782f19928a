"""One connection of the SDK, against a peer in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtc_stt.client.connection import CHANNEL_LABEL, Connection
from rtc_stt.commands import Ping

TIMEOUT_S = 5.0


class Remote:
    """The other end: echoes."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.labels: list[str] = []

        @self.peer.on("datachannel")
        def take(channel) -> None:
            self.labels.append(channel.label)
            channel.on("message", channel.send)

    async def answer(self, offer: str) -> str:
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return self.peer.localDescription.sdp


@pytest.fixture
async def remote() -> AsyncIterator[Remote]:
    made = Remote()
    yield made
    await made.peer.close()


class Heard:
    """What a connection says to its owner."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.losses = 0

    def lose(self) -> None:
        self.losses += 1


async def until(ready) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not ready():
            await asyncio.sleep(0.005)


async def test_a_connection_opens_talks_and_is_lost_once(remote):
    heard = Heard()
    connection = Connection([], heard.messages.append, heard.lose)
    offer = await connection.offer()
    assert "a=candidate" in offer
    assert "m=audio" in offer
    await connection.accept(await remote.answer(offer))
    connection.send(Ping("p"))
    await until(lambda: heard.messages)
    assert heard.messages == ['{"type":"ping","id":"p"}']
    assert remote.labels == [CHANNEL_LABEL]
    await remote.peer.close()
    await until(lambda: heard.losses)
    connection.send(Ping("nobody hears it"))
    await connection.close()
    assert heard.losses == 1


async def test_who_closes_a_connection_hears_nothing_more_of_it(remote):
    heard = Heard()
    connection = Connection([], heard.messages.append, heard.lose)
    await connection.accept(await remote.answer(await connection.offer()))
    connection.send(Ping("p"))
    await connection.close()
    await asyncio.sleep(0.05)
    assert (heard.messages, heard.losses) == ([], 0)


async def test_what_is_no_answer_is_a_value_error():
    connection = Connection([], lambda message: None, lambda: None)
    await connection.offer()
    with pytest.raises(ValueError, match="not valid SDP"):
        await connection.accept("nonsense")
    await connection.close()


async def test_a_connection_that_fails_before_it_opens_is_not_waited_for(remote):
    heard = Heard()
    connection = Connection([], heard.messages.append, heard.lose)
    answer = await remote.answer(await connection.offer())
    accepting = asyncio.create_task(connection.accept(answer))
    await asyncio.sleep(0)
    connection._on_lost()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(accepting, TIMEOUT_S)
    assert heard.losses == 1
    await connection.close()
