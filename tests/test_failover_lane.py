"""The accurate tier in several places: each request is answered once, whatever they do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.failover import News, Outcome, Setback, State
from rtc_stt.failover_lane import MAX_WAITING, FailoverLane
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.places import Place, PlaceMaker
from rtc_stt.remote_lane import Reply
from rtc_stt.testing import hypothesis
from tests.harness import request as any_request

FAILS = Setback(Outcome.ERROR, "answers 500: internal server error")
BLAMES = Setback(Outcome.REFUSED, "answers 400: bad request", News.WELL, ends_request=True)


def request(stream: str = "a", utterance: int = 1) -> DecodeRequest:
    return any_request(stream, utterance, tier=Tier.ACCURATE)


class FakePlace:
    """Replies when it is told to; ``room`` requests at a time."""

    def __init__(self, title: str, room: int, max_batch: int | None) -> None:
        self.title, self.room, self.max_batch = title, room, max_batch
        self.model: str | None = None
        self.trouble: str | None = None
        self.runs: list[Run] = []
        self.is_closed = False

    def plug(self, done: object, changed: object) -> Place:
        self.done, self.changed = done, changed
        return self

    @property
    def free(self) -> int:
        return self.room - len(self.runs) if self.trouble is None else 0

    def start(self, batch: list[Ticket]) -> None:
        assert self.free > 0
        assert len(batch) == 1 or self.max_batch is None
        self.runs.append(Run(batch, 0.0, 0.0))

    def reply(self, reply: Reply | None, number: int = 0) -> None:
        """None is an answer, to all of a run."""
        run = self.runs.pop(number)
        self.done(run, [reply or hypothesis(asked, self.title) for asked in run.requests])

    def wake(self) -> None:
        self.is_awake = True

    def forget(self, stream_id: str) -> list[Ticket]:
        if self.title == "the accurate model":
            return []
        gone = [run for run in self.runs if run.batch[0].request.stream_id == stream_id]
        self.runs = [run for run in self.runs if run not in gone]
        return [ticket for run in gone for ticket in run.batch]

    def check(self, now: float) -> None:
        pass

    async def aclose(self, timeout: float) -> None:
        self.is_closed = True

    @property
    def asked(self) -> list[str]:
        return [asked.stream_id for run in self.runs for asked in run.requests]


class Watcher(Instrument):
    def __init__(self) -> None:
        self.attempts: list[tuple[int, str]] = []
        self.circuits: dict[int, State] = {}

    def fallback_attempted(self, place: int, outcome: Outcome, seconds: float) -> None:
        assert 0 <= seconds < math.inf
        self.attempts.append((place, outcome))

    def fallback_circuit_changed(self, place: int, state: State) -> None:
        self.circuits[place] = state


class Bench:
    """A lane of fake places, by number, and what it answered."""

    def __init__(self, *numbers: int, room: int = 2) -> None:
        self.now = 0.0
        self.places = {
            n: FakePlace(
                "the accurate model" if n == 0 else f"place {n}", room, max_batch=None if n == 0 else 1
            )
            for n in numbers
        }
        self.watcher = Watcher()
        self.answers: list[Answer] = []
        self.changes = 0
        makers: dict[int, PlaceMaker] = {n: place.plug for n, place in self.places.items()}
        self.lane = FailoverLane(
            makers, clock=lambda: self.now, instrument=self.watcher, done=self._done, changed=self._changed
        )

    def _done(self, lane: DecodeLane, run: Run, answers: list[Answer]) -> None:
        assert lane is self.lane
        assert [ticket.request for ticket in run.batch] == [answer.request for answer in answers]
        self.answers += answers

    def _changed(self, lane: DecodeLane) -> None:
        self.changes += 1

    def start(self, *streams: str) -> None:
        self.lane.start([Ticket(request(stream), self.now, 0) for stream in streams])

    def start_all_that_fit(self, *streams: str) -> list[str]:
        """As the pool does. Returns those that did not."""
        left = list(streams)
        while left and self.lane.free > 0:
            self.start(left.pop(0))
        return left

    def lose(self, number: int, trouble: str | None = "the accurate model hangs") -> None:
        self.places[number].trouble = trouble
        self.places[number].changed()

    @property
    def told(self) -> list[tuple[str, str]]:
        """Streams, with what was heard or what failed."""
        return [(a.request.stream_id, a.text if isinstance(a, Hypothesis) else a.error) for a in self.answers]


# ── Where a request goes ────────────────────────────────────────────────────────────


def test_this_machine_is_asked_first_and_in_batches():
    bench = Bench(0, 1)
    assert (bench.lane.free, bench.lane.max_batch) == (2, None)
    bench.start("a", "b", "c")
    assert (bench.places[0].asked, bench.lane.running) == (["a", "b", "c"], 3)
    bench.places[0].reply(None)
    assert bench.told == [(s, "the accurate model") for s in "abc"]
    assert bench.watcher.attempts == [(0, "ok")] * 3
    assert bench.lane.running == 0


def test_what_fails_here_goes_there_one_by_one_and_is_answered_once():
    bench = Bench(0, 1)
    bench.start("a", "b")
    bench.places[0].reply(FAILS)
    assert (bench.answers, bench.places[1].asked) == ([], ["a", "b"])
    bench.places[1].reply(None)
    bench.places[1].reply(None)
    assert bench.told == [("a", "place 1"), ("b", "place 1")]
    assert bench.watcher.attempts == [(0, "error")] * 2 + [(1, "ok")] * 2


def test_what_fails_everywhere_fails_once_and_says_why():
    bench = Bench(0, 1, 2)
    bench.start("a")
    for number, reply in (
        (0, FAILS),
        (1, FAILS),
        (2, Setback(Outcome.TIMEOUT, "does not answer within 1 s")),
    ):
        bench.places[number].reply(reply)
    error = (
        "the accurate model answers 500: internal server error; place 1 answers 500: internal server error; "
        "place 2 does not answer within 1 s"
    )
    assert bench.told == [("a", error)]


def test_the_only_place_is_asked_twice_and_its_fault_is_told_once():
    bench = Bench(1)
    bench.start("a")
    bench.places[1].reply(FAILS)
    assert bench.places[1].asked == ["a"]
    bench.places[1].reply(FAILS)
    assert bench.told == [("a", "place 1 answers 500: internal server error")]


def test_a_request_that_is_wrong_is_not_tried_elsewhere():
    bench = Bench(1, 2)
    bench.start("a")
    bench.places[1].reply(BLAMES)
    assert bench.told == [("a", "place 1 answers 400: bad request")]
    assert bench.lane.trouble is None, "the place is well"


def test_a_place_with_no_room_is_waited_for_before_anything_new_goes_there():
    bench = Bench(0, 1, room=1)
    bench.start("a")
    bench.places[0].reply(FAILS)
    bench.start("b")
    bench.places[0].reply(FAILS)
    assert (bench.places[1].asked, bench.lane.running) == (["a"], 2)
    bench.lose(0)
    assert bench.lane.is_usable
    assert bench.lane.free == 0
    bench.places[1].reply(None)
    assert bench.places[1].asked == ["b"]
    assert bench.lane.free == 0
    bench.places[1].reply(None)
    assert bench.lane.free == 1


def test_when_too_many_wait_nothing_new_is_begun():
    bench, number = Bench(0, 1, room=1), 0
    while bench.lane.free > 0:
        bench.start(f"s{number}")
        bench.places[0].reply(FAILS if number % 3 else None)  # never three in a row
        number += 1
    assert bench.lane.running == MAX_WAITING + 1
    bench.places[1].reply(None)
    assert bench.lane.free == 1


# ── Health ────────────────────────────────────────────────────────────


def test_a_model_here_that_hangs_sends_requests_there_at_once_until_it_is_back():
    bench = Bench(0, 1)
    bench.lose(0)
    assert (bench.lane.trouble, bench.changes) == ("the accurate model hangs", 1)
    assert bench.lane.is_healthy
    assert bench.lane.max_batch == 1
    bench.start("a")
    assert bench.places[1].asked == ["a"]
    bench.lose(0, None)
    assert bench.watcher.circuits[0] is State.HALF_OPEN
    assert bench.lane.trouble == "the accurate model was out of order"
    assert (bench.lane.free, bench.lane.max_batch) == (1, 1), "one at first"
    bench.start("b")
    assert bench.places[0].asked == ["b"]
    assert bench.start_all_that_fit("c") == []
    assert bench.places[1].asked == ["a", "c"]
    bench.places[0].reply(None)
    assert (bench.lane.trouble, bench.lane.max_batch) == (None, None)


def test_a_place_that_fails_three_times_is_left_alone_and_tried_by_one():
    bench = Bench(1, 2)
    for stream in "abc":
        bench.start(stream)
        bench.places[1].reply(FAILS)
        bench.places[2].reply(None)
    assert bench.watcher.circuits == {1: State.OPEN, 2: State.CLOSED}
    assert bench.lane.trouble == "place 1 answers 500: internal server error"
    bench.start("d")
    assert bench.places[2].asked == ["d"]
    bench.now = 1.0
    assert bench.start_all_that_fit("e", "f") == []
    assert (bench.places[1].asked, bench.places[2].asked) == (["e"], ["d", "f"])


def test_when_nobody_is_left_the_lane_cannot_be_used_and_says_so():
    bench = Bench(1)
    for stream in "ab":
        bench.start(stream)
        for _ in range(2):
            if bench.places[1].runs:
                bench.places[1].reply(FAILS)
    assert (bench.lane.is_usable, bench.lane.is_healthy, bench.lane.free) == (False, False, 0)
    bench.now = 1.0
    assert (bench.lane.is_usable, bench.lane.free) == (True, 1)
    bench.start("c")
    assert (bench.lane.is_usable, bench.lane.free) == (True, 0), "the others wait for the one that finds out"
    bench.places[1].reply(None)
    assert (bench.lane.is_healthy, bench.lane.free) == (True, 2)


def test_the_pool_is_told_of_each_change_that_concerns_it():
    bench = Bench(1)
    bench.start("a")
    bench.places[1].reply(None)
    assert bench.changes == 1, "a name"
    bench.start("b")
    bench.places[1].reply(None)
    assert bench.changes == 1
    bench.start("c")
    bench.places[1].reply(Setback(Outcome.BUSY, "answers 503", News.BUSY, 1.0))
    assert (bench.changes, bench.lane.is_healthy) == (2, False)
    bench.now = 1.0
    bench.start("d")
    assert bench.changes == 3, "it is tried"
    bench.places[1].reply(None)
    assert (bench.changes, bench.lane.is_healthy) == (4, True)


def test_it_is_called_after_the_model_here_or_after_who_answered_last():
    here, there = Bench(0, 1), Bench(1)
    here.places[0].model = "medium"
    here.lose(0)
    here.start("a")
    here.places[1].reply(None)
    assert here.lane.name == "medium"
    assert there.lane.name == "fallback"
    there.start("a")
    there.places[1].reply(None)
    assert there.lane.name == "scripted-accurate"


# ── Who goes ────────────────────────────────────────────────────────────


def test_what_nobody_waits_for_is_broken_off_where_it_can_be():
    bench = Bench(0, 1, room=1)
    bench.start("gone")
    bench.places[0].reply(FAILS)  # now it is at place 1
    bench.start("waits")
    bench.places[0].reply(FAILS)  # which has no room for this one
    assert [ticket.request.stream_id for ticket in bench.lane.forget("gone")] == ["gone"]
    assert bench.places[1].asked == ["waits"]
    bench.places[1].reply(None)
    assert bench.told == [("waits", "place 1")]
    assert bench.lane.running == 0


def test_what_waits_for_room_is_forgotten_too():
    bench = Bench(0, 1, room=1)
    for stream in ("a", "gone"):
        bench.start(stream)
        bench.places[0].reply(FAILS)
    assert [ticket.request.stream_id for ticket in bench.lane.forget("gone")] == ["gone"]
    bench.places[1].reply(None)
    assert bench.places[1].asked == []
    assert bench.told == [("a", "place 1")]


def test_what_runs_here_is_answered_to_nobody_and_goes_nowhere_else():
    bench = Bench(0, 1)
    bench.start("gone")
    assert bench.lane.forget("gone") == []
    bench.places[0].reply(FAILS)
    assert bench.places[1].asked == []
    assert [type(answer) for answer in bench.answers] == [DecodeFailure]


def test_a_probe_that_is_broken_off_lets_the_next_one_try():
    bench = Bench(1)
    for stream in "ab":
        bench.start(stream)
        while bench.places[1].runs:
            bench.places[1].reply(FAILS)
    bench.now = 1.0
    bench.start("probe")
    bench.lane.forget("probe")
    assert bench.lane.free == 1
    assert bench.lane.is_usable


def test_who_is_answered_may_end_a_stream_that_still_has_others():
    bench = Bench(1)
    bench.start("a")
    bench.lane.start([Ticket(request("a", utterance=2), 0.0, 0)])
    answered: list[Answer] = []

    def done(lane: DecodeLane, run: Run, answers: list[Answer]) -> None:
        answered.extend(answers)
        bench.lane.forget("a")

    bench.lane._done = done
    bench.places[1].reply(None)
    assert len(answered) == 1
    assert (bench.lane.running, bench.places[1].asked) == (0, [])


async def test_at_the_end_nothing_goes_on_elsewhere():
    bench = Bench(0, 1, room=1)
    for stream in "ab":
        bench.start(stream)
        bench.places[0].reply(FAILS)
    bench.start("c")
    await bench.lane.aclose(1.0)
    bench.places[1].runs.clear()
    bench.places[0].reply(FAILS)
    assert bench.places[1].asked == []
    assert all(place.is_closed for place in bench.places.values())


# ── What always holds ────────────────────────────────────────────────────────────

KINDS = ["start", "start", "reply", "fail", "fail", "busy", "blame", "forget", "lose", "mend", "wait"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7)), max_size=60)


@pytest.mark.parametrize("numbers", [(0, 1), (1,), (1, 2), (0, 1, 2)], ids=str)
@given(steps=STEPS)
def test_every_request_is_answered_once_or_was_forgotten(numbers, steps):
    bench, begun, gone = Bench(*numbers), list[str](), set[str]()
    for step, number in steps:
        _step(bench, step, number, begun, gone)
        assert bench.lane.running == len(begun) - len(gone) - len(bench.answers)
    for _ in range(200):  # all of them end, since every attempt does
        for place in bench.places.values():
            while place.runs:
                place.reply(FAILS)
    assert bench.lane.running == 0
    answered = [stream for stream, _ in bench.told]
    assert len(answered) == len(set(answered))
    assert set(answered) | gone == set(begun)
    assert not set(answered) & gone


def _step(bench: Bench, step: str, number: int, begun: list[str], gone: set[str]) -> None:
    place = list(bench.places.values())[number % len(bench.places)]
    replies: dict[str, Reply | None] = {
        "reply": None,
        "fail": FAILS,
        "blame": BLAMES,
        "busy": Setback(Outcome.BUSY, "answers 503", News.BUSY, float(number)),
    }
    if step == "start":
        if bench.lane.free > 0:
            size = number % 3 + 1 if bench.lane.max_batch is None else 1
            fresh = [f"s{len(begun) + i}" for i in range(size)]
            begun += fresh
            bench.start(*fresh)
    elif step == "forget" and begun:
        gone.update(ticket.request.stream_id for ticket in bench.lane.forget(begun[number % len(begun)]))
    elif step == "wait":
        bench.now += number
    elif step in ("lose", "mend") and 0 in bench.places:
        bench.lose(0, "hangs" if step == "lose" else None)
    elif step in replies and place.runs:
        place.reply(replies[step], number % len(place.runs))
