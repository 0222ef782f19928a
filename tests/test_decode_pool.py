"""The pool with real threads: who runs, what an engine may do to it, and how it ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from rtc_stt import decode_lane, decode_pool
from rtc_stt.decode_pool import Answer, DecodePool
from rtc_stt.errors import DecodeError, EngineBroken, ModelError
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step, effort_at
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
        self.shed: list[DecodeRequest] = []
        self.batches: list[int] = []
        self.steps: list[tuple[Step, Step]] = []
        self.healthy: dict[Tier, bool] = {}

    def decode_shed(self, request: DecodeRequest) -> None:
        self.shed.append(request)

    def batch_started(self, tier: Tier, size: int) -> None:
        self.batches.append(size)

    def load_changed(self, before: Step, step: Step) -> None:
        self.steps.append((before, step))

    def engine_health_changed(self, tier: Tier, healthy: bool) -> None:
        self.healthy[tier] = healthy

    def decode_dropped(self, request: DecodeRequest) -> None:
        self.dropped.append(request)

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        self.load[tier] = (waiting, running)


class Bench:
    """A pool, its engines, and what was answered."""

    def __init__(
        self,
        *,
        concurrency: int = 1,
        accurate: bool = False,
        fast: GatedEngine | None = None,
        decode: Callable[[DecodeRequest], Hypothesis] | None = None,
        **options: object,
    ) -> None:
        self.engine = fast or GatedEngine(decode)
        self.accurate = GatedEngine()
        self.watcher = Watcher()
        engines = {Tier.FAST: self.engine}
        if accurate:
            engines[Tier.ACCURATE] = self.accurate
        self.pool = DecodePool(engines, concurrency=concurrency, instrument=self.watcher, **options)
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
    assert [record.ids for record in caplog.records if "a request of" in record.msg] == [
        {"session_id": "bad"}
    ]
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


# ── Batches ──


class BatchEngine(GatedEngine):
    """Takes several at a time; ``together`` says how that goes."""

    def __init__(self, together: Callable[[Sequence[DecodeRequest]], object] | None = None) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.together = together or (lambda asked: [hypothesis(r, "together") for r in asked])

    def decode_batch(self, asked: Sequence[DecodeRequest]) -> object:
        self.batches.append([r.stream_id for r in asked])
        assert self.gate.wait(TIMEOUT_S)
        return self.together(asked)


async def busy_batch_bench(benches, *streams: str, concurrency: int = 1, **engine: object) -> Bench:
    """All slots taken by someone, these waiting."""
    bench = benches(concurrency=concurrency, fast=BatchEngine(**engine))
    bench.submit(*(request(f"first{i}") for i in range(concurrency)))
    await bench.until(lambda: len(bench.engine.started) == concurrency)
    bench.submit(*(request(stream) for stream in streams))
    return bench


async def test_what_gathered_while_a_call_ran_goes_into_the_next_one(benches):
    bench = await busy_batch_bench(benches, *"abc")
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(4)]
    assert bench.engine.batches == [["a", "b", "c"]]
    assert [a.request.stream_id for a in answers] == ["first0", "a", "b", "c"]
    assert bench.watcher.batches == [1, 3]
    assert isinstance(answers[1], Hypothesis)
    assert answers[1].queue_ms >= 0


async def test_what_is_asked_in_one_turn_of_the_loop_shares_a_call(benches):
    bench = benches(fast=BatchEngine())
    bench.engine.gate.set()
    bench.submit(*(request(stream) for stream in "abc"))
    for _ in range(3):
        await bench.next()
    assert bench.engine.batches == [["a", "b", "c"]]


async def test_a_lone_request_does_not_wait_for_company(benches):
    bench = benches(fast=BatchEngine())
    bench.engine.gate.set()
    bench.submit(request("alone"))
    assert isinstance(await bench.next(), Hypothesis)
    assert bench.engine.batches == []


async def test_idle_slots_share_what_waits(benches):
    bench = benches(concurrency=2, fast=BatchEngine())
    bench.submit(*(request(stream) for stream in "abcd"))
    await bench.until(lambda: len(bench.engine.batches) == 2)
    assert sorted(bench.engine.batches) == [["a", "b"], ["c", "d"]]


async def test_one_that_fails_in_a_batch_fails_alone(benches):
    def together(asked: Sequence[DecodeRequest]) -> list[object]:
        return [DecodeError("broken") if r.stream_id == "bad" else hypothesis(r, "fine") for r in asked]

    bench = await busy_batch_bench(benches, "a", "bad", "b", together=together)
    bench.engine.gate.set()
    answers = {a.request.stream_id: a for a in [await bench.next() for _ in range(4)]}
    assert isinstance(answers["bad"], DecodeFailure)
    assert isinstance(answers["a"], Hypothesis)
    assert isinstance(answers["b"], Hypothesis)
    assert bench.pool.is_ready


@pytest.mark.parametrize("how", ["raises", "too few"])
async def test_after_a_batch_that_fails_as_a_whole_each_is_tried_alone(benches, how, caplog):
    secret = RuntimeError("it said: please")

    def together(asked: Sequence[DecodeRequest]) -> list[object]:
        if how == "raises":
            raise secret
        return []

    bench = await busy_batch_bench(benches, *"ab", together=together)
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(3)]
    assert all(isinstance(a, Hypothesis) for a in answers)
    assert [r.stream_id for r in bench.engine.started] == ["first0", "a", "b"]
    assert "please" not in caplog.text


async def test_a_listener_that_fails_does_not_cost_the_others_their_answers(benches, caplog):
    bench = await busy_batch_bench(benches, *"ab")

    secret = RuntimeError("it said: please")

    def fails(_: Answer) -> None:
        raise secret

    bench.pool.attach("a", fails)
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(2)]
    assert [a.request.stream_id for a in answers] == ["first0", "b"]
    assert "please" not in caplog.text


# ── Bounds ──


async def test_a_shed_request_to_the_accurate_tier_is_answered_so(benches):
    bench = benches(accurate=True, queue_limit=1)
    bench.submit(request("a"), request("b"), request("d", tier=Tier.ACCURATE))
    answer = await bench.next()
    assert isinstance(answer, DecodeFailure)
    assert (answer.request.stream_id, answer.shed) == ("d", True)
    assert [r.stream_id for r in bench.watcher.shed] == ["d"]


async def test_a_shed_partial_is_not_answered(benches):
    bench = benches(queue_limit=1)
    bench.submit(request("a"), request("b"), request("c", urgency=Urgency.PARTIAL))
    assert [r.stream_id for r in bench.watcher.shed] == ["c"]
    bench.engine.gate.set()
    assert [(await bench.next()).request.stream_id for _ in range(2)] == ["a", "b"]
    assert bench.answers.empty()


async def test_who_waits_for_the_accurate_tier_in_vain_is_shed(benches):
    bench = benches(accurate=True, patience_s=0.01)
    bench.submit(request("a", tier=Tier.ACCURATE), request("b", tier=Tier.ACCURATE))
    answer = await bench.next()
    assert isinstance(answer, DecodeFailure)
    assert (answer.request.stream_id, answer.shed) == ("b", True)


# ── Recordings ──


async def test_recordings_leave_a_slot_to_who_speaks(benches):
    bench = benches(concurrency=3)
    bench.submit(*(request(f"r{n}", urgency=Urgency.RECORDING) for n in range(5)))
    await bench.until(lambda: len(bench.engine.started) == 2)
    bench.submit(request("final"))
    await bench.until(lambda: len(bench.engine.started) == 3)
    assert bench.engine.started[-1].stream_id == "final"
    bench.engine.gate.set()
    assert len({(await bench.next()).request.stream_id for _ in range(6)}) == 6


@pytest.mark.parametrize("how", [{"concurrency": 1}, {"concurrency": 2, "adaptive": False}])
async def test_where_there_is_one_slot_or_nobody_speaks_they_take_all(benches, how):
    bench = benches(**how)
    bench.submit(*(request(f"r{n}", urgency=Urgency.RECORDING) for n in range(5)))
    await bench.until(lambda: len(bench.engine.started) == how["concurrency"])
    bench.engine.gate.set()
    assert len({(await bench.next()).request.stream_id for _ in range(5)}) == 5


async def test_the_wait_of_recordings_is_no_pressure(benches):
    bench = benches(clock=iter(range(0, 1_000, 3)).__next__)
    bench.submit(request("a", urgency=Urgency.RECORDING), request("b", urgency=Urgency.RECORDING))
    await bench.until(lambda: len(bench.engine.started) == 1)
    pressure = bench.pool._look(99.0)
    assert (pressure.final_wait_s, pressure.partial_wait_s, pressure.fill) == (0.0, 0.0, 0.0)


# ── Load ──


@pytest.mark.slow
async def test_under_load_the_streams_are_told_step_by_step_and_when_it_is_over(benches, monkeypatch):
    monkeypatch.setattr(decode_pool, "OBSERVE_S", decode_pool.OBSERVE_S / 4)
    bench = benches(clock=lambda: 4 * time.monotonic(), hang_s=60.0)
    steps: list[Step] = []
    bench.pool.attach("listener", bench.answers.put_nowait, steps.append)
    bench.submit(request("a"), request("b"))
    await bench.until(lambda: len(steps) == 2)
    assert steps == [Step.SLOW_PARTIALS, Step.FEW_PARTIALS]
    assert (bench.pool.step, bench.pool.effort) == (Step.FEW_PARTIALS, effort_at(Step.FEW_PARTIALS))
    bench.submit(request("p", urgency=Urgency.PARTIAL), request("q", urgency=Urgency.PARTIAL))
    assert [r.stream_id for r in bench.watcher.shed] == ["q"]
    bench.pool.detach("listener")
    bench.engine.gate.set()
    await bench.until(lambda: bench.pool.step is Step.NORMAL)
    assert len(steps) == 2, "who is gone is not told"
    assert bench.watcher.steps[-1] == (Step.SLOW_PARTIALS, Step.NORMAL)
    await bench.until(lambda: bench.pool._watch is None)  # in peace there is no timer


async def test_without_a_ladder_nothing_is_left_out(benches):
    bench = benches(adaptive=False)
    assert bench.pool.step is Step.NORMAL
    bench.submit(request("a"), request("b"))
    bench.pool._longest_wait[Urgency.FINAL] = 9.0
    for _ in range(20):
        bench.pool._climb(bench.pool._clock())
    assert bench.pool.accepts_sessions


async def test_the_state_of_a_pool_can_be_read(benches):
    bench = benches(accurate=True)
    bench.submit(request("a"), request("b"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    assert bench.pool.snapshot() == {
        "step": "normal",
        "queued_bytes": request("b").audio.nbytes,
        "tiers": {
            "fast": {"model": "gated", "waiting": 1, "running": 1, "healthy": True},
            "accurate": {"model": "gated", "waiting": 0, "running": 0, "healthy": True},
        },
    }


# ── Hangs ──


async def test_a_decode_that_hangs_fails_and_another_thread_goes_on(benches):
    bench = benches(hang_s=0.05)
    bench.submit(request("hangs"), request("next"))
    answer = await bench.next()
    assert isinstance(answer, DecodeFailure)
    assert answer.request.stream_id == "hangs"
    assert not bench.pool.is_ready
    assert "hangs" in bench.pool.troubles[0]
    assert bench.watcher.healthy[Tier.FAST] is False
    await bench.until(lambda: len(bench.engine.started) == 2)  # a new thread took it
    bench.engine.gate.set()
    assert isinstance(await bench.next(), Hypothesis)
    await bench.until(lambda: bench.pool.is_ready)
    assert bench.watcher.healthy[Tier.FAST] is True
    assert bench.pool.troubles == []
    assert bench.answers.empty(), "the one that hung was answered already"


async def test_when_the_new_thread_hangs_too_requests_fail_at_once(benches):
    bench = benches(hang_s=0.05)
    bench.submit(request("a"), request("b"), request("c"), request("d"))
    answers = [await bench.next() for _ in range(4)]
    assert all(isinstance(a, DecodeFailure) for a in answers)
    assert [r.stream_id for r in bench.engine.started] == ["a", "b"], "no thread after the second"
    bench.submit(request("late"))
    assert (await bench.next()).request.stream_id == "late"
    bench.engine.gate.set()
    await bench.until(lambda: bench.pool.is_ready)
    bench.submit(request("again"))
    assert isinstance(await bench.next(), Hypothesis)
    assert bench.engine.most == 2


async def test_an_accurate_tier_that_hangs_leaves_the_server_ready(benches):
    bench = benches(accurate=True, hang_s=0.05)
    bench.submit(request("a", tier=Tier.ACCURATE))
    assert isinstance(await bench.next(), DecodeFailure)
    assert bench.pool.is_ready
    assert "accurate" in bench.pool.troubles[0]


async def test_each_item_of_a_batch_that_is_tried_again_has_its_own_time(benches):
    def slow(asked: DecodeRequest) -> Hypothesis:
        time.sleep(0.05)
        return hypothesis(asked, "slow")

    def together(asked: Sequence[DecodeRequest]) -> list[object]:
        raise DecodeError("no")

    bench = await busy_batch_bench(benches, *"abcd", together=together)
    bench.engine._decode = slow
    bench.pool._lanes[Tier.FAST]._hang_s = 0.17
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(5)]
    assert all(isinstance(a, Hypothesis) for a in answers)


async def test_closing_does_not_wait_for_ever_for_a_decode_that_hangs(benches, monkeypatch):
    monkeypatch.setattr(decode_pool, "CLOSE_TIMEOUT_S", 0.05)
    bench = benches()
    bench.submit(request("a"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    await asyncio.wait_for(bench.pool.aclose(), TIMEOUT_S)
    assert bench.engine.gate.is_set() is False


# ── Engines that break ──


class FragileEngine(BatchEngine):
    """Broken until it is loaded anew, which fails ``stubborn`` times."""

    def __init__(self, stubborn: int = 0) -> None:
        super().__init__(self.fail)
        self.broken = True
        self.reloads = 0
        self._stubborn = stubborn
        self._decode = self.answer

    def fail(self, asked: Sequence[DecodeRequest]) -> object:
        if self.broken:
            raise EngineBroken("CUDA error")
        return [hypothesis(r, "mended") for r in asked]

    def answer(self, asked: DecodeRequest) -> Hypothesis:
        if self.broken:
            raise EngineBroken("CUDA error")
        return hypothesis(asked, "mended")

    def reload(self) -> None:
        self.reloads += 1
        if self.reloads <= self._stubborn:
            raise ModelError("no memory")
        self.broken = False


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(decode_lane, "RELOAD_AFTER_S", 0.03)


@pytest.mark.parametrize("stubborn", [0, 2])
async def test_a_broken_engine_fails_what_waits_and_is_mended(benches, soon, stubborn):
    bench = benches(fast=FragileEngine(stubborn))
    bench.submit(request("a"))
    await bench.until(lambda: len(bench.engine.started) == 1)
    bench.submit(request("b"), request("c"))
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(3)]
    assert all(isinstance(a, DecodeFailure) for a in answers)
    assert [r.stream_id for r in bench.engine.started] == ["a"], "the others are not tried"
    assert not bench.pool.is_ready
    assert "loaded anew" in bench.pool.troubles[0]
    bench.submit(request("d"))
    assert isinstance(await bench.next(), DecodeFailure)
    await bench.until(lambda: bench.pool.is_ready)
    assert bench.engine.reloads == stubborn + 1
    bench.submit(request("e"))
    assert isinstance(await bench.next(), Hypothesis)


async def test_a_batch_on_which_the_engine_breaks_is_not_tried_again(benches):
    bench = await busy_batch_bench(benches)
    bench.engine.together = FragileEngine().fail
    bench.submit(request("a"), request("b"))
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(3)]
    assert [type(a) for a in answers] == [Hypothesis, DecodeFailure, DecodeFailure]
    assert len(bench.engine.started) == 1
    assert not bench.pool.is_ready


@pytest.mark.parametrize("whole", [False, True])
async def test_an_engine_that_breaks_within_a_batch_is_noticed(benches, whole):
    def together(asked: Sequence[DecodeRequest]) -> list[object]:
        if whole:
            raise RuntimeError
        return [hypothesis(asked[0], "fine"), EngineBroken("CUDA error")]

    def decode(asked: DecodeRequest) -> Hypothesis:
        if asked.stream_id == "a":
            raise EngineBroken("CUDA error")
        return hypothesis(asked, "fine")

    bench = await busy_batch_bench(benches, *"ab", together=together)
    bench.engine._decode = decode
    bench.engine.gate.set()
    answers = [await bench.next() for _ in range(3)]
    assert isinstance(answers[2], DecodeFailure)
    assert not bench.pool.is_ready


async def test_an_engine_that_cannot_be_loaded_anew_stays_out_of_order(benches, soon):
    bench = benches(decode=FragileEngine().answer)
    bench.engine.gate.set()
    bench.submit(request("a"))
    assert isinstance(await bench.next(), DecodeFailure)
    await asyncio.sleep(0.05)
    assert not bench.pool.is_ready


async def test_no_model_is_loaded_while_another_decode_still_runs(benches, soon):
    bench = benches(concurrency=2, fast=FragileEngine())
    held = threading.Event()
    broken = bench.engine.answer
    bench.engine._decode = lambda r: held.wait(TIMEOUT_S) and None if r.stream_id == "slow" else broken(r)
    bench.engine.gate.set()
    bench.submit(request("slow"), request("a"))
    assert isinstance(await bench.next(), DecodeFailure)
    await asyncio.sleep(0.1)
    assert bench.engine.reloads == 0
    held.set()
    await bench.until(lambda: bench.pool.is_ready)


# ── Who is told ────────────────────────────────────────────────────────────


async def test_who_wants_to_know_is_told_of_requests_that_will_not_be_answered(benches):
    bench = benches(queue_limit=1)
    dropped: list[DecodeRequest] = []
    bench.submit(request("first"))
    await bench.until(lambda: bench.engine.started)
    bench.pool.attach("a", bench.answers.put_nowait, on_drop=dropped.append)
    older, newer = (request("a", revision=n, urgency=Urgency.PARTIAL) for n in (1, 2))
    bench.pool.submit(older)
    bench.pool.submit(newer)
    assert dropped == [older], "stale"
    bench.pool.submit(request("b"))
    assert dropped == [older, newer], "shed"
    bench.pool.detach("a")
    bench.pool.submit(request("a", revision=3, urgency=Urgency.PARTIAL))
    assert len(dropped) == 2, "nobody listens any more"


async def test_watchers_are_called_at_each_change_of_step_and_health(benches):
    bench = benches()
    seen: list[tuple[Step, bool]] = []
    bench.pool.watch(lambda: seen.append((bench.pool.step, bench.pool.is_ready)))
    for now in (10.0, 10.2, 10.4, 10.6):
        bench.pool._longest_wait[Urgency.FINAL] = 9.0
        bench.pool._climb(now)
    assert seen == [(Step.SLOW_PARTIALS, True)]
    bench.pool._lanes[Tier.FAST]._break()
    assert seen[1:] == [(Step.SLOW_PARTIALS, False)]
