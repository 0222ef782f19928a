"""A real server on loopback, with engines that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.errors import EngineBroken
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.replicas import server as server_module
from rtc_stt.replicas.payload import Batch, write_batch
from rtc_stt.replicas.replica import SUBPROTOCOL
from rtc_stt.replicas.replies import (
    Answers,
    GatewayAlive,
    ReplicaAlive,
    read_message,
    read_reply,
    write_forget,
    write_gateway_alive,
)
from rtc_stt.replicas.server import DecodeServer
from rtc_stt.testing import hypothesis
from tests.harness import request

KEY = "a key of some length"


class Engine:
    """Decodes at once, or when the gate opens."""

    name = "told"
    languages = frozenset({"en"})

    def __init__(self, decode: Callable[[DecodeRequest], Hypothesis] | None = None) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.heard: list[DecodeRequest] = []
        self._decode = decode or (lambda r: hypothesis(r, f"{r.stream_id} {len(r.audio)}"))

    def decode(self, asked: DecodeRequest) -> Hypothesis:
        self.heard.append(asked)
        assert self.gate.wait(5)
        return self._decode(asked)

    def decode_batch(self, asked: list[DecodeRequest]) -> list[Hypothesis]:
        return [self.decode(one) for one in asked]


@contextlib.asynccontextmanager
async def serving(engine: Any, **options: Any) -> AsyncIterator[DecodeServer]:
    given: dict[str, Any] = {"calls": 1, "key": KEY, "host": "127.0.0.1", "version": "test"}
    server = DecodeServer(engine, Tier.FAST, replica_id="r1", **(given | options))
    await server.start()
    try:
        yield server
    finally:
        await server.aclose()


@contextlib.asynccontextmanager
async def linked(server: DecodeServer, key: str = KEY) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(server.replica.url, headers=headers, protocols=(SUBPROTOCOL,)) as socket,
    ):
        yield socket


async def next_answers(socket: aiohttp.ClientWebSocketResponse) -> Answers:
    while True:
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        told = read_reply(read_message(message.data))
        if isinstance(told, Answers):
            return told


async def test_a_batch_is_decoded_and_answered() -> None:
    requests = (request(stream="a"), request(stream="b"))
    async with serving(Engine()) as server, linked(server) as socket:
        await socket.send_bytes(write_batch(Batch(7, requests)))
        told = await next_answers(socket)
        assert told.number == 7
        assert not told.is_at_fault
        answers = told.read(requests)
        assert [a.text for a in answers if isinstance(a, Hypothesis)] == [
            f"{r.stream_id} {len(r.audio)}" for r in requests
        ]


async def test_the_replica_says_first_how_it_is() -> None:
    async with serving(Engine()) as server, linked(server) as socket:
        message = await socket.receive(timeout=5)
        assert read_reply(read_message(message.data)) == ReplicaAlive(0, 0, True, False)


@pytest.mark.parametrize("key", ["", "another key of some length", KEY + "x"])
async def test_without_the_key_nothing_is_decoded(key: str) -> None:
    async with serving(Engine()) as server:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with linked(server, key):
                pass
        assert refused.value.status == 401


async def test_another_protocol_is_refused() -> None:
    async with serving(Engine()) as server, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(server.replica.url, headers={"Authorization": f"Bearer {KEY}"})
        assert refused.value.status == 400


@pytest.mark.parametrize(
    "said",
    ["no JSON", "[]", json.dumps({"type": "answers"}), json.dumps({"type": "alive", "queued_s": -1}), b"\0"],
)
async def test_what_cannot_be_understood_ends_the_link(said: str | bytes) -> None:
    async with serving(Engine()) as server, linked(server) as socket:
        await (socket.send_bytes(said) if isinstance(said, bytes) else socket.send_str(said))
        while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert server.state().is_healthy


async def test_finals_go_first_and_what_is_forgotten_is_not_decoded() -> None:
    engine = Engine()
    engine.gate.clear()
    async with serving(engine) as server, linked(server) as socket:
        kinds = [Urgency.PARTIAL, Urgency.PARTIAL, Urgency.PARTIAL, Urgency.FINAL]
        for number, urgency in enumerate(kinds):
            asked = request(stream=f"s{number}", urgency=urgency)
            await socket.send_bytes(write_batch(Batch(number, (asked,))))
        await socket.send_str(write_forget(1))
        async with asyncio.timeout(5):
            while server.state().busy + server.state().waiting < 3 or not engine.heard:
                await asyncio.sleep(0.005)
        engine.gate.set()
        assert [(await next_answers(socket)).number for _ in range(3)] == [0, 3, 2]
        assert [asked.stream_id for asked in engine.heard] == ["s0", "s3", "s2"]


async def test_a_broken_engine_is_at_fault() -> None:
    def broken(_: DecodeRequest) -> Hypothesis:
        raise EngineBroken("CUDA error")

    async with serving(Engine(broken)) as server, linked(server) as socket:
        for number in (1, 2):  # as it breaks, and after
            await socket.send_bytes(write_batch(Batch(number, (request(),))))
            told = await next_answers(socket)
            assert told.is_at_fault
            assert isinstance(told.read([request()])[0], DecodeFailure)
        assert not server.state().is_healthy
        async with aiohttp.ClientSession() as http:
            url = server.replica.url.replace("ws://", "http://").replace("/decode", "/v1/health")
            async with http.get(url) as answer:
                assert answer.status == 503


async def test_a_call_that_hangs_is_answered_and_the_replica_is_not_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "CHECK_EVERY_S", 0.01)
    engine = Engine()
    engine.gate.clear()
    async with serving(engine, hang_s=0.05) as server, linked(server) as socket:
        await socket.send_bytes(write_batch(Batch(1, (request(),))))
        told = await next_answers(socket)
        assert told.is_at_fault
        assert not server.state().is_healthy
        engine.gate.set()


async def test_who_drains_says_so_and_answers_what_it_has() -> None:
    engine = Engine()
    engine.gate.clear()
    async with serving(engine) as server, linked(server) as socket:
        await socket.send_bytes(write_batch(Batch(1, (request(),))))
        async with asyncio.timeout(5):
            while not engine.heard:
                await asyncio.sleep(0.005)
        draining = asyncio.create_task(server.drain(5))
        kinds = []
        while "draining" not in kinds:
            kinds.append(read_message((await socket.receive(timeout=5)).data)["type"])
        await socket.send_bytes(write_batch(Batch(2, (request(),))))
        refused = await next_answers(socket)
        assert (refused.number, refused.is_at_fault) == (2, True)
        engine.gate.set()
        assert (await next_answers(socket)).number == 1
        assert await draining
        assert server.replica.draining


async def test_what_gateways_tell_of_their_queues_is_added_up_while_they_are_here() -> None:
    async with serving(Engine()) as server, linked(server) as first:
        async with linked(server) as second:
            await first.send_str(write_gateway_alive(GatewayAlive(2.5)))
            await second.send_str(write_gateway_alive(GatewayAlive(4.0)))
            async with asyncio.timeout(5):
                while server.state().queued_audio_s != 6.5:
                    await asyncio.sleep(0.005)
            assert server.state().links == 2
        async with asyncio.timeout(5):
            while server.state().queued_audio_s != 2.5:
                await asyncio.sleep(0.005)


async def test_a_batch_of_another_size_is_refused() -> None:
    async with serving(Engine(), max_batch=2) as server, linked(server) as socket:
        await socket.send_bytes(write_batch(Batch(1, tuple(request(stream=str(n)) for n in range(3)))))
        while (message := await socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE


async def test_audio_arrives_as_it_was() -> None:
    engine = Engine()
    audio = (np.arange(-32768, 32768, 7) / 32768).astype(np.float32)
    async with serving(engine) as server, linked(server) as socket:
        asked = request()
        asked = DecodeRequest("s", 1, 1, asked.tier, asked.urgency, audio, 0)
        await socket.send_bytes(write_batch(Batch(1, (asked,))))
        await next_answers(socket)
        assert np.array_equal(engine.heard[0].audio, audio)
