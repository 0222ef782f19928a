"""An accurate tier that is elsewhere, as the decode pool, live sessions and media workers see it."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from rtc_stt.config import Fallback, Routing
from rtc_stt.decode_pool import Answer, DecodePool
from rtc_stt.errors import DecodeError, EngineBroken
from rtc_stt.events import Decision, SessionStarted, TranscriptFinal
from rtc_stt.failover import Outcome, State
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech
from rtc_stt.testing import ScriptedEngine, hypothesis, render
from rtc_stt.vad import VadBatcher
from signaling.workers.link import Link, open_link
from signaling.workers.messages import state_of
from signaling.workers.pool_server import PoolServer
from signaling.workers.remote_pool import RemotePool
from tests import fallback_service as services
from tests.calls import GatedVad
from tests.fallback_service import Service
from tests.harness import only, said
from tests.harness import request as any_request

TIMEOUT_S = 5.0
"""Only something broken gets there."""

SCRIPT = said("please turn on the lights")
DOUBTING = Routing(logprob_threshold=1.0)
"""Everything is decoded again."""


def request(stream: str = "a", utterance: int = 1) -> DecodeRequest:
    return any_request(stream, utterance, tier=Tier.ACCURATE)


class LocalEngine:
    """The accurate model of this machine; ``decode`` says what it does."""

    name = "medium-here"
    languages = frozenset({"en"})

    def __init__(self, decode: Callable[[DecodeRequest], Hypothesis] | None = None) -> None:
        self.decode = decode or (lambda asked: hypothesis(asked, "from here", model=self.name))


class Watcher(Instrument):
    def __init__(self) -> None:
        self.attempts: list[tuple[int, str]] = []
        self.circuits: dict[int, State] = {}
        self.running: dict[Tier, int] = {}
        self.dropped: list[str] = []
        self.infer_s: list[float] = []

    def fallback_attempted(self, place: int, outcome: Outcome, seconds: float) -> None:
        self.attempts.append((place, outcome))

    def fallback_circuit_changed(self, place: int, state: State) -> None:
        self.circuits[place] = state

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        self.running[tier] = running

    def decode_dropped(self, asked: DecodeRequest) -> None:
        self.dropped.append(asked.stream_id)

    def decode_finished(self, answer: Answer, infer_s: float) -> None:
        self.infer_s.append(infer_s)


class Bench:
    """A pool with a scripted fast model, and what it answered."""

    def __init__(self, *services: Service, local: LocalEngine | None = None, **options: object) -> None:
        self.watcher, self.now_ahead_s = Watcher(), 0.0
        engines = {Tier.FAST: ScriptedEngine(SCRIPT)} | ({Tier.ACCURATE: local} if local else {})
        fallback = Fallback(urls=tuple(s.url for s in services), timeout_ms=2_000)
        self.pool = DecodePool(
            engines,
            concurrency=1,
            fallback=dataclasses.replace(fallback, **options.pop("fallback", {})),
            instrument=self.watcher,
            clock=lambda: time.monotonic() + self.now_ahead_s,
            **options,
        )
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()

    def submit(self, *requests: DecodeRequest) -> None:
        for asked in requests:
            self.pool.attach(asked.stream_id, self.answers.put_nowait)
            self.pool.submit(asked)

    async def next(self) -> Answer:
        return await asyncio.wait_for(self.answers.get(), TIMEOUT_S)

    async def heard(self, *requests: DecodeRequest) -> list[str]:
        """What is answered, or what has failed."""
        self.submit(*requests)
        answers = [await self.next() for _ in requests]
        return [answer.text if isinstance(answer, Hypothesis) else answer.error for answer in answers]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not true():
            await asyncio.sleep(0.002)


@pytest.fixture
async def one() -> AsyncIterator[Service]:
    service = await Service().start()
    yield service
    await service.stop()


@pytest.fixture
async def two() -> AsyncIterator[Service]:
    service = await Service().start()
    service.text = "from the second"
    yield service
    await service.stop()


@pytest.fixture
async def benches() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*services: Service, **options: object) -> Bench:
        made.append(Bench(*services, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for bench in made:
        await bench.pool.aclose()


# ── The pool ────────────────────────────────────────────────────────────


async def test_a_pool_without_an_accurate_model_asks_the_fallback(benches, one):
    bench = benches(one)
    assert bench.pool.has_accurate_tier
    assert bench.pool.models == {"fast": "scripted", "accurate": "fallback"}
    bench.submit(request())
    answer = await bench.next()
    assert isinstance(answer, Hypothesis)
    assert (answer.text, answer.model) == ("better words", "medium")
    assert answer.infer_ms >= 0
    assert bench.watcher.attempts == [(1, "ok")]
    assert bench.pool.models["accurate"] == "medium"
    assert bench.pool.snapshot()["tiers"]["accurate"] == {
        "model": "medium", "waiting": 0, "running": 0, "healthy": True
    }  # fmt: skip


async def test_without_urls_all_is_as_it_was(benches):
    alone = benches(local=LocalEngine())
    assert await alone.heard(request()) == ["from here"]
    assert (alone.watcher.attempts, alone.watcher.circuits) == ([], {})
    assert not benches().pool.has_accurate_tier


async def test_this_machine_goes_first_and_what_it_cannot_do_goes_there(benches, one):
    def decode(asked: DecodeRequest) -> Hypothesis:
        if asked.stream_id == "hard":
            raise DecodeError("no")
        return hypothesis(asked, "from here")

    bench = benches(one, local=LocalEngine(decode))
    assert bench.pool.models["accurate"] == "medium-here"
    assert await bench.heard(request("easy")) == ["from here"]
    assert one.asked == []
    assert await bench.heard(request("hard")) == ["better words"]
    assert bench.watcher.attempts == [(0, "ok"), (0, "error"), (1, "ok")]
    assert bench.pool.troubles == []


async def test_all_attempts_of_a_request_count_as_one_decode(benches, one, two):
    async def late(service: Service, asked: services.web.Request) -> services.web.StreamResponse:
        await asyncio.sleep(0.1)
        return await services.status(500)(service, asked)

    one.otherwise = late
    bench = benches(one, two)
    bench.submit(request())
    answer = await bench.next()
    assert isinstance(answer, Hypothesis)
    assert (answer.text, answer.queue_ms < 50, answer.infer_ms >= 100) == ("from the second", True, True)
    assert len(bench.watcher.infer_s) == 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (services.status(429), "the fallback answers 429: too many requests"),
        (services.status(503), "the fallback answers 503: service unavailable"),
        (services.status(400), "the fallback answers 400: bad request"),
        (services.hang, "the fallback does not answer within 0.2 s"),
    ],
    ids=["busy", "full", "blames", "hangs"],
)
async def test_what_failed_is_told_in_words(benches, one, behaviour, error):
    bench = benches(one, fallback={"timeout_ms": 200})
    one.otherwise = behaviour
    assert await bench.heard(request()) == [error]
    assert len(one.asked) == (1 if "400" in error else 2)


async def test_a_place_that_wants_to_be_left_alone_is_and_the_next_one_stands_in(benches, one, two):
    bench = benches(one, two)
    one.script = [services.status(429, Retry_After="20")]
    assert await bench.heard(request()) == ["from the second"]
    assert await bench.heard(request(utterance=2)) == ["from the second"]
    assert len(one.asked) == 1
    assert bench.pool.troubles == ["the fallback at place 1 answers 429: too many requests"]
    assert bench.watcher.circuits == {1: State.OPEN, 2: State.CLOSED}
    bench.now_ahead_s = 20.0
    assert await bench.heard(request(utterance=3)) == ["better words"]
    assert bench.pool.troubles == []


async def test_the_only_place_that_is_gone_fails_requests_at_once_and_is_found_again(benches, one):
    bench = benches(one)
    await one.stop()
    lost = "the fallback cannot be reached"
    assert await bench.heard(*(request(utterance=n) for n in range(3))) == [lost] * 3
    attempts = len(bench.watcher.attempts)
    assert await bench.heard(request(utterance=4)) == [lost]
    assert len(bench.watcher.attempts) == attempts, "it is left alone"
    assert bench.pool.is_ready, "finals go on"
    assert bench.pool.troubles == [lost]
    await one.start()
    bench.now_ahead_s += 1.0
    assert await bench.heard(*(request(utterance=n) for n in range(5, 13))) == ["better words"] * 8
    assert bench.pool.troubles == []


async def test_while_one_finds_out_about_the_only_place_the_others_wait_for_it(benches, one):
    bench = benches(one)
    await one.stop()
    await bench.heard(*(request(utterance=n) for n in range(3)))
    await one.start()
    one.otherwise = services.hang
    bench.now_ahead_s += 1.0
    bench.submit(*(request(utterance=n) for n in range(3, 7)))
    await until(lambda: one.running == 1)
    await asyncio.sleep(0.03)
    assert (one.most, bench.watcher.running[Tier.ACCURATE]) == (1, 1)
    one.gate.set()
    for _ in range(4):
        assert isinstance(await bench.next(), Hypothesis)


async def test_a_model_here_that_hangs_gives_its_requests_to_the_fallback(benches, one):
    gate = threading.Event()

    def decode(asked: DecodeRequest) -> Hypothesis:
        assert gate.wait(TIMEOUT_S)
        return hypothesis(asked, "from here")

    bench = benches(one, local=LocalEngine(decode), hang_s=0.1)
    assert await bench.heard(request()) == ["better words"]
    assert bench.watcher.attempts == [(0, "timeout"), (1, "ok")]
    assert bench.pool.troubles == ["the accurate model hangs"]
    assert await bench.heard(request(utterance=2)) == ["better words"]
    assert len(bench.watcher.attempts) == 3, "nobody asks who hangs"
    gate.set()
    await until(lambda: bench.watcher.circuits[0] is State.HALF_OPEN)
    assert await bench.heard(request(utterance=3)) == ["from here"]
    assert bench.pool.troubles == []


async def test_a_model_here_that_breaks_gives_its_requests_to_the_fallback(benches, one):
    def decode(asked: DecodeRequest) -> Hypothesis:
        raise EngineBroken("CUDA error")

    bench = benches(one, local=LocalEngine(decode))
    assert await bench.heard(*(request(utterance=n) for n in range(3))) == ["better words"] * 3
    assert bench.watcher.attempts.count((0, "error")) == 1
    assert "loaded anew" in bench.pool.troubles[0]
    assert bench.watcher.circuits == {0: State.OPEN, 1: State.CLOSED}


async def test_what_a_stream_that_ends_has_asked_is_broken_off(benches, one):
    bench = benches(one)
    one.otherwise = services.hang
    bench.submit(request("gone"), request("stays"))
    await until(lambda: one.running == 2)
    bench.pool.detach("gone")
    assert bench.watcher.running[Tier.ACCURATE] == 1
    assert bench.watcher.dropped == ["gone"]
    one.gate.set()
    assert (await bench.next()).request.stream_id == "stays"
    await until(lambda: not one.running)
    assert bench.answers.empty()


async def test_what_was_broken_off_may_be_asked_again(benches, one):
    bench = benches(one)
    one.otherwise = services.hang
    bench.submit(request())
    await until(lambda: one.running == 1)
    bench.pool.detach("a")
    one.gate.set()
    assert await bench.heard(request()) == ["better words"]


async def test_if_who_finds_out_goes_another_one_does(benches, one):
    bench = benches(one)
    one.script = [services.status(429, Retry_After="1")]
    await bench.heard(request())
    one.otherwise = services.hang
    bench.now_ahead_s += 1.0
    bench.submit(request("probe"), request("waits"))
    await until(lambda: one.running == 1)
    bench.pool.detach("probe")
    await until(lambda: len(one.asked) == 3)
    one.gate.set()
    answer = await bench.next()
    assert isinstance(answer, Hypothesis)
    assert answer.request.stream_id == "waits"


async def test_a_fallback_that_hangs_does_not_hold_up_the_fast_model(benches, one):
    bench = benches(one)
    one.otherwise = services.hang
    bench.submit(*(request(f"s{n}") for n in range(40)))
    await until(lambda: one.running == 16)
    bench.submit(any_request("fast"))
    assert (await bench.next()).request.stream_id == "fast"
    assert one.most == 16, "the others wait here"
    one.gate.set()
    for _ in range(40):
        assert isinstance(await bench.next(), Hypothesis)


async def test_who_waits_longer_for_room_than_anyone_listens_is_shed(benches, one):
    bench = benches(one, patience_s=0.05)
    one.otherwise = services.hang
    bench.submit(*(request(f"s{n}") for n in range(17)))
    answer = await bench.next()
    assert isinstance(answer, DecodeFailure)
    assert answer.shed


async def test_a_pool_that_is_closed_leaves_nothing_behind(one):
    before = asyncio.all_tasks()
    bench = Bench(one)
    one.otherwise = services.hang
    bench.submit(request(), request("b"))
    await until(lambda: one.running == 2)
    await asyncio.wait_for(bench.pool.aclose(), 1.0)
    one.gate.set()
    await until(lambda: not one.running)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
    assert bench.answers.empty()


# ── A live session ────────────────────────────────────────────────────────────


class Live:
    """A session whose every utterance is doubted."""

    def __init__(self, pool: DecodePool) -> None:
        self.told: list[object] = []
        self.speech = Speech(VadBatcher(GatedVad(SCRIPT)), pool, routing=DOUBTING)
        self.session = Session(self.speech, self.told.append, transport="test")

    async def say(self) -> TranscriptFinal:
        """The script, and the final that comes of it."""
        before = len(only(self.told, TranscriptFinal))
        self.session._speech.vad._detector = GatedVad(SCRIPT)
        self.session.receive_audio(render(SCRIPT, 4_000))
        await until(lambda: len(only(self.told, TranscriptFinal)) > before)
        return only(self.told, TranscriptFinal)[-1]


async def test_a_doubted_final_is_decoded_again_over_there_and_again_when_it_is_back(benches, one):
    bench = benches(one)
    finals = []
    for turn in range(3):
        if turn == 1:
            await one.stop()
        elif turn == 2:
            await one.start()
            bench.now_ahead_s += 60.0
        live = Live(bench.pool)
        live.session.start()
        finals.append(await live.say())
        live.session.abort("test")
        live.speech.vad.close()
    decisions = [final.route.decision for final in finals]
    assert decisions == [Decision.REDECODED, Decision.REDECODE_FAILED, Decision.REDECODED]
    assert [final.tier for final in finals] == [Tier.ACCURATE, Tier.FAST, Tier.ACCURATE]
    assert [final.text for final in finals] == ["better words", "please turn on the lights", "better words"]
    assert only(live.told, SessionStarted)[0].models == {"fast": "scripted", "accurate": "medium"}


# ── Media workers ────────────────────────────────────────────────────────────


async def test_a_media_worker_has_the_accurate_tier_of_the_front(benches, one):
    bench = benches(one)
    ours, theirs = socket.socketpair()
    ends: dict[str, PoolServer | RemotePool] = {}
    front: Link = await open_link(ours, lambda frame: ends["server"].receive(frame), lambda _: None)
    link: Link = await open_link(theirs, lambda frame: ends["remote"].receive(frame), lambda _: None)
    server = ends["server"] = PoolServer(bench.pool, front.send)
    remote = ends["remote"] = RemotePool(state_of(bench.pool), link)
    bench.pool.watch(server.tell_state)
    assert (remote.has_accurate_tier, remote.models["accurate"]) == (True, "fallback")
    remote.attach("w", bench.answers.put_nowait)
    remote.submit(request("w"))
    answer = await bench.next()
    assert isinstance(answer, Hypothesis)
    assert answer.text == "better words"
    await until(lambda: remote.models["accurate"] == "medium")
    await one.stop()
    remote.submit(request("w", utterance=2))
    failure = await bench.next()
    assert isinstance(failure, DecodeFailure)
    assert failure.error == "the fallback cannot be reached"
    link.close("the test is over")
    front.close("the test is over")
