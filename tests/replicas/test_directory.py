"""Who is there, and who is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.hypothesis import Tier
from rtc_stt.replicas import directory
from rtc_stt.replicas.directory import FORGET_S, Directory, Report
from rtc_stt.replicas.replica import Replica


def report(id_: str, tier: Tier = Tier.FAST, *, draining: bool = False) -> Report:
    replica = Replica(
        id_, tier, "ws://10.0.0.7:40123/decode", "small", frozenset({"en"}), 1, 8, "1.0", draining
    )
    return Report(replica, node="10.0.0.7", pid=17, busy=1, queued_audio_s=0.5, links=2)


def ids(known: Directory, now: float) -> list[str]:
    return [replica.id for replica in known.replicas(now)]


def test_who_tells_itself_is_listed_in_an_order_that_stays() -> None:
    known = Directory()
    for told in (report("b"), report("z", Tier.ACCURATE), report("a")):
        assert known.tell(told, 0.0)
    assert ids(known, 1.0) == ["z", "a", "b"]
    assert [told.pid for told in known.reports(1.0)] == [17, 17, 17]


def test_who_is_silent_is_forgotten_and_may_come_back() -> None:
    known = Directory()
    known.tell(report("a"), 0.0)
    known.tell(report("b"), 3.0)
    assert ids(known, FORGET_S) == ["a", "b"]
    assert ids(known, FORGET_S + 0.1) == ["b"]
    known.tell(report("a"), 8.0)
    assert ids(known, 8.0) == ["a", "b"]


def test_who_drains_says_so_and_who_has_ended_leaves_at_once() -> None:
    known = Directory()
    known.tell(report("a"), 0.0)
    known.tell(report("a", draining=True), 1.0)
    assert [replica.draining for replica in known.replicas(1.0)] == [True]
    known.leave("a")
    known.leave("nobody")
    assert ids(known, 1.0) == []


def test_there_are_no_more_than_a_list_may_hold(monkeypatch: object) -> None:
    known = Directory()
    assert all(known.tell(report(f"r{number}"), 0.0) for number in range(directory.MAX_REPLICAS))
    assert not known.tell(report("one more"), 0.0)
    assert known.tell(report("r0"), 0.0)
    assert known.tell(report("one more"), FORGET_S + 1)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 4))))
def test_those_are_listed_who_told_themselves_in_the_last_seconds(signs: list[tuple[str, float]]) -> None:
    known, now, last = Directory(), 0.0, dict[str, float]()
    for id_, pause in signs:
        now += pause
        known.tell(report(id_), now)
        last[id_] = now
        assert ids(known, now) == sorted(name for name, at in last.items() if now - at <= FORGET_S)
