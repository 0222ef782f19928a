"""Who may come in now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import QuotaExceeded, TooMany, Unavailable
from rtc_stt.instrument import Instrument
from signaling import door as module
from signaling.calls import Caller
from signaling.door import HALF_OPEN_S, Door, Redirect, Ticket
from signaling.session_usage import SessionUsage
from signaling.settings import Access, Server
from signaling.usage import Account, Amount, Usage


class Watcher(Instrument):
    def __init__(self) -> None:
        self.refused: list[str] = []
        self.half_open = 0

    def session_refused(self, reason: str) -> None:
        self.refused.append(reason)

    def half_open_changed(self, count: int) -> None:
        self.half_open = count


def make(max_sessions: int = 100, **access: Any) -> tuple[Door, Watcher]:
    watcher = Watcher()
    roomy = {"max_half_open_per_key": 100, "rate_limit_burst": 1_000} | access
    return Door(Server(max_sessions=max_sessions), Access(**roomy), watcher), watcher


def caller(number: int = 1, key: str = "open") -> Caller:
    return Caller(key, f"192.0.2.{number}")


def begin(door: Door, session: str, who: Caller | None = None, now: float = 0.0) -> Ticket:
    ticket = door.admit(who or caller(), now)
    door.hold(ticket, session)
    return ticket


def connect(door: Door, session: str, who: Caller | None = None, now: float = 0.0) -> None:
    begin(door, session, who, now)
    door.watch(session, "connected")


def test_a_ticket_is_half_open_until_its_connection_stands():
    door, watcher = make()
    begin(door, "a")
    assert (door.half_open, door.sessions, watcher.half_open) == (1, 1, 1)
    door.watch("a", "connected")
    assert (door.half_open, door.sessions, watcher.half_open) == (0, 1, 0)
    door.watch("a", "ended")
    assert (door.half_open, door.sessions) == (0, 0)


def test_an_offer_that_comes_to_nothing_leaves_nothing():
    door, watcher = make()
    ticket = door.admit(caller(), 0)
    assert door.sessions == 1
    for _ in range(2):
        door.release(ticket)
    assert (door.half_open, door.sessions, watcher.half_open) == (0, 0, 0)


def test_what_never_connects_is_not_counted_for_ever():
    door, _ = make(max_half_open=1)
    begin(door, "a")
    with pytest.raises(Unavailable):
        door.admit(caller(), HALF_OPEN_S - 0.1)
    door.admit(caller(), HALF_OPEN_S)
    assert door.sessions == 2, "its session is over when it says so"


def test_half_open_by_key_and_in_all():
    door, watcher = make(max_half_open=3, max_half_open_per_key=2)
    for _ in range(2):
        door.admit(caller(key="k"), 0)
    with pytest.raises(TooMany):
        door.admit(caller(2, key="k"), 0)
    door.admit(caller(), 0)
    with pytest.raises(Unavailable):
        door.admit(caller(3), 0)
    assert watcher.refused == ["half_open", "half_open"]


def test_without_keys_addresses_are_told_apart_and_v6_by_subscriber():
    door, _ = make(max_half_open_per_key=1)
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1", "unknown"):
        door.admit(Caller("open", address), 0)
    for address in ("192.0.2.1", "2001:db8:0:1:ffff::9"):
        with pytest.raises(TooMany):
            door.admit(Caller("open", address), 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_clients_of_this_machine_are_not_taken_for_one(address):
    door, _ = make(max_half_open_per_key=1, max_half_open=3, rate_limit_burst=1)
    for _ in range(3):
        door.admit(Caller("open", address), 0)
    with pytest.raises(Unavailable):
        door.admit(Caller("open", address), 0)


def test_a_full_server_refuses_or_sends_elsewhere():
    door, watcher = make(1)
    connect(door, "a")
    with pytest.raises(Unavailable) as error:
        door.admit(caller(2), 0)
    assert error.value.retry_after_s > 0
    assert watcher.refused == ["full"]
    elsewhere, _ = make(1, redirect_url="https://b.example.org")
    connect(elsewhere, "a")
    with pytest.raises(Redirect) as redirect:
        elsewhere.admit(caller(2), 0)
    assert redirect.value.url == "https://b.example.org"


def test_who_comes_back_is_counted_already():
    door, _ = make(1, max_sessions_per_key=1)
    connect(door, "a", caller(key="k"))
    door.watch("a", "lost")
    ticket = door.admit(caller(key="k"), 0, resuming=True)
    door.hold(ticket, "a")
    assert (door.half_open, door.sessions, ticket.evicted) == (1, 1, None)
    door.watch("a", "connected")
    assert (door.half_open, door.sessions) == (0, 1)


def test_the_session_that_waits_longest_makes_room():
    door, watcher = make(3)
    for session in "abc":
        connect(door, session)
    for session in "bca":
        door.watch(session, "lost")
    door.watch("b", "connected")
    assert door.admit(caller(), 0).evicted == "c"
    assert door.admit(caller(), 0).evicted == "a"
    with pytest.raises(Unavailable):
        door.admit(caller(), 0)
    door.watch("c", "ended")
    assert door.sessions == 3
    assert watcher.refused == ["full"]


def test_who_had_to_go_for_an_offer_that_came_to_nothing_may_stay():
    door, _ = make(2)
    for session in "ab":
        connect(door, session)
        door.watch(session, "lost")
    ticket = door.admit(caller(), 0)
    assert (ticket.evicted, door.sessions) == ("a", 2)
    door.release(ticket)
    assert (door.key_of("a"), door.sessions) == ("open", 2)
    again = door.admit(caller(), 0)
    assert (again.evicted, door.make_room(again), door.make_room(again)) == ("a", "a", None)
    door.release(again)
    assert (door.key_of("a"), door.sessions) == (None, 1)


def test_an_offer_that_comes_to_nothing_twice_takes_no_room_from_another():
    door, _ = make(1)
    connect(door, "a")
    door.watch("a", "lost")
    first = door.admit(caller(), 0)
    door.release(first)
    second = door.admit(caller(), 0)
    door.release(first)
    assert (second.evicted, door.make_room(second), door.sessions) == ("a", "a", 1)


def test_who_came_back_before_it_had_to_go_is_not_taken_for_one_that_waits():
    door, _ = make(1)
    connect(door, "a")
    door.watch("a", "lost")
    ticket = door.admit(caller(), 0)
    door.watch("a", "connected")
    door.release(ticket)
    with pytest.raises(Unavailable):
        door.admit(caller(), 0)
    assert door.sessions == 1


@pytest.mark.parametrize(
    ("limit", "reason", "stranger"),
    [
        ({"max_sessions_per_key": 1}, "key_limit", caller(1, "other")),
        ({"max_sessions_per_address": 1}, "address_limit", caller(2, "key")),
    ],
)
def test_limits_of_one_caller_are_not_those_of_others(limit, reason, stranger):
    door, watcher = make(**limit)
    connect(door, "a", caller(1, "key"))
    with pytest.raises(TooMany):
        door.admit(caller(1, "key"), 0)
    assert watcher.refused == [reason]
    door.admit(stranger, 0)


def test_those_who_show_no_key_are_no_one_key():
    door, _ = make(max_sessions_per_key=1)
    connect(door, "a", caller(1))
    door.admit(caller(1), 0)
    assert (door.sessions, door.half_open) == (2, 1)


def test_requests_are_counted_by_caller():
    door, watcher = make(rate_limit_rps=2, rate_limit_burst=3)
    for _ in range(3):
        door.count(caller(1), 0)
    with pytest.raises(TooMany) as error:
        door.admit(caller(1), 0)
    assert error.value.retry_after_s == 1
    door.count(caller(2), 0)
    door.count(caller(1), 0.5)
    assert watcher.refused == ["rate"]


def test_callers_are_remembered_up_to_a_number(monkeypatch):
    monkeypatch.setattr(module, "MAX_BUCKETS", 10)
    door, _ = make()
    for number in range(100):
        door.count(caller(number), 0)
    assert len(door._buckets) == 10


@pytest.mark.parametrize("told", [["connected"], ["connected", "ended"], ["ended"], ["connected", "lost"]])
def test_news_may_come_before_the_answer(told):
    door, _ = make(1)
    ticket = door.admit(caller(), 0)
    for what in told:
        door.watch("a", what)
    door.hold(ticket, "a")
    assert door.half_open == 0
    assert door.sessions == (0 if "ended" in told else 1)
    if "lost" in told:
        assert door.admit(caller(), 0).evicted == "a"


def test_news_of_strangers_are_forgotten():
    door, _ = make()
    for number in range(2_000):
        door.watch(f"s{number}", "ended")
    assert len(door._early) <= module.MAX_EARLY


KINDS = st.sampled_from(["admit", "resume", "connected", "lost", "ended", "tick"])
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 5)), max_size=60)


@given(STEPS)
def test_it_never_lets_in_more_than_it_may_and_forgets_nobody(steps):
    door, watcher = make(3, max_half_open=2, max_half_open_per_key=1)
    now, open_sessions, last = 0.0, set[str](), 0
    for step, number in steps:
        if step == "tick":
            now += number * 5
        elif step in ("admit", "resume"):
            try:
                ticket = door.admit(caller(number), now, resuming=step == "resume" and bool(open_sessions))
            except (TooMany, Unavailable):
                continue
            if ticket.evicted:
                open_sessions.discard(ticket.evicted)
            if ticket.resuming:
                door.hold(ticket, min(open_sessions))
            else:
                last += 1
                door.hold(ticket, f"s{last}")
                open_sessions.add(f"s{last}")
        elif open_sessions:
            session = sorted(open_sessions)[number % len(open_sessions)]
            door.watch(session, step)
            if step == "ended":
                open_sessions.discard(session)
        assert door.sessions == len(open_sessions) <= 3
        assert door.half_open == watcher.half_open <= 2


def test_a_key_over_its_quota_begins_no_session_but_may_come_back_to_one():
    usage = Usage(daily_audio_s=10)
    usage.know({"one": Account("acme"), "two": Account("other")})
    sessions = SessionUsage(usage, lambda: 0.0)
    door = Door(Server(), Access(), usage=sessions)
    connect(door, "a", caller(key="one"))
    assert not sessions.hear("a", 9)
    begin(door, "b", caller(key="one"))
    assert sessions.hear("a", 1)
    with pytest.raises(QuotaExceeded):
        door.admit(caller(key="one"), 0)
    door.admit(caller(key="two"), 0)
    ticket = door.admit(caller(), 0, resuming=True)
    door.hold(ticket, "a")
    door.watch("a", "connected")
    assert sessions.hear("a", 1), "it goes on in the book of its key"
    assert usage.amount("acme", 0) == Amount(11, 0, 1)
    door.watch("a", "ended")
    door.watch("b", "ended")
    assert not sessions._keys


def test_a_session_that_makes_room_is_counted_to_its_end():
    usage = Usage()
    usage.know({"one": Account("acme")})
    sessions = SessionUsage(usage, lambda: 0.0)
    door = Door(Server(), Access(), usage=sessions)
    connect(door, "a", caller(key="one"))
    door.leave("a")
    sessions.hear("a", 1)
    door.watch("a", "ended")
    assert usage.amount("acme", 0) == Amount(1, 0, 1)
    assert not sessions._keys


def test_a_session_that_was_heard_of_before_it_was_held_is_counted():
    usage = Usage()
    usage.know({"one": Account("acme")})
    sessions = SessionUsage(usage, lambda: 0.0)
    door = Door(Server(), Access(), usage=sessions)
    ticket = door.admit(caller(key="one"), 0)
    door.watch("a", "connected")
    door.watch("a", "ended")
    door.hold(ticket, "a")
    assert usage.amount("acme", 0) == Amount(0, 0, 1)
    assert not sessions._keys


class Beside:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []
        self.others = 0

    def elsewhere(self, key_id: str) -> int:
        return self.others

    def seated(self, ticket: Ticket) -> None:
        self.told.append(("seated", ticket.session_id))

    def settled(self, ticket: Ticket) -> None:
        self.told.append(("settled", ticket.session_id))

    def left(self, ticket: Ticket) -> None:
        self.told.append(("left", ticket.session_id))


def test_who_stands_beside_it_hears_of_every_ticket_once():
    door, _ = make()
    beside = door.beside = Beside()
    connect(door, "a")
    assert beside.told == [("settled", "a")]
    door.watch("a", "ended")
    assert beside.told.pop() == ("left", "a")
    came_to_nothing = door.admit(caller(), 0)
    door.release(came_to_nothing)
    door.release(came_to_nothing)
    assert beside.told[1:] == [("settled", None), ("left", None)]
    resuming = door.admit(caller(), 0, resuming=True)
    door.hold(resuming, "b")
    door.watch("b", "connected")
    assert beside.told[3:] == [("settled", "b")]
    late = door.admit(caller(), 0)
    door.admit(caller(), HALF_OPEN_S)
    assert beside.told[4:] == [("settled", None), ("left", None)]
    door.release(late)
    assert len(beside.told) == 6


def test_a_leg_counts_what_other_servers_have():
    door, watcher = make(max_sessions_per_key=3)
    beside = door.beside = Beside()
    beside.others = 2
    door.hold(door.seat(caller(key="k"), 0), "a")
    assert beside.told == [("seated", None)]
    with pytest.raises(TooMany, match="all 3 sessions of this key"):
        door.seat(caller(key="k"), 0)
    assert watcher.refused == ["key_limit"]


def test_with_a_part_of_the_limits_it_goes_by_that():
    door, _ = make(rate_limit_rps=4, rate_limit_burst=8, max_sessions_per_key=4)
    whole = door.allowance
    door.allowance = whole.split(2)
    for _ in range(4):
        door.count(caller(key="k"), 0.0)
    with pytest.raises(TooMany, match="more than 2 requests"):
        door.count(caller(key="k"), 0.0)
    for session in "ab":
        begin(door, session, caller(key="m"))
    with pytest.raises(TooMany, match="all 2 sessions of this key"):
        begin(door, "c", caller(key="m"))
    door.allowance = whole
    begin(door, "c", caller(key="m"))
