"""The fleet, with workers that live in this process and are lost when a test says so."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from rtc_stt.decode_pool import DecodePool
from rtc_stt.decoding import Answer
from rtc_stt.errors import BadRequest, ConfigError, NotFound, SessionGone, Unavailable
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.testing import ScriptedEngine
from signaling.calls import Call, Connected, Fragment, Health, Meter, Resume, Watcher
from signaling.metrics import Metrics
from signaling.workers import fleet as module
from signaling.workers import member, plan
from signaling.workers.fleet import Fleet
from signaling.workers.frames import Frame
from signaling.workers.link import Link, open_link
from signaling.workers.messages import state_from
from signaling.workers.remote_pool import RemotePool
from signaling.workers.service import Service
from tests.harness import request


class Desk:
    """A host that notes what it is asked. ``answer`` may be replaced."""

    def __init__(self, name: str) -> None:
        self.watch: Watcher | None = None
        self.meter: Meter | None = None
        self.draining = False
        self.name = name
        self.asked: list[tuple[str, Any]] = []
        self.count = 0

    async def answer(self) -> None:
        pass

    async def connect(self, call: Call) -> Connected:
        self.asked.append(("connect", call))
        await self.answer()
        self.count += 1
        return Connected(
            f"{self.name}-peer{self.count}", f"{self.name}-session{self.count}", call.sdp.upper()
        )

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        self.asked.append(("trickle", (peer_id, fragment)))

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        self.asked.append(("renegotiate", (peer_id, sdp)))
        return Connected(peer_id, "session", sdp)

    async def disconnect(self, peer_id: str) -> None:
        self.asked.append(("disconnect", peer_id))
        if peer_id.endswith("unknown"):
            raise NotFound("there is none")

    def expel(self, session_id: str, code: str, message: str) -> None:
        self.asked.append(("expel", (session_id, code, message)))

    async def drain(self, seconds: float) -> None:
        self.asked.append(("drain", seconds))
        await self.answer()

    def health(self) -> Health:
        raise AssertionError("nobody asks")

    def end(self, number: int) -> None:
        assert self.watch
        self.watch(f"{self.name}-session{number}", "ended")


class Worker:
    """What a worker process does, in a task of this one."""

    def __init__(self, name: str, sock: socket.socket) -> None:
        self.name = name
        self.setup: dict[str, Any] = {}
        self.desk = Desk(name)
        self.metrics = Metrics()
        self.pool: RemotePool
        self.service: Service
        self.link: Link
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.is_silent = False
        self._task = asyncio.get_running_loop().create_task(self._run(sock.dup()))

    async def _run(self, sock: socket.socket) -> None:
        self.link = await open_link(sock, self._receive, lambda _reason: self._exit(1))

    def _receive(self, frame: Frame) -> None:
        if frame.type == "begin":
            self.setup = frame.header
            self.pool = RemotePool(state_from(frame.header["state"]), self.link)
            self.service = Service(self.desk, self.pool, self.link, self.metrics.registry)
            self.link.send({"type": "ready"})
        elif not self.is_silent:
            self.service.receive(frame)
            if self.service.stopped.done():
                self._exit(0)
                self.link.close("as it was told")

    def _exit(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)
        if self.setup:
            self.service.stop("over")

    def kill(self) -> None:
        if self.exited.done():
            raise ProcessLookupError
        self._exit(-9)
        self.link.close("killed")

    async def wait(self) -> int:
        await self._task
        return await asyncio.shield(self.exited)


class Told(Instrument):
    def __init__(self) -> None:
        self.states: Mapping[str, int] = {}
        self.refused: list[str] = []
        self.failed_scrapes = 0

    def workers_changed(self, states: Mapping[str, int]) -> None:
        self.states = states

    def session_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def worker_scrape_failed(self) -> None:
        self.failed_scrapes += 1


class Yard:
    """A fleet and all workers that it ever had."""

    def __init__(self, workers: int = 2) -> None:
        self.pool = DecodePool({Tier.FAST: ScriptedEngine([])}, concurrency=1)
        self.workers: list[Worker] = []
        self.told = Told()
        self.watched: list[tuple[str, str]] = []
        self.is_broken = False
        setups = [{"values": {"number": number}} for number in range(workers)]
        self.fleet = Fleet(self.pool, setups, instrument=self.told, spawn=self._spawn)
        self.fleet.watch = lambda session_id, what: self.watched.append((session_id, what))

    async def _spawn(self, name: str, sock: socket.socket) -> Worker:
        if self.is_broken:
            raise OSError(8, "Exec format error")
        self.workers.append(Worker(name, sock))
        return self.workers[-1]

    def desk(self, name: str) -> Desk:
        return next(worker for worker in reversed(self.workers) if worker.name == name).desk

    async def until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not ready():
                await asyncio.sleep(0.002)


@pytest.fixture
async def yard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    monkeypatch.setattr(plan, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(member, "EXIT_TIMEOUT_S", 0.2)
    yard = Yard()
    await yard.fleet.start()
    yield yard
    await yard.fleet.aclose()
    await yard.pool.aclose()
    assert all(worker.exited.done() for worker in yard.workers), "none is left behind"


def connects(desk: Desk) -> int:
    return sum(method == "connect" for method, _ in desk.asked)


async def test_calls_go_to_who_has_fewest_sessions(yard: Yard) -> None:
    answers = [await yard.fleet.connect(Call("v=0")) for _ in range(4)]
    assert [answer.peer_id for answer in answers] == ["w0-peer1", "w1-peer1", "w0-peer2", "w1-peer2"]
    assert answers[0].sdp == "V=0"
    assert yard.fleet.health().sessions == 4
    yard.desk("w1").end(1)
    yard.desk("w1").end(2)
    await yard.until(lambda: len(yard.watched) == 2)
    assert yard.watched == [("w1-session1", "ended"), ("w1-session2", "ended")]
    assert (await yard.fleet.connect(Call("v=0"))).peer_id.startswith("w1-")
    assert (await yard.fleet.connect(Call("v=0"))).peer_id.startswith("w1-")
    assert yard.fleet.health().sessions == 4


async def test_those_who_are_being_answered_count_too(yard: Yard) -> None:
    await asyncio.gather(*(yard.fleet.connect(Call("v=0")) for _ in range(6)))
    assert connects(yard.desk("w0")) == connects(yard.desk("w1")) == 3


async def test_each_is_told_its_own_and_the_state_of_the_pool(yard: Yard) -> None:
    assert [worker.setup["values"] for worker in yard.workers] == [{"number": 0}, {"number": 1}]
    assert [worker.setup["name"] for worker in yard.workers] == ["w0", "w1"]
    assert yard.workers[0].pool.models == {"fast": "scripted", "accurate": None}


async def test_what_is_meant_for_a_session_reaches_its_worker(yard: Yard) -> None:
    fragment = Fragment(("candidate",), "ufrag", end=True)
    call = Call("v=0", Resume("w1-token", 7))
    await yard.fleet.trickle("w1-peer", fragment)
    assert await yard.fleet.renegotiate("w1-peer", "v=1") == Connected("w1-peer", "session", "v=1")
    await yard.fleet.disconnect("w1-peer")
    await yard.fleet.connect(call)
    assert yard.desk("w1").asked == [
        ("trickle", ("w1-peer", fragment)),
        ("renegotiate", ("w1-peer", "v=1")),
        ("disconnect", "w1-peer"),
        ("connect", call),
    ]
    assert yard.desk("w0").asked == []


async def test_audio_is_told_and_who_has_had_enough_is_expelled(yard: Yard) -> None:
    told: list[tuple[str, float]] = []
    yard.fleet.meter = lambda session_id, seconds: told.append((session_id, seconds))
    await yard.fleet.connect(Call("v=0"))
    meter = yard.desk("w0").meter
    assert meter
    meter("w0-session1", 4.98)
    await yard.until(lambda: told)
    assert told == [("w0-session1", 4.98)]
    for nobody in ("w7-session1", "session1", ""):
        yard.fleet.expel(nobody, "quota_exceeded", "that was all")
    yard.fleet.expel("w0-session1", "quota_exceeded", "that was all")
    await yard.until(lambda: len(yard.desk("w0").asked) == 2)
    assert yard.desk("w0").asked[1] == ("expel", ("w0-session1", "quota_exceeded", "that was all"))
    assert yard.desk("w1").asked == []


async def test_audio_that_is_no_number_is_no_message(yard: Yard) -> None:
    for seconds in (-1.0, float("nan"), "much", None):
        yard.workers[0].link.send({"type": "audio", "session_id": "w0-session1", "seconds": seconds})
        await yard.until(lambda: yard.told.states["ready"] == 1)
        await yard.until(lambda: yard.told.states["ready"] == 2)
        yard.workers.pop(0)
        yard.workers.sort(key=lambda worker: worker.name)


async def test_ids_that_name_nobody_are_not_found(yard: Yard) -> None:
    for peer_id in ("w2-peer", "peer", "", "w0"):
        with pytest.raises(NotFound):
            await yard.fleet.disconnect(peer_id)
        with pytest.raises(SessionGone):
            await yard.fleet.connect(Call("v=0", Resume(peer_id, 0)))
    with pytest.raises(NotFound, match="there is none"):
        await yard.fleet.disconnect("w0-unknown")


async def test_what_a_worker_refuses_is_refused_in_its_words(yard: Yard) -> None:
    async def refuse() -> None:
        raise BadRequest("the offer is none")

    async def fail() -> None:
        raise ValueError("an address")

    yard.desk("w0").answer = refuse  # type: ignore[method-assign]
    with pytest.raises(BadRequest, match="the offer is none"):
        await yard.fleet.connect(Call("v=0"))
    yard.desk("w0").answer = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="made a mistake"):
        await yard.fleet.connect(Call("v=0"))
    assert yard.fleet.health().sessions == 0


async def test_a_lost_worker_takes_only_its_own_sessions_and_comes_back(yard: Yard) -> None:
    for _ in range(4):
        await yard.fleet.connect(Call("v=0"))
    yard.workers[0].kill()
    await yard.until(lambda: yard.told.states["ready"] == 1)
    assert sorted(yard.watched) == [("w0-session1", "ended"), ("w0-session2", "ended")]
    health = yard.fleet.health()
    assert (health.ready, health.sessions) == (True, 2)
    assert "w0" in health.troubles[0]
    with pytest.raises(NotFound):
        await yard.fleet.disconnect("w0-peer1")
    with pytest.raises(SessionGone):
        await yard.fleet.connect(Call("v=0", Resume("w0-token", 3)))
    assert (await yard.fleet.connect(Call("v=0"))).peer_id == "w1-peer3"
    await yard.until(lambda: yard.told.states["ready"] == 2)
    assert yard.fleet.health().troubles == []
    assert [worker.name for worker in yard.workers] == ["w0", "w1", "w0"]
    assert (await yard.fleet.connect(Call("v=0"))).peer_id == "w0-peer1"


async def test_a_call_that_a_worker_takes_with_it_is_answered_by_another(yard: Yard) -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    yard.desk("w0").answer = hang  # type: ignore[method-assign]
    calling = asyncio.ensure_future(yard.fleet.connect(Call("v=0")))
    resuming = asyncio.ensure_future(yard.fleet.connect(Call("v=0", Resume("w0-a", 0))))
    await yard.until(lambda: connects(yard.desk("w0")) == 2)
    await yard.workers[0].service.aclose()
    yard.workers[0].kill()
    assert (await calling).peer_id == "w1-peer1"
    with pytest.raises(SessionGone):
        await resuming


async def test_without_any_worker_calls_are_refused_until_one_is_back(yard: Yard) -> None:
    yard.is_broken = True
    for worker in yard.workers:
        worker.kill()
    await yard.until(lambda: yard.told.states == {"starting": 0, "ready": 0, "lost": 2})
    with pytest.raises(Unavailable):
        await yard.fleet.connect(Call("v=0"))
    assert yard.told.refused == ["unhealthy"]
    assert not yard.fleet.health().ready
    yard.is_broken = False
    await yard.until(lambda: yard.fleet.health().ready)


async def test_a_worker_that_does_not_answer_is_ended(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "CALL_TIMEOUT_S", 0.05)
    yard.workers[0].is_silent = True
    with pytest.raises(Unavailable, match="too long"):
        await yard.fleet._slots[0].member.call("connect", {}, 0.05)  # type: ignore[union-attr]
    (first, _) = yard.fleet._ready()
    first.abandon("it does not answer")  # as the watch does after SILENT_S
    await yard.until(lambda: len(yard.workers) == 3)


async def test_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "SILENT_S", 0.1)  # they give a sign of life every second
    monkeypatch.setattr(plan, "FIRST_DELAY_S", 10.0)
    yard = Yard(1)
    await yard.fleet.start()
    await yard.until(lambda: yard.told.states["lost"] == 1)
    assert yard.workers[0].exited.result() in (1, -9)
    await yard.fleet.aclose()
    await yard.pool.aclose()


async def test_who_is_answered_too_late_is_hung_up(yard: Yard) -> None:
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    yard.desk("w0").answer = slow  # type: ignore[method-assign]
    calling = asyncio.ensure_future(yard.fleet.connect(Call("v=0")))
    await yard.until(lambda: connects(yard.desk("w0")) == 1)
    calling.cancel()
    gate.set()
    await yard.until(lambda: ("disconnect", "w0-peer1") in yard.desk("w0").asked)
    assert yard.fleet.health().sessions == 0


async def test_a_session_that_ends_before_its_answer_does_not_count(yard: Yard) -> None:
    desk = yard.desk("w0")

    async def end() -> None:
        assert desk.watch
        desk.watch("w0-session1", "ended")

    desk.answer = end  # type: ignore[method-assign]
    await yard.fleet.connect(Call("v=0"))
    assert yard.watched == [("w0-session1", "ended")]
    assert yard.fleet.health().sessions == 0


async def test_drain_reaches_all_and_admits_nobody(yard: Yard) -> None:
    await yard.fleet.drain(3.0)
    for name in ("w0", "w1"):
        assert yard.desk(name).asked == [("drain", 3.0)]
    with pytest.raises(Unavailable):
        await yard.fleet.connect(Call("v=0"))
    assert yard.told.refused == ["draining"]
    health = yard.fleet.health()
    assert health.draining
    assert not health.ready


async def test_drain_and_end_do_not_wait_for_one_that_hangs(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_MARGIN_S", 0.05)
    yard.workers[0].is_silent = True
    async with asyncio.timeout(1):
        await yard.fleet.drain(0.0)
        await yard.fleet.aclose()
    assert [worker.exited.result() for worker in yard.workers] == [-9, 0]


async def test_none_is_begun_anew_while_draining(yard: Yard) -> None:
    await yard.fleet.drain(0.0)
    yard.workers[0].kill()
    await asyncio.sleep(0.1)
    assert len(yard.workers) == 2


async def test_a_fleet_that_cannot_begin_says_so() -> None:
    yard = Yard()
    yard.is_broken = True
    with pytest.raises(ConfigError, match="Exec format error"):
        await yard.fleet.start()
    await yard.fleet.aclose()
    await yard.pool.aclose()


async def test_a_mistake_at_the_start_of_one_is_no_end_of_its_place(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_pool: object) -> None:
        raise ValueError

    with monkeypatch.context() as broken:
        broken.setattr(module, "state_of", fail)
        yard.workers[0].kill()
        await yard.until(lambda: yard.fleet._slots[0].failures > 1)
    await yard.until(lambda: yard.told.states["ready"] == 2)


async def test_a_process_does_not_inherit_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    async def note(*_command: str, **how: Any) -> None:
        given.update(how)

    for name in ("API_KEYS", "TOKEN_SECRET", "TURN_SECRET", "PATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", note)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        await member.spawn("w0", theirs)
    assert given["env"]["PATH"] == "x"
    assert not {"API_KEYS", "TOKEN_SECRET", "TURN_SECRET"} & set(given["env"])


async def test_decodes_of_all_workers_go_to_one_pool(yard: Yard) -> None:
    answers = list[Answer]()
    for worker in yard.workers:
        worker.pool.attach(worker.name, answers.append)
        worker.pool.submit(request(worker.name))
    await yard.until(lambda: len(answers) == 2)
    assert {answer.request.stream_id for answer in answers} == {"w0", "w1"}
    assert yard.pool._ladder
    yard.pool._ladder.step = Step.REFUSE
    yard.pool._tell_watchers()
    await yard.until(lambda: not any(worker.pool.accepts_sessions for worker in yard.workers))


async def test_figures_are_told_and_kept_when_a_worker_is_lost(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCRAPE_TIMEOUT_S", 0.05)

    async def audio() -> float:
        metrics = Metrics()
        metrics.others = yard.fleet.collect_figures
        response = await metrics.scrape(None)  # type: ignore[arg-type]
        assert isinstance(response.body, bytes)
        (line,) = [
            line
            for line in response.body.decode().splitlines()
            if line.startswith("rtc_stt_audio_seconds_total")
        ]
        return float(line.split()[1])

    for worker in yard.workers:
        worker.metrics.audio_received(2.0)
    assert await audio() == 4.0
    yard.workers[0].metrics.audio_received(1.0)
    yard.workers[0].is_silent = True
    assert await audio() == 4.0, "what it told last"
    assert yard.told.failed_scrapes == 1
    yard.workers[0].kill()
    await yard.until(lambda: len(yard.workers) == 3 and yard.told.states["ready"] == 2)
    assert await audio() == 4.0
    yard.workers[2].metrics.audio_received(3.0)
    assert await audio() == 7.0


@pytest.mark.parametrize(
    "header", [{"type": "dance"}, {"type": "reply"}, {"type": "watch"}, {"type": "ready"}]
)
async def test_a_worker_that_talks_nonsense_is_ended(yard: Yard, header: dict[str, str]) -> None:
    yard.workers[0].link.send(header)
    await yard.until(lambda: len(yard.workers) == 3 and yard.told.states["ready"] == 2)


@pytest.mark.parametrize(
    "header", [{"type": "dance"}, {"type": "call"}, {"type": "call", "id": 1, "method": "x"}]
)
async def test_a_front_that_talks_nonsense_is_left(yard: Yard, header: dict[str, str]) -> None:
    yard.fleet._ready()[0]._send(header)
    await yard.until(lambda: len(yard.workers) == 3 and yard.told.states["ready"] == 2)


async def test_a_method_that_there_is_not_is_a_mistake_and_no_more(yard: Yard) -> None:
    with pytest.raises(RuntimeError):
        await yard.fleet._ready()[0].call("dance", {})
    assert len(yard.workers) == 2
