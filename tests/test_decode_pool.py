"""The pool with real threads: who runs, what an engine may do to it, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from rtc_stt.decode_pool import Answer, DecodePool
from rtc_stt.errors import DecodeError
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.testing import hypothesis
from tests.harness import request

TIMEOUT_S = 2.0
"""Only a broken pool gets there."""


class GatedEngine:
    """Every decode waits at a gate that the test opens."""

    name = "gated"
    languages = frozenset({"en"})

    def __init__(self, decode: Callable[[DecodeRequest], Hypothesis] | None = None) -> None:
        self.gate = threading.Event()
        self.started: list[DecodeRequest] = []
        self.most = 0
        self._decode = decode or (lambda r: hypothesis(r, f"{r.stream_id}{r.revision}"))
        self._running = 0
        self._lock = threading.Lock()

    def decode(self, asked: DecodeRequest) -> Hypothesis:
        with self._lock:
            self.started.append(asked)
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            assert self.gate.wait(TIMEOUT_S)
            return self._decode(asked)
        finally:
            with self._lock:
                self._running -= 1


class Watcher(Instrument):
    def __init__(self) -> None:
        self.dropped: list[DecodeRequest] = []
        self.load: dict[Tier, tuple[int, int]] = {}

    def decode_dropped(self, request: DecodeRequest) -> None:
        self.dropped.append(request)

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        self.load[tier] = (waiting, running)


class Bench:
    """A pool, its engines, and what was answered."""

    def __init__(self, *, concurrency: int = 1, accurate: bool = False, **engine: object) -> None:
        self.engine = GatedEngine(**engine)  # type: ignore[arg-type]
        self.accurate = GatedEngine()
        self.watcher = Watcher()
        engines = {Tier.FAST: self.engine}
        if accurate:
            engines[Tier.ACCURATE] = self.accurate
        self.pool = DecodePool(engines, concurrency=concurrency, instrument=self.watcher)
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()

    def submit(self, *requests: DecodeRequest) -> None:
        for asked in requests:
            self.pool.attach(asked.stream_id, self.answers.put_nowait)
            self.pool.submit(asked)

    async def next(self) -> Answer:
        return await asyncio.wait_for(self.answers.get(), TIMEOUT_S)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not true():
                await asyncio.sleep(0.001)


@pytest.fixture
async def benches() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**how: object) -> Bench:
        made.append(Bench(**how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for bench in made:
        bench.engine.gate.set()
        bench.accurate.gate.set()
        await bench.pool.aclose()


async def test_an_answer_goes_to_the_listener_of_its_stream_with_its_times(benches):
    bench = benches()
    bench.engine.gate.set()
    bench.submit(request("a", revision=7))
    answer = await bench.next()
    assert isinstance(answer, Hypothesis)
    assert answer.text == "a7"
    assert answer.queue_ms >= 0
    assert answer.infer_ms >= 0


async def test_as_many_run_at_a_time_as_may_and_all_are_answered(benches):
    bench = benches(concurrency=3)
    bench.submit(*(request(f"s{i}") for i in range(8)))
    await bench.until(lambda: len(bench.engine.started) == 3)
    assert bench.watcher.load[Tier.FAST] == (5, 3)
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(8)]
    assert {a.request.stream_id for a in answers} == {f"s{i}" for i in range(8)}
    assert bench.engine.most == 3
    assert bench.watcher.load[Tier.FAST] == (0, 0)


async def test_a_full_fast_tier_does_not_hold_up_the_accurate_one(benches):
    bench = benches(accurate=True)
    bench.accurate.gate.set()
    bench.submit(request("a"), request("b", tier=Tier.ACCURATE))
    answer = await bench.next()
    assert answer.request.tier is Tier.ACCURATE


async def test_a_final_goes_before_the_partials_of_other_sessions(benches):
    bench = benches()
    bench.submit(request("running"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    bench.submit(*(request(f"p{i}", urgency=Urgency.PARTIAL) for i in range(5)), request("final"))
    bench.engine.gate.set()
    order = [(await bench.next()).request.stream_id for _ in range(7)]
    assert order[:2] == ["running", "final"]


async def test_a_stale_partial_is_dropped_and_never_answered(benches):
    bench = benches()
    bench.submit(request("running"))
    stale, fresh = (request("a", revision=r, urgency=Urgency.PARTIAL) for r in (1, 2))
    bench.submit(stale, fresh)
    assert bench.watcher.dropped == [stale]
    bench.engine.gate.set()
    assert [(await bench.next()).request.revision for _ in range(2)] == [1, 2]
    assert stale not in bench.engine.started
    assert bench.answers.empty()


@pytest.mark.parametrize(
    "error",
    [
        DecodeError("no language"),
        RuntimeError("it said: a secret"),
        StopIteration(1),
        StopAsyncIteration(),
        TimeoutError(),
        asyncio.InvalidStateError(),
        MemoryError(),
        RecursionError(),
        KeyError("x"),
        ExceptionGroup("several", [ValueError("a"), OSError("b")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_an_engine_raises_is_a_failure_of_that_request_alone(benches, error, caplog):
    def decode(asked: DecodeRequest) -> Hypothesis:
        if asked.stream_id == "bad":
            raise error
        return hypothesis(asked, "fine")

    bench = benches(decode=decode)
    bench.engine.gate.set()
    bench.submit(request("bad"), request("good"))
    failure, good = await bench.next(), await bench.next()
    assert isinstance(failure, DecodeFailure)
    assert failure.error
    for told in (failure.error, *(record.getMessage() for record in caplog.records)):
        assert "secret" not in told
    assert isinstance(good, Hypothesis)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()], ids=lambda e: type(e).__name__)
async def test_an_engine_that_raises_no_exception_proper_does_not_take_the_lane_along(benches, error):
    def decode(asked: DecodeRequest) -> Hypothesis:
        if asked.stream_id == "bad":
            raise error
        return hypothesis(asked, "fine")

    bench = benches(decode=decode)
    bench.engine.gate.set()
    bench.submit(request("bad"), request("good"))
    answers = {a.request.stream_id: a for a in (await bench.next(), await bench.next())}
    assert isinstance(answers["bad"], DecodeFailure)
    assert isinstance(answers["good"], Hypothesis)


async def test_a_detached_stream_hears_nothing_more_and_frees_its_place(benches):
    bench = benches()
    bench.submit(request("a"), request("a", utterance=2), request("b"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    bench.pool.detach("a")
    assert [r.utterance_id for r in bench.watcher.dropped] == [2]
    bench.engine.gate.set()
    assert (await bench.next()).request.stream_id == "b"
    assert bench.answers.empty()


async def test_detaching_twice_or_a_stranger_is_no_mistake(benches):
    bench = benches()
    bench.pool.detach("nobody")
    bench.pool.detach("nobody")
    assert bench.watcher.dropped == []


async def test_closing_waits_for_what_runs_and_starts_nothing_more(benches):
    bench = benches()
    bench.submit(request("a"), request("b"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    closing = asyncio.ensure_future(bench.pool.aclose())
    await asyncio.sleep(0.002)
    assert not closing.done()
    bench.engine.gate.set()
    await asyncio.wait_for(closing, TIMEOUT_S)
    bench.submit(request("c"))
    assert [r.stream_id for r in bench.engine.started] == ["a"]
    assert bench.answers.empty()


async def test_a_pool_tells_its_models_and_languages(benches):
    alone, both = benches(), benches(accurate=True)
    assert alone.pool.models == {"fast": "gated", "accurate": None}
    assert both.pool.models == {"fast": "gated", "accurate": "gated"}
    assert (alone.pool.has_accurate_tier, both.pool.has_accurate_tier) == (False, True)
    assert alone.pool.languages == {"en"}
