"""Which server is asked, by example and as properties over any course of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.balance import FAILURES, LONGEST_OUT_S, Balance, Choice, Outcome


def once(
    balance: Balance, place: int, outcome: Outcome | None, now: float, told_s: float | None = None
) -> None:
    balance.begin(place)
    balance.end(place, outcome, now, told_s)


def test_the_one_with_the_fewest_under_way_is_asked():
    balance = Balance(3)
    asked = []
    for _ in range(6):
        asked.append(balance.choose(0.0).place)
        balance.begin(asked[-1])
    assert asked == [0, 1, 2, 0, 1, 2]
    balance.end(1, Outcome.WELL, 0.0)
    assert balance.choose(0.0) == Choice(1, 0.0)


def test_equals_take_turns():
    balance = Balance(3)
    asked = []
    for _ in range(6):
        asked.append(balance.choose(0.0).place)
        once(balance, asked[-1], Outcome.WELL, 0.0)
    assert asked == [0, 1, 2, 0, 1, 2]


def test_who_cannot_be_reached_is_out_at_once():
    balance = Balance(2)
    once(balance, 0, Outcome.UNREACHABLE, 0.0)
    assert not balance.is_well(0, 1e9), "time alone does not mend it"
    assert [balance.choose(now).place for now in (0.0, 0.5, 100.0)] == [1, 1, 1]


def test_other_failures_are_three_in_a_row():
    balance = Balance(2)
    for _ in range(FAILURES - 1):
        once(balance, 0, Outcome.FAILED, 0.0)
    once(balance, 0, Outcome.WELL, 0.0)
    for _ in range(FAILURES - 1):
        once(balance, 0, Outcome.FAILED, 0.0)
        assert balance.is_well(0, 0.0)
    once(balance, 0, Outcome.FAILED, 0.0)
    assert not balance.is_well(0, 0.0)


def test_who_is_busy_comes_back_when_it_has_said():
    balance = Balance(2)
    once(balance, 0, Outcome.BUSY, 0.0, 5.0)
    assert balance.choose(4.9).place == 1
    assert balance.is_well(0, 5.0)
    assert balance.due(10.0) == [], "that needs no probe"


def test_an_answer_of_another_request_does_not_make_a_busy_one_free():
    balance = Balance(1)
    balance.begin(0)
    once(balance, 0, Outcome.BUSY, 0.0, 5.0)
    balance.end(0, Outcome.WELL, 1.0)
    assert not balance.is_well(0, 1.0)


def test_one_that_is_out_returns_by_a_probe():
    balance = Balance(2)
    once(balance, 0, Outcome.UNREACHABLE, 0.0)
    assert balance.due(0.9) == []
    assert balance.due(1.0) == [0]
    assert balance.due(1.0) == [], "one probe at a time"
    assert balance.choose(1.0).place == 1, "while it is probed nobody depends on it"
    balance.probed(0, True, 1.1)
    assert balance.is_well(0, 1.1)
    balance.begin(1)
    assert balance.choose(1.1).place == 0


def test_each_absence_is_longer_until_there_is_an_answer():
    balance, now, absences = Balance(2), 0.0, []
    once(balance, 0, Outcome.UNREACHABLE, now)
    for _ in range(7):
        since = now
        while not balance.due(now):
            now += 0.5
        absences.append(now - since)
        balance.probed(0, False, now)
    assert absences == [1, 2, 4, 8, 16, 30, 30]
    while not balance.due(now):
        now += 0.5
    balance.probed(0, True, now)
    once(balance, 0, Outcome.FAILED, now)  # ready, and does not work: one is enough
    assert not balance.is_well(0, now)
    assert balance.due(now + LONGEST_OUT_S - 1) == []
    balance.begin(0)
    balance.end(0, Outcome.WELL, now)
    assert balance.is_well(0, now)
    once(balance, 0, Outcome.UNREACHABLE, now)
    assert balance.due(now + 1) == [0]


def test_many_that_fail_for_one_reason_are_one_failure():
    balance = Balance(2)
    for _ in range(20):
        balance.begin(0)
    for _ in range(20):
        balance.end(0, Outcome.UNREACHABLE, 0.0)
    assert balance.due(1.0) == [0]


def test_where_all_are_out_they_are_asked_in_turn():
    balance, asked = Balance(2), list[int]()
    for tenth in range(6):
        asked.append(balance.choose(tenth / 10).place)
        once(balance, asked[-1], Outcome.UNREACHABLE, tenth / 10)
    assert asked == [0, 1, 0, 1, 0, 1]


def test_a_request_knows_more_than_a_probe_that_began_before_it():
    balance = Balance(1)
    once(balance, 0, Outcome.UNREACHABLE, 0.0)
    assert balance.due(1.0) == [0]
    once(balance, 0, Outcome.UNREACHABLE, 1.1)
    balance.probed(0, True, 1.2)
    assert not balance.is_well(0, 1.2)
    assert balance.due(3.2) == [0], "it is probed again"


def test_who_has_failed_at_a_request_comes_after_others_for_it():
    balance = Balance(2)
    balance.begin(1)
    assert balance.choose(0.0).place == 0
    assert balance.choose(0.0, tried={0}).place == 1
    assert balance.choose(0.0, tried={0, 1}).place == 0, "and is asked again where there is nobody else"
    assert balance.has_well(0.0, but={0})
    assert not balance.has_well(0.0, but={0, 1})


def test_where_nobody_is_well_the_soonest_is_asked_when_it_has_said_so():
    balance = Balance(3)
    once(balance, 0, Outcome.BUSY, 0.0, 9.0)
    once(balance, 1, Outcome.BUSY, 0.0, 4.0)
    once(balance, 2, Outcome.BUSY, 0.0, 6.0)
    assert balance.choose(1.0) == Choice(1, 3.0)
    once(balance, 1, Outcome.UNREACHABLE, 4.0)  # out until 5: our guess, so it may be asked before
    assert balance.choose(4.5) == Choice(1, 0.0)


OUTCOMES = st.none() | st.sampled_from(Outcome)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "end", "end", "wait", "probe", "answer a probe"]),
        OUTCOMES,
        st.floats(0, 20),
        st.booleans(),
    ),
    max_size=60,
)


@given(st.integers(1, 4), STEPS)
def test_in_any_course_of_events(places, steps):
    balance, now = Balance(places), 0.0
    under_way: list[int] = []
    probed: list[int] = []
    for what, outcome, seconds, is_good in steps:
        match what:
            case "ask":
                choice = check_choice(balance, places, now)
                balance.begin(choice.place)
                under_way.append(choice.place)
            case "end" if under_way:
                balance.end(under_way.pop(int(seconds) % len(under_way)), outcome, now, seconds)
            case "wait":
                now += seconds
            case "probe":
                due = balance.due(now)
                assert not set(due) & set(probed), "one at a time"
                assert not any(balance.is_well(place, now) for place in due)
                probed += due
            case "answer a probe" if probed:
                balance.probed(probed.pop(), is_good, now)
        assert [balance.outstanding(n) for n in range(places)] == [under_way.count(n) for n in range(places)]
    check_return(balance, places, now, probed)


def check_choice(balance: Balance, places: int, now: float) -> Choice:
    """Never one that is out or busy while another is well; else the soonest; always somebody."""
    choice = balance.choose(now)
    well = [n for n in range(places) if balance.is_well(n, now)]
    if well:
        assert choice.place in well
        assert choice.wait_s == 0
        assert balance.outstanding(choice.place) == min(balance.outstanding(n) for n in well)
    else:
        back_at = [place.back_at() for place in balance._places]
        assert back_at[choice.place] == min(back_at)
        assert now + choice.wait_s <= max(now, back_at[choice.place]) + 1e-9
    return choice


def check_return(balance: Balance, places: int, now: float, probed: list[int]) -> None:
    """Nobody is forgotten: if all are ready, all are asked again after the longest absence."""
    for place in probed:
        balance.probed(place, True, now)
    now += LONGEST_OUT_S
    for place in balance.due(now):
        balance.probed(place, True, now)
    assert all(balance.is_well(place, now) for place in range(places))


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_one_server_is_always_asked(outcome):
    balance = Balance(1)
    for now in range(10):
        once(balance, 0, outcome, float(now), 0.0)
        assert balance.choose(float(now)) == Choice(0, 0.0)
