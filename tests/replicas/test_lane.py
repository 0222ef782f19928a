"""A lane before real decode servers on loopback, with engines that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from rtc_stt.decode_pool import DecodePool
from rtc_stt.decoding import Answer
from rtc_stt.errors import EngineBroken
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.replicas import lane as lane_module
from rtc_stt.replicas import link as link_module
from rtc_stt.replicas.lane import ReplicaLane, ReplicaTier
from rtc_stt.replicas.roster import Roster
from rtc_stt.replicas.server import DecodeServer
from rtc_stt.testing import hypothesis
from tests.harness import request
from tools.replicas.processes import KEY, Directory


class Engine:
    """Says who it is, when the gate is open."""

    languages = frozenset({"en", "de"})

    def __init__(self, name: str, fail: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.gate = threading.Event()
        self.gate.set()
        self.heard: list[DecodeRequest] = []
        self._fail = fail

    def decode(self, asked: DecodeRequest) -> Hypothesis:
        self.heard.append(asked)
        self.gate.wait(5)
        self._fail()
        return hypothesis(asked, self.name)

    def decode_batch(self, asked: list[DecodeRequest]) -> list[Hypothesis]:
        return [self.decode(one) for one in asked]


class Watcher(Instrument):
    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.states: dict[Tier, Mapping[str, int]] = {}
        self.overheads: list[float] = []
        self.healthy: dict[Tier, bool] = {}

    def engine_health_changed(self, tier: Tier, healthy: bool) -> None:
        self.healthy[tier] = healthy

    def replica_called(self, tier: Tier, outcome: str) -> None:
        self.outcomes.append(outcome)

    def replicas_changed(self, tier: Tier, states: Mapping[str, int]) -> None:
        self.states[tier] = states

    def replica_answered(self, tier: Tier, overhead_s: float) -> None:
        self.overheads.append(overhead_s)


class Bench:
    """A pool whose lanes are replicas."""

    def __init__(self, directory: Directory, key: str = KEY) -> None:
        self.directory = directory
        self.watcher = Watcher()
        roster = Roster([directory.place], key)
        makers: dict[Tier, Any] = {
            tier: ReplicaTier(tier, roster, key, 5.0, 4.0, self.watcher, time.monotonic) for tier in Tier
        }
        self.pool = DecodePool({}, concurrency=1, makers=makers, instrument=self.watcher)
        self.answers: list[Answer] = []
        self.servers: dict[str, DecodeServer] = {}

    @property
    def lane(self) -> ReplicaLane:
        lane = self.pool._lanes[Tier.FAST]
        assert isinstance(lane, ReplicaLane)
        return lane

    async def serve(self, engine: Engine, tier: Tier = Tier.FAST, **options: Any) -> DecodeServer:
        given = {"calls": 1, "key": KEY, "host": "127.0.0.1", "version": "v"} | options
        server = DecodeServer(engine, tier, replica_id=engine.name, **given)
        self.directory.list(await server.start())
        self.servers[engine.name] = server
        return server

    def listen(self, *streams: str) -> None:
        for stream in streams:
            self.pool.attach(stream, self.answers.append)

    def ask(self, stream: str, tier: Tier = Tier.FAST) -> None:
        self.pool.submit(request(stream, urgency=Urgency.FINAL, tier=tier))

    async def until(self, ready: Callable[[], object], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not ready():
                await asyncio.sleep(0.005)

    async def aclose(self) -> None:
        await self.pool.aclose()
        for server in self.servers.values():
            await server.aclose()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Directory() as directory:
        made = Bench(directory)
        try:
            yield made
        finally:
            await made.aclose()


async def test_replicas_decode_and_tell_what_they_are(bench: Bench) -> None:
    await bench.serve(Engine("one"))
    bench.listen("s")
    bench.ask("s")
    await bench.until(lambda: bench.answers)
    [answer] = bench.answers
    assert isinstance(answer, Hypothesis)
    assert answer.text == "one"
    assert answer.request == request("s")
    assert (bench.pool.is_ready, bench.pool.troubles) == (True, [])
    assert bench.pool.languages == {"en", "de"}
    assert bench.pool.models == {"fast": "one", "accurate": None}
    assert bench.watcher.outcomes == ["ok"]
    assert 0 <= bench.watcher.overheads[0] < 0.5
    assert bench.watcher.states[Tier.FAST]["ready"] == 1


async def test_an_accurate_tier_that_comes_later_is_there(bench: Bench) -> None:
    await bench.serve(Engine("one"))
    bench.listen("s")
    await bench.until(lambda: bench.pool.is_ready)
    assert not bench.pool.has_accurate_tier
    assert bench.watcher.healthy == {Tier.FAST: True}, "one that is not there is not ill"
    assert bench.pool.troubles == []
    await bench.serve(Engine("better"), Tier.ACCURATE)
    await bench.until(lambda: bench.pool.has_accurate_tier)
    bench.ask("s", tier=Tier.ACCURATE)
    await bench.until(lambda: bench.answers)
    assert isinstance(bench.answers[0], Hypothesis)
    assert bench.answers[0].text == "better"


async def test_a_replica_that_goes_away_costs_nothing(bench: Bench) -> None:
    engines = [Engine("one"), Engine("two")]
    for engine in engines:
        await bench.serve(engine)
        engine.gate.clear()
    bench.listen(*"abcd")
    await bench.until(lambda: bench.lane.free == 4)
    for stream in "abcd":
        bench.ask(stream)
    await bench.until(lambda: all(engine.heard for engine in engines))
    await bench.servers["one"].aclose()
    for engine in engines:
        engine.gate.set()
    await bench.until(lambda: len(bench.answers) == 4)
    assert {a.text for a in bench.answers if isinstance(a, Hypothesis)} == {"two"}
    assert "retried" in bench.watcher.outcomes
    assert bench.watcher.states[Tier.FAST]["silent"] == 1


async def test_a_broken_engine_costs_a_retry(bench: Bench) -> None:
    def broken() -> None:
        raise EngineBroken("CUDA error")

    await bench.serve(Engine("bad", broken))
    bench.listen(*"abcdef")
    await bench.until(lambda: bench.lane.free == 2)
    await bench.serve(Engine("good"))
    await bench.until(lambda: bench.lane.free == 4)
    for stream in "abcdef":
        bench.ask(stream)
    await bench.until(lambda: len(bench.answers) == 6)
    assert {a.text for a in bench.answers if isinstance(a, Hypothesis)} == {"good"}


async def test_one_that_says_nothing_is_hedged_around(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "SILENT_S", 0.3)
    engines = [Engine("one"), Engine("two")]
    for engine in engines:
        await bench.serve(engine)
    bench.listen("s")
    await bench.until(lambda: bench.lane.free == 4)
    for engine in engines:
        engine.gate.clear()
    bench.ask("s")
    await bench.until(lambda: any(engine.heard for engine in engines))
    first, second = engines if engines[0].heard else reversed(engines)
    for chore in bench.servers[first.name]._chores:
        chore.cancel()
    second.gate.set()
    await bench.until(lambda: bench.answers)
    assert isinstance(bench.answers[0], Hypothesis)
    assert bench.answers[0].text == second.name
    assert bench.watcher.outcomes == ["hedged", "hedge_won"]
    first.gate.set()


async def test_where_there_is_none_finals_fail_and_it_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "GRACE_S", 0.2)
    bench.listen("s")
    bench.ask("s")
    await bench.until(lambda: bench.answers)
    [answer] = bench.answers
    assert isinstance(answer, DecodeFailure)
    assert not bench.pool.is_ready
    assert bench.pool.troubles == ["there is no replica of the fast tier: none is listed"]


async def test_one_that_drains_answers_what_it_has_and_gets_nothing_new(bench: Bench) -> None:
    one, two = Engine("one"), Engine("two")
    server = await bench.serve(one)
    one.gate.clear()
    bench.listen("a", "b")
    bench.ask("a")
    await bench.until(lambda: one.heard)
    draining = asyncio.create_task(server.drain(5))
    await bench.serve(two)
    await bench.until(lambda: bench.watcher.states[Tier.FAST].get("ready") == 1 and bench.lane.free == 2)
    assert bench.watcher.states[Tier.FAST]["draining"] == 1
    bench.ask("b")
    await bench.until(lambda: bench.answers)
    one.gate.set()
    assert await draining
    await bench.until(lambda: len(bench.answers) == 2)
    assert [a.text for a in bench.answers if isinstance(a, Hypothesis)] == ["two", "one"]


async def test_who_leaves_is_forgotten_over_there(bench: Bench) -> None:
    engine = Engine("one")
    await bench.serve(engine)
    bench.listen("a", "b", "c")
    await bench.until(lambda: bench.lane.free == 2)
    engine.gate.clear()
    bench.ask("a")
    await bench.until(lambda: engine.heard)
    bench.ask("b")
    await bench.until(lambda: bench.servers["one"].state().waiting)
    bench.pool.detach("b")
    await bench.until(lambda: not bench.servers["one"].state().waiting)
    bench.ask("c")
    engine.gate.set()
    await bench.until(lambda: len(bench.answers) == 2)
    assert [heard.stream_id for heard in engine.heard] == ["a", "c"]


async def test_what_waits_is_told_to_replicas(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "ALIVE_EVERY_S", 0.05)
    engine = Engine("one")
    await bench.serve(engine)
    bench.listen(*"abcde")
    await bench.until(lambda: bench.lane.free == 2)
    engine.gate.clear()
    for stream in "ab":
        bench.ask(stream)
        await bench.until(lambda: bench.lane.running)
        await asyncio.sleep(0.02)
    for stream in "cde":
        bench.ask(stream)
    await bench.until(lambda: bench.servers["one"].state().queued_audio_s == 3.0)
    assert bench.lane.utilisation(time.monotonic()) > 0
    engine.gate.set()
    await bench.until(lambda: len(bench.answers) == 5)


async def test_a_list_that_is_gone_leaves_replicas_in_use(bench: Bench) -> None:
    await bench.serve(Engine("one"))
    bench.listen("s")
    await bench.until(lambda: bench.pool.is_ready)
    assert bench.directory._runner
    await bench.directory._runner.cleanup()
    with contextlib.suppress(TimeoutError):
        await bench.until(lambda: False, 1.5)
    bench.ask("s")
    await bench.until(lambda: bench.answers)
    assert isinstance(bench.answers[0], Hypothesis)


async def test_a_wrong_key_is_said(bench: Bench) -> None:
    other = Bench(bench.directory, "another key of some length")
    try:
        other.pool.wake()
        await other.until(lambda: "does not take WORKERS_KEY" in "".join(other.pool.troubles))
    finally:
        await other.aclose()
