"""Which replica gets a batch: what is known of each, who is slow, and whose turn it is. Pure.

::

    state      when                                                    asked
    ─────────  ──────────────────────────────────────────────────────  ───────────────────────────────────────
    ready      linked, and says that it is well                        up to its calls and one more
    slow       twice the median pace of the others, or more            where nobody else has room, up to its
                                                                       calls; once in RETRY_S to see how it is
    silent     no link, no sign of life, broken, or a call that has    never
               taken STALLED times as long as is usual
    draining   it says that it is to go                                never; what it has, it answers

A batch goes to the replica of the session of its first request, so that a session meets one replica; but
where that is slow, or would let it wait, to the one with the least to do. The session's own is found by
rendezvous hashing: it stays the same as others come and go, and nobody has to remember it.
"""

from __future__ import annotations

import enum
import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from statistics import median

from rtc_stt.replicas.replica import Replica
from rtc_stt.replicas.replies import ReplicaAlive

__all__ = ["Peer", "State", "Work", "choose", "room", "states"]

SLOW = 2.0
"""Times the median pace of the others."""

STALLED = 8.0
"""Times that of the others, for a call under way: a decode is sometimes twice as long, and never so long."""

LEAST_S = 0.1
"""Nobody is slow or stalled whose calls take less than this more than those of the others: with small models
the network and the loop make up half of the time."""

MIN_CALLS = 4
"""Answered before a pace means something."""

WEIGHT = 0.2
"""Of one call in the pace."""

RETRY_S = 5.0
"""After so long without a call a slow replica gets one to see whether it is still slow."""

SETUP_S = 1.0
"""A call costs about as much as so much audio more than what is in it."""


class State(enum.StrEnum):
    """See above."""

    READY = "ready"
    SLOW = "slow"
    SILENT = "silent"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Work:
    """What a call takes."""

    requests: int
    longest_s: float
    """Seconds of audio in the longest of them; the others are alike."""
    stream_id: str
    """Of the first of them."""

    @property
    def cost(self) -> float:
        """What it should take, in units of which only the ratio counts."""
        return SETUP_S + self.longest_s


@dataclass(slots=True)
class _Call:
    asked_at: float
    cost: float


@dataclass(slots=True)
class Peer:
    """What is known of one replica."""

    replica: Replica
    is_linked: bool = False
    is_well: bool = True
    """As it says itself."""
    is_silent: bool = False
    """Linked, and gives no sign of life."""
    is_draining: bool = False
    asked_at: float = float("-inf")
    """When it was last asked."""
    pace: float | None = None
    """Seconds for each unit of cost, of late."""
    _answered: int = 0
    _others: int = 0  # what other gateways have there, as of its last answer or sign of life
    _under_way: dict[int, _Call] = field(default_factory=dict)

    # ── What happens to it ────────────────────────────────────────────────────────────

    def ask(self, call: int, work: Work, now: float) -> None:
        """A call is on its way."""
        has_to_wait = len(self._under_way) + self._others >= self.replica.calls
        self._under_way[call] = _Call(now, work.cost * (2 if has_to_wait else 1))
        self.asked_at = now

    def end(self, call: int, now: float, *, is_answered: bool) -> None:
        """It is over: answered, or given up."""
        ended = self._under_way.pop(call)
        if is_answered:
            took = (now - ended.asked_at) / ended.cost
            self.pace = took if self.pace is None else self.pace + WEIGHT * (took - self.pace)
            self._answered += 1

    def hear(self, alive: ReplicaAlive) -> None:
        """A sign of life."""
        self.is_silent = False
        self.is_well = alive.is_healthy
        self.is_draining = alive.is_draining
        self.hear_load(alive.running + alive.waiting)

    def hear_load(self, calls: int) -> None:
        """It has so many calls of anyone."""
        self._others = max(0, calls - len(self._under_way))

    def unlink(self) -> list[int]:
        """The link is gone; gives the calls that went with it."""
        lost = list(self._under_way)
        self._under_way.clear()
        self.is_linked = self.is_silent = False
        self._others = 0
        return lost

    # ── How it is ────────────────────────────────────────────────────────────

    @property
    def under_way(self) -> Collection[int]:
        """The calls that it has of this gateway."""
        return self._under_way.keys()

    @property
    def busy(self) -> int:
        """Calls of anyone that it decodes, as far as is known."""
        return min(self.replica.calls, len(self._under_way) + self._others)

    @property
    def load(self) -> float:
        """What it has of anyone, for each call that it decodes at a time."""
        return (len(self._under_way) + self._others) / self.replica.calls

    @property
    def counts(self) -> bool:
        """Whether its pace says something, to others too."""
        return self._answered >= MIN_CALLS and self.is_linked and not self.is_silent

    def state(self, usual: float | None, now: float) -> State:
        """How it is.

        Args:
            usual: pace of the others; None where nobody knows.
        """
        if self.is_draining or self.replica.draining:
            return State.DRAINING
        if not self.is_linked or self.is_silent or not self.is_well:
            return State.SILENT
        if usual is None:
            return State.READY
        for call in self._under_way.values():
            if now - call.asked_at > max(STALLED * usual * call.cost, LEAST_S + usual * call.cost):
                return State.SILENT
        mine = self.pace if self.pace is not None and self.counts else 0.0
        for call in self._under_way.values():
            mine = max(mine, (now - call.asked_at) / call.cost)
        return State.SLOW if mine > max(SLOW * usual, usual + LEAST_S) else State.READY


def states(peers: Iterable[Peer], now: float) -> dict[str, State]:
    """How each of them is, by id."""
    known = list(peers)
    paces = sorted(p.pace for p in known if p.pace is not None and p.counts)
    return {p.replica.id: p.state(_usual(paces, p.pace if p.counts else None), now) for p in known}


def _usual(paces: list[float], without: float | None) -> float | None:
    """The median of these, in their order, but for one of them."""
    if without is None:
        return median(paces) if paces else None
    others = len(paces) - 1
    if not others:
        return None
    skipped = bisect_left(paces, without)
    low, high = ((middle if middle < skipped else middle + 1) for middle in ((others - 1) // 2, others // 2))
    return (paces[low] + paces[high]) / 2


def room(peer: Peer, state: State) -> int:
    """Calls that it may be asked now."""
    most = {State.READY: peer.replica.calls + 1, State.SLOW: peer.replica.calls}.get(state, 0)
    return max(0, most - len(peer.under_way))


def choose(
    peers: Iterable[Peer], work: Work, now: float, *, without: Collection[str] = (), calmly: bool = False
) -> Peer | None:
    """Who gets it; None where nobody has room.

    Args:
        without: ids of those who are not to get it.
        calmly: whether it may serve to see how a slow one is: nobody waits for it.
    """
    known = list(peers)
    how = states(known, now)
    open_ = [
        p
        for p in known
        if p.replica.id not in without
        and p.replica.max_batch >= work.requests
        and room(p, how[p.replica.id]) > 0
    ]
    if calmly:
        for peer in open_:
            if how[peer.replica.id] is State.SLOW and not peer.under_way and now - peer.asked_at > RETRY_S:
                return peer
    ready = [peer for peer in open_ if how[peer.replica.id] is State.READY]
    own = max(ready, key=lambda peer: _weight(work.stream_id, peer), default=None)
    if own and own.load < 1:
        return own
    return min(ready or open_, key=lambda peer: (peer.load, peer.pace or 0.0), default=None)


def _weight(stream_id: str, peer: Peer) -> int:
    """Rendezvous hashing (Thaler and Ravishankar, 1998): of several replicas the heaviest is the stream's."""
    name = f"{stream_id}\n{peer.replica.id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest())
