"""Both ends of a decode pool over a real socket: what a session asks here is answered from there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from rtc_stt.decode_pool import DecodePool
from rtc_stt.decoding import Answer
from rtc_stt.errors import DecodeError
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency, Word
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.testing import hypothesis
from signaling.workers import remote_pool
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.link import Link, open_link
from signaling.workers.messages import PoolState, state_of, state_to
from signaling.workers.pool_server import PoolServer
from signaling.workers.remote_pool import RemotePool
from tests.harness import request

STATE = PoolState({"fast": "tiny", "accurate": None}, frozenset({"en"}), has_accurate_tier=False)


class Models:
    """Answers when the test lets it."""

    name = "gated"
    languages = frozenset({"en", "de"})

    def __init__(self) -> None:
        self.heard: list[DecodeRequest] = []
        self.gate: Callable[[], object] = lambda: None

    def decode(self, asked: DecodeRequest) -> Hypothesis:
        self.heard.append(asked)
        self.gate()
        if asked.prompt == "fail":
            raise DecodeError("it did")
        return hypothesis(asked, f"{asked.stream_id}{asked.utterance_id}.{asked.revision}")


class Ends:
    """The two ends, linked."""

    def __init__(self, models: dict[Tier, Models]) -> None:
        self.models = models
        self.pool = DecodePool(models, concurrency=1)
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.steps: list[Step] = []
        self.lost: list[str] = []
        self.front: Link
        self.worker: Link
        self.server: PoolServer
        self.remote: RemotePool

    async def open(self) -> None:
        ours, theirs = socket.socketpair()
        self.front = await open_link(ours, lambda frame: self._take(self.server, frame), self.lost.append)
        self.worker = await open_link(theirs, lambda frame: self._take(self.remote, frame), self.lost.append)
        self.server = PoolServer(self.pool, self.front.send)
        self.remote = RemotePool(state_of(self.pool), self.worker)
        self.pool.watch(self.server.tell_state)

    @staticmethod
    def _take(end: PoolServer | RemotePool, frame: Frame) -> None:
        assert end.receive(frame), frame.header

    def ask(self, *asked: DecodeRequest) -> None:
        for one in asked:
            self.remote.attach(one.stream_id, self.answers.put_nowait, self.steps.append)
            self.remote.submit(one)

    async def answer(self) -> Answer:
        return await asyncio.wait_for(self.answers.get(), 5)

    async def until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not ready():
                await asyncio.sleep(0.002)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends({Tier.FAST: Models(), Tier.ACCURATE: Models()})
    await ends.open()
    yield ends
    ends.worker.close("the test is over")
    ends.front.close("the test is over")
    await ends.pool.aclose()


async def test_an_answer_has_the_request_that_was_asked(ends: Ends) -> None:
    asked = request("a", prompt="p", audio=np.random.default_rng(1).random(400_000, np.float32))
    ends.ask(asked)
    answer = await ends.answer()
    assert isinstance(answer, Hypothesis)
    assert answer.request is asked
    assert answer.text == "a1.1"
    heard = ends.models[Tier.FAST].heard[0]
    assert heard.prompt == "p"
    assert np.array_equal(heard.audio, asked.audio), "the models hear what was said"
    assert ends.remote.waiting == 0


async def test_a_failure_is_told_as_one(ends: Ends) -> None:
    ends.ask(request("a", prompt="fail", tier=Tier.ACCURATE))
    answer = await ends.answer()
    assert isinstance(answer, DecodeFailure)
    assert (answer.error, answer.shed) == ("it did", False)


async def test_it_says_of_itself_what_the_pool_does(ends: Ends) -> None:
    assert ends.remote.models == {"fast": "gated", "accurate": "gated"}
    assert ends.remote.languages == {"en", "de"}
    assert ends.remote.has_accurate_tier
    assert ends.remote.is_ready
    assert ends.remote.accepts_sessions
    assert ends.remote.troubles == ()


async def test_what_became_stale_is_forgotten_and_what_was_promoted_is_answered_once(ends: Ends) -> None:
    gate = threading.Event()
    ends.models[Tier.FAST].gate = lambda: gate.wait(5)
    ends.ask(request("first"))
    await ends.until(lambda: ends.models[Tier.FAST].heard)
    partial = request("a", revision=1, urgency=Urgency.PARTIAL)
    newer = request("a", revision=2, urgency=Urgency.PARTIAL)
    eager = request("a", revision=3, urgency=Urgency.EAGER)
    final = request("a", revision=3, urgency=Urgency.FINAL)
    ends.ask(partial, newer, eager, final)
    await ends.until(lambda: ends.remote.waiting == 3)  # the two partials are stale: first, eager and final
    gate.set()
    answers = [await ends.answer(), await ends.answer()]
    assert answers[1].request is final, "the promoted one"
    await ends.until(lambda: ends.remote.waiting == 0)
    assert ends.answers.empty()


async def test_who_has_left_hears_nothing_more(ends: Ends) -> None:
    gate = threading.Event()
    ends.models[Tier.FAST].gate = lambda: gate.wait(5)
    ends.ask(request("a"), request("b"), request("c"))
    await ends.until(lambda: ends.models[Tier.FAST].heard)
    ends.remote.detach("a")
    ends.remote.detach("b")
    ends.remote.detach("b")
    gate.set()
    assert (await ends.answer()).request.stream_id == "c"
    await ends.until(lambda: ends.remote.waiting == 0)
    assert [asked.stream_id for asked in ends.models[Tier.FAST].heard] == ["a", "c"], "b was not decoded"
    assert ends.answers.empty()


async def test_a_listener_that_fails_is_no_matter_of_the_others(ends: Ends) -> None:
    def fail(_answer: Answer) -> None:
        raise ValueError

    ends.remote.attach("bad", fail)
    ends.remote.submit(request("bad"))
    ends.ask(request("good"))
    assert (await ends.answer()).request.stream_id == "good"
    assert ends.lost == []


async def test_load_steps_and_health_are_pushed(ends: Ends) -> None:
    ends.ask(request("a"))
    await ends.answer()
    ladder = ends.pool._ladder
    assert ladder is not None
    ladder.step = Step.REFUSE
    ends.pool._tell_watchers()
    await ends.until(lambda: ends.steps)
    assert ends.steps == [Step.REFUSE]
    assert not ends.remote.accepts_sessions
    ends.pool._lanes[Tier.FAST]._break()
    await ends.until(lambda: not ends.remote.is_ready)
    assert "loaded anew" in ends.remote.troubles[0]
    assert ends.steps == [Step.REFUSE], "it is the same step"


async def test_the_streams_of_a_worker_that_is_gone_are_forgotten(ends: Ends) -> None:
    gate = threading.Event()
    ends.models[Tier.FAST].gate = lambda: gate.wait(5)
    ends.ask(request("a"), request("b"))
    await ends.until(lambda: ends.models[Tier.FAST].heard)
    await ends.until(lambda: ends.pool._queue.waiting(Tier.FAST) == 1)
    ends.server.close()
    assert ends.pool._queue.waiting(Tier.FAST) == 0
    assert ends.pool._listeners == {}
    gate.set()


# ── One end alone ────────────────────────────────────────────────────────────


class Wire:
    """A link that only notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.unsent = 0

    def send(self, header: dict[str, Any], body: object = None) -> None:
        self.sent.append(header)


class Shed(Instrument):
    def __init__(self) -> None:
        self.shed: list[DecodeRequest] = []

    def decode_shed(self, request: DecodeRequest) -> None:
        self.shed.append(request)


async def test_to_a_front_that_is_behind_only_finals_are_sent() -> None:
    wire, watch, answers = Wire(), Shed(), list[Answer]()
    pool = RemotePool(STATE, wire, watch)
    pool.attach("a", answers.append)
    wire.unsent = remote_pool.MOST_WAITING + 1
    final = request("a", revision=4)
    partial = request("a", revision=1, urgency=Urgency.PARTIAL)
    eager = request("a", revision=2, urgency=Urgency.EAGER)
    accurate = request("a", revision=3, tier=Tier.ACCURATE)
    for asked in (partial, eager, accurate, final):
        pool.submit(asked)
    assert watch.shed == [partial, eager, accurate]
    assert [header["revision"] for header in wire.sent] == [4]
    assert answers == [], "never before submit returns"
    await asyncio.sleep(0)
    assert answers == [DecodeFailure(accurate, "no capacity", shed=True)]


async def test_a_drop_that_crosses_a_promotion_does_not_take_the_final_with_it() -> None:
    wire, answers = Wire(), list[Answer]()
    pool = RemotePool(STATE, wire)
    pool.attach("a", answers.append)
    pool.submit(request("a", urgency=Urgency.EAGER))
    pool.submit(request("a", urgency=Urgency.FINAL))
    assert pool.receive(Frame({"type": "dropped", "number": 1}))  # shed, before the final came
    assert pool.waiting == 1
    failed = {"type": "answer", "number": 2, "error": "e", "shed": False}
    assert pool.receive(Frame(failed))
    assert [answer.request.urgency for answer in answers] == [Urgency.FINAL]
    assert pool.receive(Frame(failed)), "told twice, heard once"
    assert len(answers) == 1
    assert pool.waiting == 0


async def test_what_it_does_not_understand_is_refused() -> None:
    pool = RemotePool(STATE, Wire())
    assert not pool.receive(Frame({"type": "call"}))
    for header in (
        {"type": "answer"},
        {"type": "answer", "number": "1"},
        {"type": "dropped", "number": True},
        {"type": "state", **state_to(STATE), "step": 99},
    ):
        with pytest.raises(BadFrame):
            pool.receive(Frame(header))


async def test_after_its_end_it_asks_nothing() -> None:
    wire = Wire()
    pool = RemotePool(STATE, wire)
    await pool.aclose()
    pool.submit(request("a"))
    assert wire.sent == []


async def test_words_and_times_of_an_answer_arrive(ends: Ends) -> None:
    def timed(asked: DecodeRequest) -> Hypothesis:
        word = Word("a", 1, 2, float(np.float32(0.3)))
        return hypothesis(asked, "a", words=(word,), verified=True)

    ends.models[Tier.FAST].decode = timed  # type: ignore[method-assign]
    ends.ask(request("a"))
    answer = await ends.answer()
    assert isinstance(answer, Hypothesis)
    assert answer.words == (Word("a", 1, 2, float(np.float32(0.3))),)
    assert answer.verified
