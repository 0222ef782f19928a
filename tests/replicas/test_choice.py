"""Who gets a batch, on a clock that is an argument."""

from __future__ import annotations

from collections import Counter
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.choice import MIN_CALLS, Peer, State, Work, _usual, choose, room, states
from rtc_stt.replicas.replica import Replica
from rtc_stt.replicas.replies import ReplicaAlive


def replica(id_: str, calls: int = 1, max_batch: int = 8, *, draining: bool = False) -> Replica:
    url = "ws://127.0.0.1:1/decode"
    return Replica(id_, Tier.FAST, url, "m", frozenset({"en"}), calls, max_batch, "v", draining)


def peers(*names: str, calls: int = 1) -> list[Peer]:
    return [Peer(replica(name, calls), is_linked=True) for name in names]


def work(stream: str = "s", seconds: float = 1.0, requests: int = 1) -> Work:
    return Work(requests, seconds, stream)


def run(peer: Peer, took_s: float, times: int = MIN_CALLS, now: float = 0.0) -> None:
    """It has decoded so many calls, each in so long."""
    for number in range(times):
        peer.ask(-number - 1, work(), now)
        peer.end(-number - 1, now + took_s, is_answered=True)


def test_a_stream_meets_the_same_replica_again_and_others_coming_change_little() -> None:
    names = [f"s{n}" for n in range(300)]
    three, four = peers("a", "b", "c"), peers("a", "b", "c", "d")

    def own(among: list[Peer], name: str) -> str:
        chosen = choose(among, work(name), 0.0)
        assert chosen
        return chosen.replica.id

    before = {name: own(three, name) for name in names}
    assert before == {name: own(three, name) for name in names}
    assert all(count > 60 for count in Counter(before.values()).values())
    moved = [name for name in names if own(four, name) != before[name]]
    assert all(own(four, name) == "d" for name in moved)
    assert 40 < len(moved) < 120


def test_where_its_own_would_let_it_wait_the_least_busy_gets_it() -> None:
    two = peers("a", "b")
    own = choose(two, work(), 0.0)
    assert own
    own.ask(1, work(), 0.0)
    other = choose(two, work(), 0.0)
    assert other
    assert other is not own
    other.ask(2, work(), 0.0)
    again = choose(two, work(), 0.0)
    assert again, "one more may wait at the door"
    again.ask(3, work(), 0.0)
    last = choose(two, work(), 0.0)
    assert last
    assert last is not again
    last.ask(4, work(), 0.0)
    assert choose(two, work(), 0.0) is None


def test_what_other_gateways_have_there_counts() -> None:
    a, b = peers("a", "b", calls=2)
    for peer in (a, b):
        peer.hear(ReplicaAlive(0, 0, True, False))
    own = choose([a, b], work(), 0.0)
    assert own
    own.hear(ReplicaAlive(2, 1, True, False))
    assert choose([a, b], work(), 0.0) is not own
    assert own.busy == 2


def test_what_others_have_there_counts_and_what_is_ours_is_not_counted_twice() -> None:
    one = peers("a")[0]
    one.ask(1, work(), 0.0)
    one.hear_load(3)
    assert one.load == 3
    one.end(1, 0.1, is_answered=True)
    assert one.load == 2
    one.hear_load(0)
    assert one.load == 0


def test_who_takes_twice_as_long_as_the_others_is_slow() -> None:
    a, b, c = peers("a", "b", "c")
    run(a, 0.4)
    run(b, 0.5)
    run(c, 1.3)
    assert states([a, b, c], 10.0) == {"a": State.READY, "b": State.READY, "c": State.SLOW}
    assert room(c, State.SLOW) == 1, "only what it can begin at once"
    for number in range(20):
        chosen = choose([a, b, c], work(f"s{number}"), 10.0)
        assert chosen in (a, b)


def test_a_slow_one_gets_a_call_now_and_then_and_recovers() -> None:
    a, b = peers("a", "b")
    run(a, 0.2, times=10)
    run(b, 2.0, times=10)
    assert states([a, b], 1.0)["b"] is State.SLOW
    assert choose([a, b], work(), 1.0, calmly=True) is a
    assert choose([a, b], work(), 6.0, calmly=True) is b
    assert choose([a, b], work(), 6.0) is a, "no final is an experiment"
    run(b, 0.2, times=20, now=6.0)
    assert states([a, b], 7.0)["b"] is State.READY


def test_who_stands_still_is_slow_and_then_silent_to_who_asks() -> None:
    a, b = peers("a", "b")
    run(a, 0.5)
    run(b, 0.5)
    b.ask(1, work(), 10.0)
    usual_s = 0.25 * work().cost
    assert states([a, b], 10.0 + 1.9 * usual_s)["b"] is State.READY
    assert states([a, b], 10.0 + 2.5 * usual_s)["b"] is State.SLOW
    assert states([a, b], 10.0 + 8.5 * usual_s)["b"] is State.SILENT


@pytest.mark.parametrize("took_s", [0.001, 0.01, 0.04])
def test_nobody_is_slow_by_a_few_milliseconds(took_s: float) -> None:
    a, b = peers("a", "b")
    run(a, took_s)
    run(b, 3 * took_s)
    assert set(states([a, b], 0.0).values()) == {State.READY}


def test_one_alone_is_never_slow() -> None:
    (a,) = peers("a")
    run(a, 100.0)
    a.ask(1, work(), 0.0)
    assert states([a], 99.0) == {"a": State.READY}


def test_who_drains_is_broken_silent_or_not_linked_is_not_asked() -> None:
    draining, told, broken, silent, unlinked = peers("a", "b", "c", "d", "e")
    draining.is_draining = True
    told.replica = replica("b", draining=True)
    broken.hear(ReplicaAlive(0, 0, False, False))
    silent.is_silent = True
    unlinked.unlink()
    everyone = [draining, told, broken, silent, unlinked]
    assert choose(everyone, work(), 0.0) is None
    assert [*states(everyone, 0.0).values()] == [State.DRAINING] * 2 + [State.SILENT] * 3


def test_a_batch_goes_where_it_fits() -> None:
    small, large = Peer(replica("a", max_batch=2), is_linked=True), Peer(replica("b"), is_linked=True)
    for number in range(10):
        assert choose([small, large], work(f"s{number}", requests=3), 0.0) is large


@given(st.lists(st.floats(0, 10), max_size=8), st.data())
def test_the_median_of_the_others(paces: list[float], data: st.DataObject) -> None:
    known = sorted(paces)
    if known and data.draw(st.booleans()):
        without = data.draw(st.sampled_from(known))
        others = list(known)
        others.remove(without)
    else:
        without, others = None, known
    assert _usual(known, without) == (pytest.approx(median(others)) if others else None)
