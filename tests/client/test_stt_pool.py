"""Several servers over TCP, some of them dead, slow, full, or back again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from aiohttp import web

from rtc_stt.client import SttPool, Telemetry, balance, retries
from rtc_stt.errors import BadAudio, DecodeFailed, QuotaExceeded, Unavailable, Unreachable
from tests.client.scripted import ScriptedServer, dies, hangs, refuses, says, serving, slowly

SAMPLES = np.zeros(1_600, np.float32)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of a second for what takes one; the times as such are tested where they are decided."""
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.03)
    monkeypatch.setattr(balance, "FIRST_OUT_S", 0.2)


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.01)


async def test_requests_are_shared_out():
    servers = [ScriptedServer(then=slowly(0.05, says())) for _ in range(3)]
    async with serving(*servers), SttPool([s.url for s in servers]) as pool:
        results = await asyncio.gather(*(pool.transcribe(SAMPLES) for _ in range(30)))
        assert pool.latency.count == 30
    assert [len(server.asked) for server in servers] == [10, 10, 10]
    assert all(result.attempts == 1 for result in results)


async def test_a_slow_one_gets_less():
    slow, fast = ScriptedServer(then=slowly(0.2, says())), ScriptedServer(then=slowly(0.01, says()))
    async with serving(slow, fast), SttPool([slow.url, fast.url]) as pool:

        async def client() -> None:
            for _ in range(10):
                await pool.transcribe(SAMPLES)

        await asyncio.gather(*(client() for _ in range(4)))
    assert len(slow.asked) + len(fast.asked) == 40
    assert len(slow.asked) < len(fast.asked) / 2


async def test_a_dead_one_costs_nobody_a_request_and_comes_back():
    dead, alive = ScriptedServer(), ScriptedServer()
    told = list[Telemetry]()
    async with serving(alive), SttPool([dead.url, alive.url], on_request=told.append) as pool:
        results = await asyncio.gather(*(pool.transcribe(SAMPLES) for _ in range(10)))
        assert {result.text for result in results} == {"hello there"}
        assert [state.is_well for state in pool.servers] == [False, True]
        at_once = [t.retry_in_s for t in told if t.url == dead.url]
        assert at_once
        assert set(at_once) == {0.0}
        told.clear()
        for _ in range(5):
            await pool.transcribe(SAMPLES)
        assert {t.url for t in told} == {alive.url}, "it is left alone"
        async with serving(dead):
            while not pool.servers[0].is_well:
                await pool.transcribe(SAMPLES)  # looks after it, when it is time
                await asyncio.sleep(0.02)
            assert dead.ready_asked == 1
            told.clear()
            await asyncio.gather(*(pool.transcribe(SAMPLES) for _ in range(10)))
            assert Counter(t.url for t in told) == {dead.url: 5, alive.url: 5}


async def test_one_that_drains_is_not_believed_until_it_is_ready():
    servers = [ScriptedServer(), ScriptedServer()]
    async with serving(servers[1]), SttPool([s.url for s in servers]) as pool:
        await pool.transcribe(SAMPLES)
        async with serving(servers[0]):
            servers[0].is_ready = False
            await asyncio.sleep(0.25)
            await pool.transcribe(SAMPLES)
            await until(lambda: servers[0].ready_asked == 1)
            await pool.transcribe(SAMPLES)
            assert not pool.servers[0].is_well
            assert servers[0].asked == []


async def test_a_full_one_is_left_alone_for_as_long_as_it_says():
    full, other = ScriptedServer(refuses(503, "unavailable", "full", Retry_After="30")), ScriptedServer()
    async with serving(full, other), SttPool([full.url, other.url]) as pool, asyncio.timeout(20):
        assert (await pool.transcribe(SAMPLES)).attempts == 2, "nobody waits for it"
        for _ in range(4):
            await pool.transcribe(SAMPLES)
    assert (len(full.asked), len(other.asked)) == (1, 5)
    assert full.ready_asked == 0, "and it is not probed: it has said when"


@pytest.mark.slow
async def test_where_all_are_full_the_first_one_to_be_free_is_waited_for():
    servers = [
        ScriptedServer(refuses(503, "unavailable", "full", Retry_After="3")),
        ScriptedServer(refuses(503, "unavailable", "full", Retry_After="1")),
    ]
    async with serving(*servers), SttPool([s.url for s in servers]) as pool:
        begun = time.monotonic()
        result = await pool.transcribe(SAMPLES)
        assert time.monotonic() - begun >= 1
    assert result.attempts == 3
    assert [len(server.asked) for server in servers] == [1, 2]


async def test_without_the_patience_to_wait_the_servers_own_word_is_told():
    full = refuses(429, "quota_exceeded", "enough for today", Retry_After="40000")
    servers = [ScriptedServer(then=full), ScriptedServer(then=full)]
    async with serving(*servers), SttPool([s.url for s in servers]) as pool:
        for _ in range(2):
            async with asyncio.timeout(10):
                with pytest.raises(QuotaExceeded, match="enough for today"):
                    await pool.transcribe(SAMPLES)


async def test_a_wrong_request_is_no_failure_of_a_server():
    servers = [ScriptedServer(then=refuses(400, "bad_audio", "no audio")), ScriptedServer()]
    async with serving(*servers), SttPool([s.url for s in servers]) as pool:
        for _ in range(10):
            try:
                await pool.transcribe(SAMPLES)
            except BadAudio:
                continue
        assert all(state.is_well for state in pool.servers)
    assert [len(server.asked) for server in servers] == [5, 5], "and is not made again"


@pytest.mark.parametrize(
    "step",
    [
        refuses(500, "decode_failed"),
        refuses(502, "fallback_failed"),
        refuses(200, body="<html>"),
        dies,
    ],
)
async def test_what_one_cannot_do_another_does_and_the_third_time_it_is_out(step, monkeypatch):
    monkeypatch.setattr(balance, "FIRST_OUT_S", 30.0)
    broken, well = ScriptedServer(then=step), ScriptedServer()
    async with serving(broken, well), SttPool([broken.url, well.url]) as pool:
        for _ in range(10):
            assert (await pool.transcribe(SAMPLES)).text == "hello there"
        assert [state.is_well for state in pool.servers] == [False, True]
    assert len(broken.asked) == balance.FAILURES


async def test_one_that_hangs_holds_up_who_was_sent_there_and_nobody_else():
    killed = asyncio.Event()

    async def until_killed(request: web.Request) -> web.Response:
        await killed.wait()
        return await dies(request)

    stuck, well = ScriptedServer(then=until_killed), ScriptedServer(then=slowly(0.1, says()))
    async with serving(stuck, well), SttPool([stuck.url, well.url]) as pool:
        calls = [asyncio.create_task(pool.transcribe(SAMPLES)) for _ in range(4)]
        await until(lambda: [state.outstanding for state in pool.servers] == [2, 0])
        for _ in range(3):
            assert (await pool.transcribe(SAMPLES)).attempts == 1
        assert [call.done() for call in calls].count(False) == 2
        killed.set()
        results = await asyncio.gather(*calls)
    assert Counter(result.attempts for result in results) == {1: 2, 2: 2}


async def test_where_all_are_dead_that_is_told():
    servers = [ScriptedServer(), ScriptedServer()]
    told = list[Telemetry]()
    async with SttPool([s.url for s in servers], on_request=told.append) as pool:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await pool.transcribe(SAMPLES)
        assert Counter(t.url for t in told) == {server.url: 2 for server in servers}
        assert not await pool.health()
        assert not await pool.ready()
        assert await pool.metrics() == {}
        for server in servers:
            server.then = says("back again")
        async with serving(*servers):
            assert (await pool.transcribe(SAMPLES)).text == "back again", (
                "at once: that they are out is a guess"
            )


async def test_one_server_is_a_pool_too():
    server = ScriptedServer(refuses(500, "decode_failed"), refuses(503), says())
    async with serving(server), SttPool([server.url]) as pool:
        with pytest.raises(DecodeFailed):
            await pool.transcribe(SAMPLES)
        with pytest.raises(Unavailable):
            await SttPool([server.url], attempts=1, session=pool._http).transcribe(SAMPLES)
        assert (await pool.transcribe(SAMPLES)).attempts == 1


async def test_all_are_asked_for_what_they_tell():
    servers = [ScriptedServer(), ScriptedServer()]
    async with serving(*servers), SttPool([s.url for s in servers], key="k1") as pool:
        assert await pool.usage() == {server.url: {"path": "/v1/usage"} for server in servers}
        servers[0].is_ready = False
        assert await pool.ready()
        assert await pool.health()
        servers[1].steps.append(refuses(401))
        assert await pool.metrics() == {servers[0].url: {"path": "/v1/metrics"}}


async def test_a_call_that_is_cancelled_does_not_count_any_more():
    servers = [ScriptedServer(then=hangs), ScriptedServer(then=hangs)]
    async with serving(*servers), SttPool([s.url for s in servers]) as pool:
        calls = [asyncio.create_task(pool.transcribe(SAMPLES)) for _ in range(6)]
        await until(lambda: [state.outstanding for state in pool.servers] == [3, 3])
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert [(state.outstanding, state.is_well) for state in pool.servers] == [(0, True), (0, True)]


async def test_nothing_is_lost_while_servers_come_and_go():
    """Three of which one is away at any time; 30 callers, none of whom notices."""
    servers = [ScriptedServer(then=slowly(0.01, says())) for _ in range(3)]
    done = 0
    async with serving(*servers), SttPool([s.url for s in servers], attempts=10) as pool:

        async def caller() -> None:
            nonlocal done
            for _ in range(10):
                assert (await pool.transcribe(SAMPLES)).text == "hello there"
                done += 1

        calling = asyncio.gather(*(caller() for _ in range(30)))
        while not calling.done():
            for server in servers:
                server.is_away = True
                await asyncio.sleep(0.1)
                server.is_away = False
        await calling
    assert done == 300


@pytest.mark.parametrize("urls", [[], "http://gpu-1", ["gpu-1"]])
def test_a_pool_needs_urls(urls):
    with pytest.raises(ValueError, match="URL"):
        SttPool(urls)
