"""Which of several places is asked, and when one that has failed is asked again. Pure: time is given.

**A circuit for each place** says whether it is asked. It is *closed* while the place is well, *open* while
it had better be left alone, and *half open* when it is time to see: then one request is let through, the
probe, and what becomes of it decides for all.

::

    news      closed                     half open                open
    ────────  ─────────────────────────  ───────────────────────  ─────────────────────────────
    well      failures are forgotten     closed                   –
    failed    the third in a row: open   open, twice as long      –
    busy      open for as long as told   open for as long as told open as told, if that is later
    lost      open until it is mended    open until it is mended  open until it is mended
    mended    –                          –                        half open, if it was lost
    due       –                          –                        half open

It is open for 1 s at first, then 2, 4 … 30 s, until it has been closed again. Whoever was asked before the
circuit opened is late: only that it is busy is still believed. ``due`` is told by the clock, ``lost`` and
``mended`` by an engine that says itself when it is out of order, the others by attempts:

::

    what came of an attempt         outcome        news                      the request
    ──────────────────────────────  ─────────────  ────────────────────────  ────────────────────
    an answer                       ok             well                      is answered
    400, 413, 415, 422              refused        well                      fails: it is wrong
    429, 503 with Retry-After       busy           busy (30 s at most)       goes on
    429, 503 without                busy           failed                    goes on
    another 4xx: our key, the path  refused        failed                    goes on
    anything else                   error          failed                    goes on
    nothing in time                 timeout        failed                    goes on
    no connection                   unreachable    failed                    goes on

**A request** asks the first place in order that it has asked least and whose circuit lets it through, at most
as often as there are places, and twice where there is one. Where none lets it through but one is being
probed, it waits for that: who probes always ends, so it does. Otherwise nobody is left, and it fails.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

__all__ = [
    "Ask",
    "Attempt",
    "Choice",
    "Errand",
    "Failover",
    "GiveUp",
    "News",
    "Outcome",
    "Setback",
    "State",
    "Wait",
    "read_retry_after",
    "read_status",
]

FAILURES = 3
"""In a row. One may be the request's own fault, or a connection that was just closed."""

FIRST_OPEN_S, MOST_OPEN_S = 1.0, 30.0
"""A process that is started anew is missed for a second; a machine that is down is probed twice a minute."""

FEWEST_ATTEMPTS = 2
"""Also where there is one place: what a broken connection spoils once goes well the second time."""

BLAMES_THE_REQUEST = frozenset({400, 413, 415, 422})
"""Statuses by which a place says that it is well and the request is not."""

LONGEST_RETRY_AFTER = 6
"""Digits of a header that is believed to be a number of seconds."""


class State(enum.IntEnum):
    """Of a circuit."""

    CLOSED = 0
    """The place is asked."""
    HALF_OPEN = 1
    """One request at a time finds out."""
    OPEN = 2
    """It is not asked."""


class News(enum.Enum):
    """What becomes known of a place."""

    WELL = enum.auto()
    FAILED = enum.auto()
    BUSY = enum.auto()
    LOST = enum.auto()
    MENDED = enum.auto()
    DUE = enum.auto()


class Outcome(enum.StrEnum):
    """What came of an attempt, for metrics."""

    OK = "ok"
    BUSY = "busy"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    ERROR = "error"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt that gave no answer."""

    outcome: Outcome
    error: str
    """What the place did, in words that go on after its name: ``answers 503: service unavailable``."""
    news: News = News.FAILED
    after_s: float = 0.0
    """Where it is busy: when it wants to be asked again, in seconds from now."""
    ends_request: bool = False
    """Whether no other place would do better."""


# ── What an answer means ────────────────────────────────────────────────────────────


def read_status(status: int, retry_after: str | None = None) -> Setback:
    """What it means that a place answers with an HTTP status other than 200. See the table above.

    Args:
        retry_after: the header ``Retry-After`` (RFC 9110 §10.2.3).
    """
    phrase = HTTPStatus(status).phrase.lower() if status in set(HTTPStatus) else "no known status"
    error = f"answers {status}: {phrase}"
    if status in BLAMES_THE_REQUEST:
        return Setback(Outcome.REFUSED, error, News.WELL, ends_request=True)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        after_s = read_retry_after(retry_after)
        if after_s is None:
            return Setback(Outcome.BUSY, error)
        return Setback(Outcome.BUSY, error, News.BUSY, after_s)
    return Setback(Outcome.REFUSED if 400 <= status < 500 else Outcome.ERROR, error)


def read_retry_after(header: str | None) -> float | None:
    """Seconds. None where there is none, or it is a date, which no rtc-stt sends."""
    if header is None or not (header.isascii() and header.isdecimal()) or len(header) > LONGEST_RETRY_AFTER:
        return None
    return float(header)


# ── One place ────────────────────────────────────────────────────────────


class _Circuit:
    """The first table above."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.until = -math.inf
        """While open: when it is due."""
        self.generation = 0
        """How often it has opened."""
        self.probe: Attempt | None = None
        """Who finds out, or was to."""
        self._failures = 0
        self._open_s = FIRST_OPEN_S

    @property
    def admits(self) -> bool:
        """Whether a request may go there now."""
        return self.state is State.CLOSED or (self.state is State.HALF_OPEN and self.probe is None)

    def hear(self, news: News, now: float, after_s: float = 0.0) -> None:
        """Go on by the table."""
        _TABLE[self.state, news](self, now, min(after_s, MOST_OPEN_S))

    def stay(self, now: float, after_s: float) -> None:
        """No change."""

    def forget_failures(self, now: float, after_s: float) -> None:
        """It is still well."""
        self._failures = 0

    def count_failure(self, now: float, after_s: float) -> None:
        """It may not be well."""
        self._failures += 1
        if self._failures >= FAILURES:
            self._open(now + self._open_s)

    def open_longer(self, now: float, after_s: float) -> None:
        """It is still not well."""
        self._open_s = min(2 * self._open_s, MOST_OPEN_S)
        self._open(now + self._open_s)

    def open_as_told(self, now: float, after_s: float) -> None:
        """It says when it wants to be asked."""
        self._open(now + after_s)

    def prolong(self, now: float, after_s: float) -> None:
        """It says so again."""
        self.until = max(self.until, now + after_s)

    def lose(self, now: float, after_s: float) -> None:
        """It will say when it can be asked."""
        self._open(math.inf)

    def regain(self, now: float, after_s: float) -> None:
        """It says so."""
        if self.until == math.inf:
            self.half_open(now, after_s)

    def half_open(self, now: float, after_s: float) -> None:
        """Time to see."""
        self.state = State.HALF_OPEN

    def close(self, now: float, after_s: float) -> None:
        """It is well again."""
        self.state = State.CLOSED
        self._failures = 0
        self._open_s = FIRST_OPEN_S

    def _open(self, until: float) -> None:
        self.state = State.OPEN
        self.until = until
        self.generation += 1


_TABLE: Mapping[tuple[State, News], Callable[[_Circuit, float, float], None]] = {
    (State.CLOSED, News.WELL): _Circuit.forget_failures,
    (State.CLOSED, News.FAILED): _Circuit.count_failure,
    (State.CLOSED, News.BUSY): _Circuit.open_as_told,
    (State.CLOSED, News.LOST): _Circuit.lose,
    (State.CLOSED, News.MENDED): _Circuit.stay,
    (State.CLOSED, News.DUE): _Circuit.stay,
    (State.HALF_OPEN, News.WELL): _Circuit.close,
    (State.HALF_OPEN, News.FAILED): _Circuit.open_longer,
    (State.HALF_OPEN, News.BUSY): _Circuit.open_as_told,
    (State.HALF_OPEN, News.LOST): _Circuit.lose,
    (State.HALF_OPEN, News.MENDED): _Circuit.stay,
    (State.HALF_OPEN, News.DUE): _Circuit.stay,
    (State.OPEN, News.WELL): _Circuit.stay,
    (State.OPEN, News.FAILED): _Circuit.stay,
    (State.OPEN, News.BUSY): _Circuit.prolong,
    (State.OPEN, News.LOST): _Circuit.lose,
    (State.OPEN, News.MENDED): _Circuit.regain,
    (State.OPEN, News.DUE): _Circuit.half_open,
}


# ── All of them ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One request at one place."""

    place: int
    generation: int
    """Of the circuit when it was asked."""


class Errand:
    """One request: whom it has asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []


@dataclass(frozen=True, slots=True)
class Ask:
    """The request goes to this place."""

    place: int


@dataclass(frozen=True, slots=True)
class Wait:
    """One place is being probed, and no other is left: look again when that has ended."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody is left."""


Choice = Ask | Wait | GiveUp


class Failover:
    """See above.

    Args:
        places: what they are called, in the order in which they are asked; one at least.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self._circuits = {place: _Circuit() for place in places}
        self._most_attempts = max(FEWEST_ATTEMPTS, len(places))

    def state(self, place: int, now: float) -> State:
        """How a place's circuit stands."""
        circuit = self._circuits[place]
        if circuit.state is State.OPEN and now >= circuit.until:
            circuit.hear(News.DUE, now)
        return circuit.state

    def choose(self, errand: Errand, now: float) -> Choice:
        """Where a request goes next. It is not there yet: see :meth:`ask`."""
        if len(errand.asked) >= self._most_attempts:
            return GiveUp()
        states = {place: self.state(place, now) for place in self._circuits}
        open_to_it = [place for place, circuit in self._circuits.items() if circuit.admits]
        if open_to_it:
            return Ask(min(open_to_it, key=errand.asked.count))  # of equals the first
        return Wait() if State.HALF_OPEN in states.values() else GiveUp()

    def ask(self, errand: Errand, place: int, now: float) -> Attempt:
        """A request goes to a place that lets it through; each attempt is to be settled."""
        is_probe = self.state(place, now) is State.HALF_OPEN
        circuit = self._circuits[place]
        assert circuit.admits
        attempt = Attempt(place, circuit.generation)
        if is_probe:
            circuit.probe = attempt
        errand.asked.append(place)
        return attempt

    def settle(self, attempt: Attempt, news: News | None, now: float, after_s: float = 0.0) -> None:
        """An attempt has ended.

        Args:
            news: None where nothing is learnt from it, since nobody waited for its end.
            after_s: with ``BUSY``: when the place wants to be asked again.
        """
        circuit = self._circuits[attempt.place]
        if circuit.probe is attempt:
            circuit.probe = None
        is_late = attempt.generation != circuit.generation
        if news is not None and (news is News.BUSY or not is_late):
            circuit.hear(news, now, after_s)

    def hear(self, place: int, news: News, now: float) -> None:
        """A place tells of itself that it is lost, or mended."""
        self._circuits[place].hear(news, now)
