"""The accurate tier where it is in several places: each request is owned here until it is answered once.

::

    pool ── start ──▶ place 0: the engine of this machine, if there is one    (decode_lane)
                      place 1, 2 …: the services of FALLBACK_URL, in order    (remote_lane)
    pool ◀── done ─── a hypothesis of the first that gives one, or one failure when nobody is left

Who is asked is decided in ``failover``. A request that nobody else has room for waits here, before those that
the pool holds back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.failover import Ask, Attempt, Errand, Failover, GiveUp, News, Outcome, Setback, State
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.places import LOCAL, PlaceMaker
from rtc_stt.remote_lane import Reply

__all__ = ["FailoverLane"]

log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Requests that failed somewhere and wait for room elsewhere. From there on nothing new is begun."""

Key = tuple[str, int, int, Tier]


@dataclass(slots=True, eq=False)
class _Journey:
    """A request from its start to its one answer."""

    ticket: Ticket
    run: Run
    """What the pool is told has been under way: all attempts together."""
    errand: Errand = field(default_factory=Errand)
    attempt: Attempt | None = None
    """None while it waits."""
    asked_at: float = 0.0
    errors: list[str] = field(default_factory=list)
    is_forgotten: bool = False

    @property
    def request(self) -> DecodeRequest:
        return self.ticket.request


class FailoverLane:
    """A :class:`~rtc_stt.decode_lane.DecodeLane` of several places. Called on the event loop only.

    Args:
        makers: of its places, by number, in the order in which they are asked.
        done: takes each run of one request and its answer, on the event loop.
        changed: called when the state of a place, or the room for requests, has changed.
    """

    tier = Tier.ACCURATE
    is_present = True

    def __init__(
        self,
        makers: Mapping[int, PlaceMaker],
        *,
        clock: Callable[[], float],
        instrument: Instrument,
        done: Callable[[DecodeLane, Run, list[Answer]], None],
        changed: Callable[[DecodeLane], None],
    ) -> None:
        self._clock = clock
        self._instrument = instrument
        self._done = done
        self._changed = changed
        self._failover = Failover(list(makers))
        self._places = {
            number: make(partial(self._receive, number), partial(self._receive_health, number))
            for number, make in makers.items()
        }
        self._lost: set[int] = set()  # who said so
        self._states = dict.fromkeys(makers, State.CLOSED)  # as was told
        self._setbacks: dict[int, str] = {}  # the last of each place
        self._model: str | None = None
        self._journeys: dict[Key, _Journey] = {}
        self._waiting: list[_Journey] = []
        self._is_closed = False
        for number in makers:
            instrument.fallback_circuit_changed(number, State.CLOSED)

    # ── What state it is in ────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """This machine's model; without one, who answered last."""
        local = self._places.get(LOCAL)
        return (local.model if local else self._model) or "fallback"

    @property
    def running(self) -> int:
        """Requests that are not answered yet."""
        return len(self._journeys)

    @property
    def free(self) -> int:
        """Calls that may begin now, at the place that the next request goes to."""
        place = self._next_place()
        if place is None or len(self._waiting) >= MAX_WAITING:
            return 0
        room = self._places[place].free  # who waits here for room has taken what there was
        return room if self._is_sure_of(place) else min(room, 1)

    @property
    def max_batch(self) -> int | None:
        """Requests that this place takes in one call; 1 where it is just being tried."""
        place = self._next_place()
        return self._places[place].max_batch if place is not None and self._is_sure_of(place) else 1

    @property
    def is_usable(self) -> bool:
        """Whether anyone is left to ask."""
        return not isinstance(self._failover.choose(Errand(), self._clock()), GiveUp)

    @property
    def is_healthy(self) -> bool:
        """Whether some place is well, as far as is known."""
        return State.CLOSED in self._states.values()

    @property
    def trouble(self) -> str | None:
        """Which places are not well and why, in words for the operator; None where all are."""
        troubles = [
            self._places[number].trouble or f"{self._places[number].title} {self._setbacks[number]}"
            for number, state in self._states.items()
            if state is not State.CLOSED
        ]
        return "; ".join(troubles) or None

    def _next_place(self) -> int | None:
        choice = self._failover.choose(Errand(), self._clock())
        return choice.place if isinstance(choice, Ask) else None

    def _is_sure_of(self, place: int) -> bool:
        return self._failover.state(place, self._clock()) is State.CLOSED

    # ── Requests ────────────────────────────────────────────────────────────

    def start(self, batch: list[Ticket]) -> None:
        """Take requests; a slot must be free."""
        place = self._next_place()
        assert place is not None
        now = self._clock()
        journeys = [_Journey(ticket, Run([ticket], now, now)) for ticket in batch]
        self._journeys |= {journey.request.key: journey for journey in journeys}
        self._ask(place, journeys)
        if self._tell_states():
            self._changed(self)

    def check(self, now: float) -> list[Run]:
        """Look for decodes that hang. What becomes of them is answered here."""
        for place in self._places.values():
            place.check(now)
        return []

    def forget(self, stream_id: str) -> list[Ticket]:
        """Nobody waits for these any more: break off what can be. Returns it: it is not answered."""
        gone = [journey for journey in self._waiting if journey.request.stream_id == stream_id]
        for place in self._places.values():
            for ticket in place.forget(stream_id):
                journey = self._journeys[ticket.request.key]
                assert journey.attempt is not None
                self._failover.settle(journey.attempt, None, self._clock())
                gone.append(journey)
        for journey in gone:
            del self._journeys[journey.request.key]
        self._waiting = [journey for journey in self._waiting if journey.request.stream_id != stream_id]
        for journey in self._journeys.values():
            if journey.request.stream_id == stream_id:
                journey.is_forgotten = True
        if gone:
            self._answer(self._go_on())
        return [journey.ticket for journey in gone]

    def wake(self) -> None:
        """The event loop runs."""
        for place in self._places.values():
            place.wake()

    async def aclose(self, timeout: float) -> None:
        """Go on to no other place, and come to an end within so many seconds."""
        self._is_closed = True
        self._waiting.clear()
        await asyncio.gather(*(place.aclose(timeout) for place in self._places.values()))

    # ── Inside ────────────────────────────────────────────────────────────

    def _ask(self, place: int, journeys: list[_Journey]) -> None:
        now = self._clock()
        for journey in journeys:
            journey.attempt = self._failover.ask(journey.errand, place, now)
            journey.asked_at = now
        self._places[place].start([journey.ticket for journey in journeys])

    def _receive(self, place: int, run: Run, replies: list[Reply]) -> None:
        """A place has replied."""
        answers, name = [], self.name
        for ticket, reply in zip(run.batch, replies, strict=True):
            journey = self._journeys[ticket.request.key]
            if (answer := self._settle(place, journey, reply)) is not None:
                answers.append((journey, answer))
        answers += self._go_on()
        has_changed = self._tell_states() or self.name != name
        self._answer(answers)
        if has_changed or any(isinstance(reply, Setback) for reply in replies):  # there is room where it was
            self._changed(self)

    def _settle(self, place: int, journey: _Journey, reply: Reply) -> Answer | None:
        """The answer, or None where the request goes on."""
        now, attempt = self._clock(), journey.attempt
        assert attempt is not None
        journey.attempt = None
        if isinstance(reply, Hypothesis):
            outcome, news, after_s = Outcome.OK, News.WELL, 0.0
            self._model = reply.model
        else:
            outcome, news, after_s = reply.outcome, reply.news, reply.after_s
            self._setbacks[place] = reply.error
            journey.errors.append(f"{self._places[place].title} {reply.error}")
        self._failover.settle(attempt, news, now, after_s)
        self._instrument.fallback_attempted(place, outcome, now - journey.asked_at)
        if isinstance(reply, Hypothesis):
            return reply
        if reply.ends_request or journey.is_forgotten or self._is_closed:
            return _failure(journey)
        self._waiting.append(journey)
        return None

    def _go_on(self) -> list[tuple[_Journey, Answer]]:
        """Send on who waits, where there is room. Returns those for whom nobody is left."""
        lost: list[tuple[_Journey, Answer]] = []
        waiting, self._waiting = self._waiting, []
        for journey in waiting:
            choice = self._failover.choose(journey.errand, self._clock())
            if isinstance(choice, GiveUp):
                lost.append((journey, _failure(journey)))
            elif isinstance(choice, Ask) and self._places[choice.place].free > 0:
                self._ask(choice.place, [journey])
            else:
                self._waiting.append(journey)
        return lost

    def _answer(self, answers: list[tuple[_Journey, Answer]]) -> None:
        """Last of all: who is answered may end its stream."""
        for journey, _ in answers:
            del self._journeys[journey.request.key]
        for journey, answer in answers:
            self._done(self, journey.run, [answer])

    def _receive_health(self, number: int) -> None:
        """A place says that something of it has changed."""
        is_lost = self._places[number].trouble is not None
        if is_lost is not (number in self._lost):
            self._lost ^= {number}
            self._setbacks[number] = "was out of order"
            self._failover.hear(number, News.LOST if is_lost else News.MENDED, self._clock())
        self._answer(self._go_on())
        self._tell_states()
        self._changed(self)

    def _tell_states(self) -> bool:
        """Whether there was something to tell."""
        now, has_changed = self._clock(), False
        for number, before in self._states.items():
            state = self._failover.state(number, now)
            if state is not before:
                self._states[number], has_changed = state, True
                log.warning("%s: from %s to %s", self._places[number].title, before.name, state.name)
                self._instrument.fallback_circuit_changed(number, state)
        return has_changed


def _failure(journey: _Journey) -> DecodeFailure:
    return DecodeFailure(journey.request, "; ".join(dict.fromkeys(journey.errors)))
