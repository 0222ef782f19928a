"""The way to Redis, with a real one: away within its time-out, said once, and back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtc_stt.errors import ConfigError
from rtc_stt.instrument import Instrument
from signaling.shared.link import Away, Link
from signaling.shared.settings import Sharing
from tools.shared.redis_server import RedisServer, running

pytestmark = pytest.mark.slow


class Told(Instrument):
    def __init__(self) -> None:
        self.states: list[bool] = []
        self.failures: list[str] = []

    def sharing_changed(self, is_up: bool) -> None:
        self.states.append(is_up)

    def sharing_failed(self, what: str) -> None:
        self.failures.append(what)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path) as server:
        yield server


async def until_back(link: Link) -> None:
    async with asyncio.timeout(10):
        while link.is_away:
            await asyncio.sleep(0.02)


async def test_asks_and_names(redis: RedisServer) -> None:
    link, backs = Link(Sharing(redis_url=redis.url, redis_prefix="x:")), list[int]()

    async def back() -> None:
        backs.append(1)

    link.on_back(back)
    with pytest.raises(Away):
        await link.ask("test", lambda r: r.get("a"))
    await link.start()
    key = link.key("s", "1")
    assert key == "x:s:1"
    await link.ask("test", lambda r: r.set(key, b"one"))
    assert await link.ask("test", lambda r: r.get(key)) == b"one"
    assert backs == [1]
    await link.aclose()
    with pytest.raises(Away):
        await link.ask("test", lambda r: r.get(key))


async def test_killed_and_back_empty(redis: RedisServer) -> None:
    told, backs = Told(), list[int]()
    link = Link(Sharing(redis_url=redis.url, redis_timeout_ms=200), told)

    async def back() -> None:
        backs.append(1)

    link.on_back(back)
    await link.start()
    await link.ask("test", lambda r: r.set("a", "1"))
    redis.kill()
    for _ in range(3):
        with pytest.raises(Away):
            await link.ask("limits", lambda r: r.get("a"))
    assert told.failures == ["limits"], "after the first nobody waits any more"
    redis.start()
    await until_back(link)
    assert await link.ask("test", lambda r: r.get("a")) is None
    assert backs == [1, 1]
    assert told.states == [False, True, False, True]
    await link.aclose()


async def test_one_that_stands_still_costs_its_timeout_once(redis: RedisServer) -> None:
    link = Link(Sharing(redis_url=redis.url, redis_timeout_ms=100))
    await link.start()
    redis.pause()
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(Away):
            await link.ask("test", lambda r: r.get("a"))
    assert time.monotonic() - began < 1
    redis.go_on()
    await until_back(link)
    assert await link.ask("test", lambda r: r.get("a")) is None
    await link.aclose()


async def test_not_there_at_the_start(redis: RedisServer) -> None:
    redis.kill()
    link = Link(Sharing(redis_url=redis.url))
    await link.start()
    assert link.is_away
    redis.start()
    await until_back(link)
    await link.aclose()


async def test_a_mistake_of_ours_is_not_its_absence(redis: RedisServer) -> None:
    link = Link(Sharing(redis_url=redis.url))
    await link.start()

    async def mistake(_: object) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await link.ask("test", mistake)
    assert not link.is_away
    await link.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        {"redis_url": "http://x"},
        {"redis_url": "redis://"},
        {"redis_ca": "ca.pem"},
        {"redis_url": "redis://h", "redis_prefix": "a b"},
        {"node_name": "A-1"},
        {"node_url": "ftp://x"},
        {"resume_across_nodes": True},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Sharing(**wrong)  # type: ignore[arg-type]
