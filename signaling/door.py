"""Who may come in now: half-open connections, sessions and rates, by key, by address and in all. Pure.

A *ticket* stands for one offer from its admission until its connection stands (half-open). Its session counts
from then until it is over, also while it waits for its client to come back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.errors import RtcSttError, TooMany, Unavailable
from rtc_stt.instrument import Instrument
from rtc_stt.token_bucket import TokenBucket
from signaling.allowance import (
    ADDRESS_LIMIT,
    HALF_OPEN,
    KEY_LIMIT,
    RATE,
    RETRY_S,
    Allowance,
    is_this_machine,
    network_of,
    place_of,
)
from signaling.auth import OPEN
from signaling.calls import Caller
from signaling.session_usage import SessionUsage
from signaling.settings import Access, Server

__all__ = ["Beside", "Door", "Redirect", "Ticket"]

HALF_OPEN_S = 20.0
"""A connection that has not come about by then is not counted any more; the peer gives up after 15 s."""

MAX_BUCKETS = 4096
"""Callers whose rate is remembered; who has been quiet longest is forgotten first."""

MAX_EARLY = 256
"""Sessions that were heard of before they were held."""


class Redirect(RtcSttError):
    """Full here: ``url`` may have room (RFC 9725 §4.5)."""

    status = 307

    def __init__(self, url: str) -> None:
        super().__init__("this server is full; another one may have room")
        self.url = url


@dataclass(slots=True, eq=False)
class Ticket:
    """One offer that was let in."""

    caller: Caller
    deadline: float
    """When it stops being half-open, whatever becomes of it."""
    resuming: bool = False
    session_id: str | None = None
    """From :meth:`Door.hold` on."""
    evicted: str | None = None
    """A session that waits for its client and has to go for this one, see :meth:`Door.make_room`."""


class Beside(Protocol):
    """What stands beside the door where several servers share limits."""

    def elsewhere(self, key_id: str) -> int:
        """Sessions of a key that the others have, as far as is known."""

    def seated(self, ticket: Ticket) -> None:
        """A leg of a phone call was let in."""

    def settled(self, ticket: Ticket) -> None:
        """It is not half-open any more."""

    def left(self, ticket: Ticket) -> None:
        """Its session is over, or never came about."""


class Door:
    """See above. ``now`` is monotonic, in seconds.

    Args:
        usage: says which keys are over their quota, and is told of their sessions; None: nobody counts.
    """

    def __init__(
        self,
        server: Server,
        access: Access,
        instrument: Instrument | None = None,
        usage: SessionUsage | None = None,
    ) -> None:
        self._max_sessions = server.max_sessions
        self._access = access
        self.allowance = Allowance.of(access)
        """What each caller may have here."""
        self.beside: Beside | None = None
        self._instrument = instrument or Instrument()
        self._usage = usage
        self._half_open: dict[Ticket, None] = {}
        self._sessions: dict[str, Ticket] = {}
        self._waiting: dict[str, None] = {}  # those without a connection, longest first
        self._going: dict[str, bool] = {}  # those that have to go for a ticket, and whether they wait
        self._early: OrderedDict[str, list[str]] = OrderedDict()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    @property
    def half_open(self) -> int:
        """Offers answered and not yet connected."""
        return len(self._half_open)

    @property
    def sessions(self) -> int:
        """Sessions, and offers that will be."""
        coming = sum(not t.resuming and t.session_id is None for t in self._half_open)
        return len(self._sessions) - len(self._going) + coming

    def count(self, caller: Caller, now: float) -> None:
        """Count a request against the caller's rate.

        Raises:
            TooMany: it is over the limit.
        """
        place, allowance = place_of(caller), self.allowance
        if is_this_machine(place):
            return
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = self._buckets[place] = TokenBucket(allowance.rps, allowance.burst)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        bucket.change(allowance.rps, allowance.burst)
        self._buckets.move_to_end(place)
        if not bucket.take(now):
            raise self.refuse(RATE, bucket.wait_s())

    def refuse(self, reason: str, wait_s: float = RETRY_S) -> TooMany:
        """What is said to a caller who has all that it may have; it is counted."""
        self._instrument.session_refused(reason)
        return self.allowance.refusal(reason, wait_s)

    def admit(self, caller: Caller, now: float, *, resuming: bool = False) -> Ticket:
        """Let an offer in, or say why not. Every ticket is handed to :meth:`hold` or :meth:`release`.

        Args:
            resuming: it goes on with a session that is counted already.

        Raises:
            TooMany: this caller is over a limit.
            QuotaExceeded: its key has had all the audio that it may have in a day.
            Unavailable: the server is.
            Redirect: likewise, and there is another server.
        """
        self._expire(now)
        self.count(caller, now)
        if self._usage and not resuming:
            self._usage.check(caller.key_id)
        place = place_of(caller)
        own = sum(place_of(t.caller) == place for t in self._half_open)
        if own >= self.allowance.half_open and not is_this_machine(place):
            raise self.refuse(HALF_OPEN)
        if len(self._half_open) >= self._access.max_half_open:
            raise self._full(HALF_OPEN, "too many connections are being set up; try again in a moment")
        evicted = None if resuming else self._check_sessions(caller)
        ticket = Ticket(caller, now + HALF_OPEN_S, resuming, evicted=evicted)
        self._half_open[ticket] = None
        self._told_half_open()
        return ticket

    def seat(self, caller: Caller, now: float) -> Ticket:
        """Let a leg of a phone call in. Its source bounds calls and their rate; here it takes a place among
        the sessions. Many legs come from one address, a PBX's, so none is counted by that.

        Raises:
            TooMany: its key has all sessions that it may have.
            QuotaExceeded: its key has had all the audio that it may have in a day.
            Unavailable: all places are taken.
        """
        self._expire(now)
        if self._usage:
            self._usage.check(caller.key_id)
        callers = self._callers()
        self._check_key(caller, callers, self.beside.elsewhere(caller.key_id) if self.beside else 0)
        if len(callers) >= self._max_sessions:
            self._instrument.session_refused("full")
            raise Unavailable(
                f"all {self._max_sessions} sessions are taken; try again later", retry_after_s=RETRY_S
            )
        ticket = Ticket(caller, now + HALF_OPEN_S)
        self._half_open[ticket] = None
        self._told_half_open()
        if self.beside:
            self.beside.seated(ticket)
        return ticket

    def adopt(self, caller: Caller, session_id: str, now: float) -> None:
        """A session of another gateway is to go on here; it has been let in there.

        Raises:
            Unavailable: all places are taken.
        """
        if len(self._callers()) >= self._max_sessions:
            self._instrument.session_refused("full")
            raise Unavailable(
                f"all {self._max_sessions} sessions are taken; try again later", retry_after_s=RETRY_S
            )
        ticket = self._sessions[session_id] = Ticket(caller, now, session_id=session_id)
        if self.beside:
            self.beside.seated(ticket)
        if self._usage:
            self._usage.begin(session_id, caller.key_id)

    def key_of(self, session_id: str) -> str | None:
        """By which key a session was let in; None where there is no such session."""
        ticket = self._sessions.get(session_id)
        return ticket.caller.key_id if ticket else None

    def hold(self, ticket: Ticket, session_id: str) -> None:
        """The offer was answered: it is this session's."""
        ticket.session_id = session_id
        self.make_room(ticket)
        if not ticket.resuming:
            self._sessions[session_id] = ticket
            if self._usage:
                self._usage.begin(session_id, ticket.caller.key_id)
        for what in self._early.pop(session_id, ()):
            self.watch(session_id, what)

    def make_room(self, ticket: Ticket) -> str | None:
        """The session that has to go for this offer counts no more; whoever asks ends it."""
        if ticket.evicted is None or ticket.evicted not in self._going:
            return None
        self.leave(ticket.evicted)
        return ticket.evicted

    def release(self, ticket: Ticket) -> None:
        """The offer came to nothing, or is one no more. What had to go for it may stay."""
        if self._half_open.pop(ticket, ticket) is None:
            if ticket.evicted and self._going.pop(ticket.evicted, False):
                self._waiting = {ticket.evicted: None, **self._waiting}
            self._told_half_open()
            if self.beside:
                self.beside.settled(ticket)
                if ticket.session_id is None:
                    self.beside.left(ticket)

    def leave(self, session_id: str) -> None:
        """A session is about to be ended: its place is free."""
        ticket = self._sessions.pop(session_id, None)
        self._waiting.pop(session_id, None)
        self._going.pop(session_id, None)
        if ticket and self.beside:
            self.beside.left(ticket)

    def watch(self, session_id: str, what: str) -> None:
        """See :data:`~signaling.calls.Watcher`: ``connected``, ``lost`` or ``ended``."""
        if session_id not in self._sessions and what != "ended":
            self._remember_early(session_id, what)
        if session_id in self._going:
            self._going[session_id] = what == "lost"
        match what:
            case "connected":
                self._waiting.pop(session_id, None)
                if self._usage:
                    self._usage.connect(session_id)
            case "lost" if session_id in self._sessions and session_id not in self._going:
                self._waiting[session_id] = None
            case "ended":
                if session_id not in self._sessions:
                    self._remember_early(session_id, what)
                self.leave(session_id)
                if self._usage:
                    self._usage.end(session_id)
        if what != "lost":
            for ticket in [t for t in self._half_open if t.session_id == session_id]:
                self.release(ticket)

    # ── Limits ────────────────────────────────────────────────────────────

    def _check_sessions(self, caller: Caller) -> str | None:
        """Whether there is room for one more; the session that has to go for it."""
        callers, per_address = self._callers(), self.allowance.sessions_per_address
        self._check_key(caller, callers)
        place = network_of(caller.address)
        if per_address and sum(network_of(c.address) == place for c in callers) >= per_address:
            raise self.refuse(ADDRESS_LIMIT)
        if len(callers) < self._max_sessions:
            return None
        if not self._waiting:
            raise self._full("full", f"all {self._max_sessions} sessions are taken; try again later")
        oldest = next(iter(self._waiting))
        del self._waiting[oldest]
        self._going[oldest] = True
        return oldest

    def _callers(self) -> list[Caller]:
        """Of the sessions, and of offers that will be."""
        waiting = [t.caller for t in self._half_open if not t.resuming and t.session_id is None]
        here = [ticket.caller for name, ticket in self._sessions.items() if name not in self._going]
        return [*here, *waiting]

    def _check_key(self, caller: Caller, callers: list[Caller], elsewhere: int = 0) -> None:
        per_key = self.allowance.sessions_per_key
        own = sum(c.key_id == caller.key_id for c in callers)
        if per_key and caller.key_id != OPEN and own + elsewhere >= per_key:
            raise self.refuse(KEY_LIMIT)

    def _full(self, reason: str, message: str) -> Unavailable | Redirect:
        self._instrument.session_refused(reason)
        if self._access.redirect_url:
            return Redirect(self._access.redirect_url)
        return Unavailable(message, retry_after_s=RETRY_S)

    # ── Bookkeeping ────────────────────────────────────────────────────────────

    def _expire(self, now: float) -> None:
        late = [ticket for ticket in self._half_open if ticket.deadline <= now]
        for ticket in late:
            self.release(ticket)

    def _told_half_open(self) -> None:
        self._instrument.half_open_changed(len(self._half_open))

    def _remember_early(self, session_id: str, what: str) -> None:
        """Answers of other processes may be overtaken by what becomes of them."""
        if session_id in self._sessions or any(t.session_id == session_id for t in self._half_open):
            return
        self._early.setdefault(session_id, []).append(what)
        if len(self._early) > MAX_EARLY:
            self._early.popitem(last=False)
