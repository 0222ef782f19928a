"""Whom a request goes to, and when a place that has failed is asked again."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtc_stt.failover import _TABLE as TABLE
from rtc_stt.failover import (
    Ask,
    Attempt,
    Choice,
    Errand,
    Failover,
    GiveUp,
    News,
    Outcome,
    State,
    Wait,
    read_retry_after,
    read_status,
)

A, B, C = 0, 1, 2


def try_once(failover: Failover, place: int, news: News, now: float, after_s: float = 0.0) -> None:
    failover.settle(failover.ask(Errand(), place, now), news, now, after_s)


def fail(failover: Failover, place: int, now: float, times: int = 3) -> None:
    for _ in range(times):
        try_once(failover, place, News.FAILED, now)


def next_place(failover: Failover, now: float) -> Choice:
    return failover.choose(Errand(), now)


# ── The table ────────────────────────────────────────────────────────────


def test_the_table_knows_what_to_do_with_any_news_in_any_state():
    assert set(TABLE) == set(itertools.product(State, News))


def test_three_failures_in_a_row_open_a_circuit_and_fewer_do_not():
    failover = Failover([A])
    fail(failover, A, 0.0, times=2)
    try_once(failover, A, News.WELL, 0.0)
    fail(failover, A, 0.0, times=2)
    assert failover.state(A, 0.0) is State.CLOSED
    fail(failover, A, 0.0, times=1)
    assert failover.state(A, 0.0) is State.OPEN


def test_it_is_open_for_one_second_then_twice_as_long_up_to_thirty():
    failover, now, waits = Failover([A]), 100.0, []
    fail(failover, A, now)
    for _ in range(7):
        before = now
        while failover.state(A, now) is State.OPEN:
            now += 0.25
        waits.append(now - before)
        try_once(failover, A, News.FAILED, now)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_one_answer_closes_it_and_the_next_time_begins_with_a_second():
    failover = Failover([A])
    fail(failover, A, 0.0)
    try_once(failover, A, News.FAILED, 1.0)
    try_once(failover, A, News.WELL, 3.0)
    assert failover.state(A, 3.0) is State.CLOSED
    fail(failover, A, 3.0)
    assert failover.state(A, 3.9) is State.OPEN
    assert failover.state(A, 4.0) is State.HALF_OPEN


@pytest.mark.parametrize(("told_s", "open_s"), [(5.0, 5.0), (0.0, 0.0), (3_600.0, 30.0)])
def test_a_place_that_is_busy_is_left_alone_for_as_long_as_it_says_and_not_for_ever(told_s, open_s):
    failover = Failover([A])
    try_once(failover, A, News.BUSY, 0.0, told_s)
    if open_s:
        assert failover.state(A, open_s - 0.01) is State.OPEN
    assert failover.state(A, open_s) is State.HALF_OPEN


def test_of_several_times_that_are_told_the_latest_holds():
    failover = Failover([A])
    attempts = [failover.ask(Errand(), A, 0.0) for _ in range(3)]
    for attempt, after_s in zip(attempts, (5.0, 9.0, 2.0), strict=True):
        failover.settle(attempt, News.BUSY, 0.0, after_s)
    assert failover.state(A, 8.9) is State.OPEN
    assert failover.state(A, 9.0) is State.HALF_OPEN


def test_who_was_asked_before_the_circuit_opened_does_not_close_it_or_open_it_longer():
    failover = Failover([A])
    late = [failover.ask(Errand(), A, 0.0) for _ in range(4)]
    fail(failover, A, 0.0)
    failover.settle(late[0], News.WELL, 0.5)
    assert failover.state(A, 0.5) is State.OPEN
    failover.settle(late[1], News.FAILED, 1.5)
    assert failover.state(A, 1.5) is State.HALF_OPEN
    failover.settle(late[2], News.WELL, 1.5)
    assert failover.state(A, 1.5) is State.HALF_OPEN, "the probe tells, and nobody else"
    try_once(failover, A, News.WELL, 1.5)
    failover.settle(late[3], News.FAILED, 1.5)
    fail(failover, A, 1.5, times=2)
    assert failover.state(A, 1.5) is State.CLOSED


def test_a_place_that_is_lost_is_not_asked_until_it_says_that_it_is_mended():
    failover = Failover([A])
    failover.hear(A, News.LOST, 0.0)
    assert failover.state(A, 1e9) is State.OPEN
    assert next_place(failover, 1e9) == GiveUp()
    failover.hear(A, News.MENDED, 1e9)
    assert failover.state(A, 1e9) is State.HALF_OPEN
    try_once(failover, A, News.WELL, 1e9)
    assert failover.state(A, 1e9) is State.CLOSED


def test_that_an_engine_is_mended_does_not_shorten_what_failures_opened():
    failover = Failover([A])
    fail(failover, A, 0.0)
    failover.hear(A, News.MENDED, 0.0)
    assert failover.state(A, 0.9) is State.OPEN


# ── Whom a request goes to ────────────────────────────────────────────────────────────


def course(failover: Failover, now: float, *news: News) -> list[int]:
    """Where one request goes, if this comes of its attempts."""
    errand = Errand()
    for one in news:
        choice = failover.choose(errand, now)
        if not isinstance(choice, Ask):
            break
        failover.settle(failover.ask(errand, choice.place, now), one, now)
    else:
        assert failover.choose(errand, now) == GiveUp(), "it would go on"
    return errand.asked


def test_the_first_place_is_asked_while_it_is_well():
    failover = Failover([A, B])
    for _ in range(5):
        assert next_place(failover, 0.0) == Ask(A)
        try_once(failover, A, News.WELL, 0.0)


@pytest.mark.parametrize(("places", "asked"), [([A], [A, A]), ([A, B], [A, B]), ([A, B, C], [A, B, C])])
def test_a_request_that_fails_goes_on_to_the_next_or_once_more_to_the_only_one(places, asked):
    assert course(Failover(places), 0.0, *[News.FAILED] * len(asked)) == asked


def test_where_the_others_are_out_of_order_the_same_place_is_asked_once_more():
    failover = Failover([A, B])
    failover.hear(B, News.LOST, 0.0)
    assert course(failover, 0.0, News.FAILED, News.FAILED) == [A, A]


def test_a_place_that_is_open_is_passed_over():
    failover = Failover([A, B])
    fail(failover, A, 0.0)
    assert next_place(failover, 0.5) == Ask(B)
    assert next_place(failover, 1.0) == Ask(A), "time to see"


def test_while_one_finds_out_the_others_go_on_to_the_next_place():
    failover = Failover([A, B])
    fail(failover, A, 0.0)
    probe = failover.ask(Errand(), A, 1.0)
    assert next_place(failover, 1.0) == Ask(B)
    failover.settle(probe, News.WELL, 1.0)
    assert next_place(failover, 1.0) == Ask(A)


def test_while_one_finds_out_about_the_only_place_the_others_wait():
    failover = Failover([A])
    fail(failover, A, 0.0)
    probe = failover.ask(Errand(), A, 1.0)
    assert next_place(failover, 1.0) == Wait()
    failover.settle(probe, News.FAILED, 1.2)
    assert next_place(failover, 1.2) == GiveUp()


def test_a_probe_that_nobody_waited_for_leaves_its_place_to_the_next():
    failover = Failover([A])
    fail(failover, A, 0.0)
    probe = failover.ask(Errand(), A, 1.0)
    failover.settle(probe, None, 1.1)
    assert failover.state(A, 1.1) is State.HALF_OPEN
    assert next_place(failover, 1.1) == Ask(A)


def test_when_all_places_are_open_nobody_is_left():
    failover = Failover([A, B])
    for place in (A, B):
        fail(failover, place, 0.0)
    assert next_place(failover, 0.5) == GiveUp()


# ── What an answer means ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_place_that_blames_the_request_is_well_and_no_other_is_asked(status):
    setback = read_status(status)
    assert (setback.outcome, setback.news, setback.ends_request) == (Outcome.REFUSED, News.WELL, True)


@pytest.mark.parametrize("status", [429, 503])
def test_a_place_that_says_when_it_wants_to_be_asked_is_busy(status):
    told, untold = read_status(status, "7"), read_status(status)
    assert (told.outcome, told.news, told.after_s) == (Outcome.BUSY, News.BUSY, 7.0)
    assert (untold.outcome, untold.news) == (Outcome.BUSY, News.FAILED)
    assert not told.ends_request


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(401, "refused"), (403, "refused"), (404, "refused"), (408, "refused"), (500, "error"), (502, "error"),
     (302, "error"), (204, "error"), (999, "error")],
)  # fmt: skip
def test_any_other_status_is_a_failure_of_the_place(status, outcome):
    setback = read_status(status, "7")
    assert (setback.outcome, setback.news, setback.ends_request) == (outcome, News.FAILED, False)
    assert str(status) in setback.error


def test_an_error_says_in_words_what_the_status_means():
    assert read_status(429).error == "answers 429: too many requests"
    assert read_status(799).error == "answers 799: no known status"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0.0), ("30", 30.0), (None, None), ("", None), ("-1", None), ("1.5", None), ("٣", None),
     ("9" * 5_000, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("inf", None)],
)  # fmt: skip
def test_only_seconds_are_read_of_retry_after(header, seconds):
    assert read_retry_after(header) == seconds


@given(st.integers(0, 10_000), st.none() | st.text())
def test_whatever_a_place_answers_means_something(status, header):
    setback = read_status(status, header)
    assert setback.error.isprintable()
    assert 0 <= setback.after_s < math.inf


# ── What always holds ────────────────────────────────────────────────────────────


class Requests(RuleBasedStateMachine):
    """Many requests at a time, anything that can come of an attempt, in any order."""

    @initialize(places=st.integers(1, 3))
    def begin(self, places: int) -> None:
        self.places = list(range(places))
        self.failover = Failover(self.places)
        self.now = 0.0
        self.begun = 0
        self.open: list[Errand] = []  # at no place at present
        self.under_way: list[tuple[Errand, Attempt]] = []
        self.ended: list[tuple[Errand, str]] = []
        self.not_before = dict.fromkeys(self.places, -math.inf)  # by the rules, told anew
        self.wait_s = dict.fromkeys(self.places, 1.0)
        self.probes: dict[int, list[Attempt]] = {place: [] for place in self.places}
        self.lost: set[int] = set()

    def state(self, place: int) -> State:
        return self.failover.state(place, self.now)

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(1, 5))
    def requests(self, count: int) -> None:
        self.begun += count
        self.open += [Errand() for _ in range(count)]
        self.go()

    @rule()
    def go(self) -> None:
        """All that can."""
        for errand in list(self.open):
            choice = self.failover.choose(errand, self.now)
            if isinstance(choice, GiveUp):
                self.open.remove(errand)
                self.ended.append((errand, "failed"))
            elif isinstance(choice, Wait):
                assert any(self.probes.values()), "it waits for nobody"
            else:
                self.ask(errand, choice.place)

    def ask(self, errand: Errand, place: int) -> None:
        assert self.now >= self.not_before[place], "an open circuit was asked before its time"
        is_probe = self.state(place) is State.HALF_OPEN
        attempt = self.failover.ask(errand, place, self.now)
        self.open.remove(errand)
        self.under_way.append((errand, attempt))
        if is_probe:
            self.probes[place].append(attempt)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), times=st.integers(1, 4))
    def fail(self, data: st.DataObject, times: int) -> None:
        for _ in range(min(times, len(self.under_way))):
            self.settle(data, News.FAILED)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), news=st.sampled_from([News.WELL, News.FAILED, News.BUSY, None]))
    def settle(self, data: st.DataObject, news: News | None) -> None:
        errand, attempt = data.draw(st.sampled_from(self.under_way))
        after_s = data.draw(st.sampled_from([0.0, 3.0, 100.0])) if news is News.BUSY else 0.0
        self.under_way.remove((errand, attempt))
        place, before = attempt.place, self.state(attempt.place)
        self.failover.settle(attempt, news, self.now, after_s)
        self._note(place, before, attempt in self.probes[place], news, after_s)
        if attempt in self.probes[place]:
            self.probes[place].remove(attempt)
        if news is News.WELL:
            self.ended.append((errand, "answered"))
        elif news is None:
            self.ended.append((errand, "forgotten"))
        else:
            self.open.append(errand)

    def _note(self, place: int, before: State, was_probe: bool, news: News | None, after_s: float) -> None:
        after = self.failover.state(place, self.now)
        assert was_probe or news is News.BUSY or before is after or before is State.CLOSED, "by hearsay"
        if news is News.BUSY:
            until = self.now + min(after_s, 30.0)
            self.not_before[place] = max(self.not_before[place], until) if before is State.OPEN else until
        elif before is State.CLOSED and after is State.OPEN:
            self.not_before[place] = self.now + self.wait_s[place]
        elif before is State.HALF_OPEN and news is News.FAILED and was_probe and after is State.OPEN:
            self.wait_s[place] = min(30.0, 2 * self.wait_s[place])
            self.not_before[place] = self.now + self.wait_s[place]
        if before is State.HALF_OPEN and after is State.CLOSED:
            self.wait_s[place] = 1.0

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        self.failover.hear(place, News.LOST, self.now)
        self.lost.add(place)
        self.not_before[place] = math.inf

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.lost)))
        self.failover.hear(place, News.MENDED, self.now)
        self.lost.discard(place)
        self.not_before[place] = self.now

    @invariant()
    def nobody_is_probed_by_two(self) -> None:
        for place in getattr(self, "places", ()):
            assert len(self.probes[place]) <= 1

    @invariant()
    def every_request_is_somewhere_or_has_ended_once(self) -> None:
        if hasattr(self, "begun"):
            assert self.begun == len(self.open) + len(self.under_way) + len(self.ended)
            assert len({id(errand) for errand, _ in self.ended}) == len(self.ended)

    @invariant()
    def nobody_asks_for_ever(self) -> None:
        for errand, _ in [*getattr(self, "ended", ()), *getattr(self, "under_way", ())]:
            assert len(errand.asked) <= max(2, len(self.places))

    def teardown(self) -> None:
        """When everything that is under way has ended, so have all requests."""
        for _ in range(10):
            while getattr(self, "under_way", None):
                errand, attempt = self.under_way.pop()
                self.failover.settle(attempt, News.FAILED, self.now)
                self.open.append(errand)
            for errand in list(getattr(self, "open", ())):
                choice = self.failover.choose(errand, self.now)
                if isinstance(choice, Ask):
                    self.under_way.append((errand, self.failover.ask(errand, choice.place, self.now)))
                    self.open.remove(errand)
                elif isinstance(choice, GiveUp):
                    self.open.remove(errand)
        assert not getattr(self, "open", None)


TestRequests = Requests.TestCase
