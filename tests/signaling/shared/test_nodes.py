"""Which gateways there are, by a real Redis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.shared import nodes as module
from signaling.shared.link import Link
from signaling.shared.node import Node, derive_name, read_nodes, rename, write_node
from signaling.shared.nodes import Nodes
from signaling.shared.settings import NAME, Sharing
from tools.shared.redis_server import RedisServer, running


@given(st.binary(max_size=200))
def test_noise_is_no_node(noise: bytes) -> None:
    assert [n for n in read_nodes([noise, b"a " + noise]) if not isinstance(n, Node)] == []


def test_a_node_comes_back_as_it_was_told() -> None:
    node = Node(name="a", url="http://x:1", life="1f", sessions=3, load="high", version="1", started=2.5)
    text = write_node(node).encode()
    assert read_nodes([b"{}", text, b"1 {}", text[:-1], b'1 {"name":1}']) == [node]


@given(st.text("abc09", min_size=1, max_size=24))
def test_another_name_is_a_name(name: str) -> None:
    other = rename(name, "12ef")
    assert NAME.fullmatch(other)
    assert other != name
    assert NAME.fullmatch(derive_name("host", 80))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path) as server:
        yield server


class Gateway:
    def __init__(self, redis: RedisServer, name: str, port: int = 8080) -> None:
        sharing = Sharing(
            redis_url=redis.url, node_name=name, node_url="http://10.0.0.7:8080", redis_timeout_ms=1000
        )
        self.link = Link(sharing)
        self.nodes = Nodes(self.link, sharing, port)

    async def start(self) -> Gateway:
        await self.link.start()
        self.nodes.start()
        return self

    async def stop(self) -> None:
        await self.nodes.aclose()
        await self.link.aclose()

    def names(self) -> list[str]:
        return [node.name for node in self.nodes.known()]


async def until(gateway: Gateway, names: list[str]) -> None:
    deadline = time.monotonic() + 10
    while gateway.names() != names and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert gateway.names() == names


@pytest.mark.slow
async def test_they_know_each_other_and_one_leaves(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    a, b = Gateway(redis, "a"), Gateway(redis, "b")
    b.nodes.look = lambda: (7, "high")
    await a.start()
    assert a.names() == ["a"]
    await b.start()
    await until(a, ["a", "b"])
    other = a.nodes.find("b")
    assert other
    assert (other.url, other.life, other.sessions, other.load) == (
        "http://10.0.0.7:8080",
        b.nodes.life,
        7,
        "high",
    )
    assert len(a.nodes) == 2
    await b.stop()
    await until(a, ["a"])
    await a.stop()


@pytest.mark.slow
async def test_one_dies_and_redis_comes_back_empty(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    monkeypatch.setattr(module, "LIFE_S", 0.4)
    a, b = await Gateway(redis, "a").start(), await Gateway(redis, "b").start()
    await until(a, ["a", "b"])
    assert b.nodes._task
    b.nodes._task.cancel()
    await until(a, ["a"])
    redis.kill()
    await asyncio.sleep(0.2)
    assert a.names() == ["a"], "as it was when Redis went"
    redis.start()
    c = await Gateway(redis, "c").start()
    await until(c, ["a", "c"])
    for gateway in (a, b, c):
        await gateway.stop()


@pytest.mark.slow
async def test_of_two_with_one_name_the_second_draws_another(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Gateway(redis, "a"), Gateway(redis, "a")
    with caplog.at_level(logging.ERROR):
        await asyncio.gather(first.start(), second.start())
    names = {first.nodes.name, second.nodes.name}
    assert len(names) == 2
    assert "a" in names
    assert len([r for r in caplog.records if "NODE_NAME" in r.getMessage()]) == 1
    await first.nodes._beat()
    assert set(first.names()) == names
    await first.stop()
    await second.stop()


def test_without_a_name_host_and_port_make_one(tmp_path: Path) -> None:
    sharing = Sharing(redis_url="redis://127.0.0.1:1")

    def name(port: int) -> str:
        return Nodes(Link(sharing), sharing, port).name

    assert name(8080) == name(8080) != name(8081)
    assert name(0) != name(0)
