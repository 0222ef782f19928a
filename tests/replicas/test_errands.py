"""Batches on their way: what is asked of whom, in what order answers, deaths and hangs may come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtc_stt.hypothesis import Urgency
from rtc_stt.replicas.errands import Ask, Errand, Errands, Fail, Forget
from rtc_stt.replicas.replies import ReplicaAlive
from tests.harness import request
from tests.replicas.test_choice import replica

HANG_S, DEADLINE_S = 10.0, 8.0
WELL = ReplicaAlive(0, 0, True, False)


class Bench:
    """Errands before replicas that are linked."""

    def __init__(self, *names: str, calls: int = 1) -> None:
        self.now = 0.0
        self.errands = Errands(hang_s=HANG_S, deadline_s=DEADLINE_S)
        self.errands.learn([replica(name, calls) for name in names], 0.0)
        for name in names:
            self.errands.link(name, 0.0)
        self.asked: list[Ask] = []
        self.forgotten: list[int] = []
        self.failed: list[Fail] = []
        self.look()

    def begin(
        self, urgency: Urgency = Urgency.FINAL, stream: str = "s", since: float | None = None
    ) -> Errand:
        asked = request(stream=stream, urgency=urgency)
        errand = self.errands.begin([asked], self.now if since is None else since, self.now)
        self.look()
        return errand

    def at(self, now: float) -> None:
        self.now = now
        self.errands.tick(now)
        self.look()

    def look(self) -> None:
        for action in self.errands.actions():
            match action:
                case Ask():
                    self.asked.append(action)
                case Forget(call, _):
                    self.forgotten.append(call)
                case Fail():
                    self.failed.append(action)

    def answer(self, call: int, *, is_at_fault: bool = False) -> Errand | None:
        done = self.errands.answered(call, self.now, is_at_fault=is_at_fault)
        self.look()
        return done

    def unlink(self, name: str) -> None:
        self.errands.unlink(name, self.now)
        self.look()

    @property
    def replicas_asked(self) -> list[str]:
        return [ask.replica_id for ask in self.asked]


def test_an_answer_is_the_answer() -> None:
    bench = Bench("a", "b")
    errand = bench.begin()
    [ask] = bench.asked
    assert ask.errand is errand
    assert bench.errands.running == 1
    assert bench.answer(ask.call) is errand
    assert bench.answer(ask.call) is None
    assert (bench.errands.running, bench.errands.outcomes) == (0, ["ok"])


def test_who_dies_costs_a_retry_elsewhere() -> None:
    for urgency in (Urgency.FINAL, Urgency.PARTIAL, Urgency.RECORDING):
        bench = Bench("a", "b")
        errand = bench.begin(urgency)
        bench.unlink(bench.asked[0].replica_id)
        assert set(bench.replicas_asked) == {"a", "b"}
        assert bench.answer(bench.asked[1].call) is errand
        assert bench.errands.outcomes == ["retried", "ok"]


def test_a_final_that_takes_too_long_is_asked_of_a_second_one_and_the_first_answer_wins() -> None:
    for winner in (0, 1):
        bench = Bench("a", "b")
        errand = bench.begin()
        bench.at(0.74 * DEADLINE_S)
        assert len(bench.asked) == 1
        bench.at(0.76 * DEADLINE_S)
        assert set(bench.replicas_asked) == {"a", "b"}
        assert bench.answer(bench.asked[winner].call) is errand
        assert bench.forgotten == [bench.asked[1 - winner].call]
        assert bench.answer(bench.asked[1 - winner].call) is None
        assert bench.errands.outcomes == ["hedged", "hedge_won" if winner else "ok"]


def test_a_final_that_has_waited_long_is_not_hedged_as_it_begins() -> None:
    bench = Bench("a", "b")
    bench.now = 100.0
    bench.begin(since=100.0 - 2 * DEADLINE_S)
    bench.at(100.1)
    assert len(bench.asked) == 1


def test_what_a_silent_one_has_is_asked_elsewhere_at_once_and_may_still_come() -> None:
    bench = Bench("a", "b")
    errand = bench.begin()
    silent = bench.asked[0].replica_id
    bench.errands.hush(silent, 1.0)
    bench.look()
    assert set(bench.replicas_asked) == {"a", "b"}
    assert bench.errands.free(1.0) == 1, "the other one has one of two"
    assert bench.answer(bench.asked[0].call) is errand, "it has come to life"


def test_a_partial_is_not_hedged_by_time() -> None:
    bench = Bench("a", "b")
    bench.begin(Urgency.PARTIAL)
    bench.at(9.0)
    assert len(bench.asked) == 1


def test_a_call_that_hangs_is_given_up_and_a_partial_asked_elsewhere_once() -> None:
    bench = Bench("a", "b", "c")
    errand = bench.begin(Urgency.PARTIAL)
    bench.at(HANG_S + 0.1)
    assert bench.forgotten == [bench.asked[0].call]
    assert len(bench.asked) == 2
    bench.at(2 * HANG_S + 0.3)
    assert len(bench.asked) == 2
    assert [fail.errand for fail in bench.failed] == [errand]
    assert bench.errands.outcomes == ["timeout", "retried", "timeout", "failed"]


def test_one_that_is_at_fault_is_not_asked_until_it_says_that_it_is_well() -> None:
    bench = Bench("a", "b")
    errand = bench.begin()
    at_fault = bench.asked[0].replica_id
    assert bench.answer(bench.asked[0].call, is_at_fault=True) is None
    assert bench.asked[1].replica_id != at_fault
    assert bench.answer(bench.asked[1].call) is errand
    assert bench.errands.free(bench.now) == 2
    bench.errands.hear(at_fault, WELL, bench.now)
    assert bench.errands.free(bench.now) == 4


def test_a_retry_waits_for_room_before_anyone_new() -> None:
    bench = Bench("a", "b")
    errands = [bench.begin(stream=f"s{n}") for n in range(4)]
    assert bench.errands.free(0.0) == 0
    dead = bench.asked[0].replica_id
    bench.unlink(dead)
    assert len(bench.asked) == 4, "nobody has room"
    bench.errands.link(dead, 0.0)
    bench.look()
    assert len(bench.asked) == 6
    assert bench.errands.free(0.0) == 0
    for ask in bench.asked:
        bench.answer(ask.call)
    assert (bench.errands.running, bench.failed) == (0, [])
    assert len({ask.errand for ask in bench.asked}) == len(errands)


def test_a_final_waits_a_little_where_there_is_nobody_and_a_partial_does_not() -> None:
    bench = Bench("a")
    final, partial = bench.begin(), bench.begin(Urgency.PARTIAL, "p")
    bench.unlink("a")
    assert [fail.errand for fail in bench.failed] == [partial]
    bench.at(1.0)
    bench.errands.link("a", 1.0)
    bench.look()
    assert bench.asked[-1].errand is final
    bench.unlink("a")
    bench.at(0.8 * DEADLINE_S)
    assert [fail.errand for fail in bench.failed] == [partial, final]


def test_who_leaves_is_forgotten_and_what_others_share_is_not() -> None:
    bench = Bench("a", "b")
    alone = bench.begin(stream="gone")
    shared = bench.errands.begin([request(stream="gone"), request(stream="stays")], 0.0, 0.0)
    bench.look()
    assert bench.errands.forget("gone", 0.0) == [alone]
    bench.look()
    assert len(bench.forgotten) == 1
    assert bench.answer(bench.asked[1].call) is shared


def test_who_is_listed_no_more_loses_what_it_has() -> None:
    bench = Bench("a", "b")
    errand = bench.begin()
    other = ({"a", "b"} - {bench.asked[0].replica_id}).pop()
    bench.errands.learn([replica(other)], 0.0)
    bench.errands.tick(0.0)
    bench.look()
    assert bench.asked[1].replica_id == other
    assert bench.answer(bench.asked[1].call) is errand


# ── Whatever happens ──

NAMES = ("a", "b", "c")
KINDS = ("link", "unlink", "hush", "well", "ill", "drain")


class Whatever(RuleBasedStateMachine):
    """Replicas die, hang, answer late or twice: each batch is over once, and nobody has too much."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(*NAMES, calls=2)
        self.open: dict[Errand, None] = {}
        self.over: list[Errand] = []

    def settle(self, done: Iterable[Errand]) -> None:
        self.bench.look()
        failed, self.bench.failed = self.bench.failed, []
        for errand in [*done, *(fail.errand for fail in failed)]:
            assert errand in self.open, "over twice"
            del self.open[errand]
            self.over.append(errand)

    @rule(urgency=st.sampled_from(Urgency), stream=st.sampled_from("stuv"), waited=st.floats(0, 20))
    def begin(self, urgency: Urgency, stream: str, waited: float) -> None:
        bench = self.bench
        if bench.errands.free(bench.now) > 0:
            self.open[bench.begin(urgency, stream, bench.now - waited)] = None
            self.settle([])

    @rule(which=st.integers(0, 50), is_at_fault=st.booleans())
    def answer(self, which: int, is_at_fault: bool) -> None:
        """Any call that was ever made, so also late and twice."""
        if self.bench.asked:
            call = self.bench.asked[-1 - which % len(self.bench.asked)].call
            done = self.bench.answer(call, is_at_fault=is_at_fault)
            self.settle([done] if done else [])

    @rule(
        name=st.sampled_from(NAMES), kind=st.sampled_from(["link", "unlink", "hush", "well", "ill", "drain"])
    )
    def happen(self, name: str, kind: str) -> None:
        errands, now = self.bench.errands, self.bench.now
        if name not in errands.peers:
            return
        match kind:
            case "link":
                errands.link(name, now)
            case "unlink":
                errands.unlink(name, now)
            case "hush":
                errands.hush(name, now)
            case "well" | "ill":
                errands.hear(name, ReplicaAlive(0, 0, kind == "well", False), now)
            case "drain":
                errands.drain(name)
        self.settle([])

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def learn(self, names: set[str]) -> None:
        self.bench.errands.learn([replica(name, 2) for name in sorted(names)], self.bench.now)
        self.settle([])

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.bench.at(self.bench.now + seconds)
        self.settle([])

    @rule(stream=st.sampled_from("stuv"))
    def leave(self, stream: str) -> None:
        self.settle(self.bench.errands.forget(stream, self.bench.now))

    @invariant()
    def nobody_has_more_than_its_calls_and_one(self) -> None:
        for peer in self.bench.errands.peers.values():
            assert len(peer.under_way) <= peer.replica.calls + 1
        assert self.bench.errands.free(self.bench.now) >= 0
        assert self.bench.errands.running == len(self.open)

    def teardown(self) -> None:
        """In the end everything is over, whoever still answers."""
        for _ in range(20):
            self.bench.at(self.bench.now + 11.0)
            self.settle([])
        assert not self.open
        assert len(set(self.over)) == len(self.over)


TestWhatever = pytest.mark.slow(Whatever.TestCase)
TestWhatever.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
