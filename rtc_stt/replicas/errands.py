"""Batches on their way: who was asked, who is asked next, and which answer counts. Pure: a lane acts on it.

::

    what happens to a batch                             then
    ──────────────────────────────────────────────────  ──────────────────────────────────────────────────
    a replica answers                                   that is its answer; who else has it may forget it
    its replica dies, is broken, drains, or takes       another one is asked, as long as the final is in
    hang_s                                              time
    a final has taken three quarters of its deadline,   a second one is asked too (a hedge): whoever
    or the replica of any batch is silent or stalled    answers first
    nobody is left to ask                               it fails

Partials and recordings have no deadline: they are asked elsewhere once, the latter oftener. A batch is over
exactly once, and a replica never has more calls of ours than it decodes at a time and one more.

What is to be done is told by :meth:`Errands.actions`, in order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.hypothesis import DecodeRequest, Urgency
from rtc_stt.replicas.choice import Peer, State, Work, choose, room, states
from rtc_stt.replicas.replica import Replica
from rtc_stt.replicas.replies import ReplicaAlive

__all__ = ["Action", "Ask", "Errand", "Errands", "Fail", "Forget"]

HEDGE_AT = 0.75
"""Of a final's deadline: a decode takes less than the rest."""

HEDGE_AFTER = 0.25
"""Of it, likewise, at least after a call began: where finals wait long for their turn, all are late, and a
second call for each of them would make it worse."""

MOST_ASKED = {Urgency.FINAL: 4, Urgency.PARTIAL: 2, Urgency.RECORDING: 3}
"""Replicas that are asked for one batch, by its kind; eager finals count as finals."""

GONE = "no replica answers"
HANGS = "the decode hangs"


@dataclass(slots=True, eq=False)
class Errand:
    """A batch from its start to its end."""

    requests: tuple[DecodeRequest, ...]
    kind: Urgency
    work: Work
    began: float
    hedge_at: float
    """When a second one is asked; infinite where nobody waits."""
    ends_at: float
    """When it is too late to ask anyone."""
    calls: dict[int, str] = field(default_factory=dict)
    """Under way: call and replica."""
    asked: int = 0
    """How often somebody was."""
    tried: set[str] = field(default_factory=set)
    """Replicas that were, since they were linked."""
    hedge: int | None = None
    """The call that was a second one."""
    wants_another: bool = False
    """As soon as somebody has room."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send the batch to this replica."""

    call: int
    replica_id: str
    errand: Errand


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody waits for this call any more."""

    call: int
    replica_id: str


@dataclass(frozen=True, slots=True)
class Fail:
    """It is over without an answer."""

    errand: Errand
    error: str


Action = Ask | Forget | Fail


class Errands:
    """See above.

    Args:
        hang_s: a call that takes longer is given up.
        deadline_s: in which a final must be there, from when it began to wait.
    """

    def __init__(self, *, hang_s: float, deadline_s: float) -> None:
        self.peers: dict[str, Peer] = {}
        self.outcomes: list[str] = []
        """``ok``, ``retried``, ``hedged``, ``hedge_won``, ``timeout``, ``failed``: taken by who counts."""
        self._hang_s = hang_s
        self._deadline_s = deadline_s
        self._errands: dict[Errand, None] = {}
        self._calls: dict[int, tuple[Errand, float]] = {}  # and when it was asked
        self._count = itertools.count(1)
        self._actions: list[Action] = []

    # ── Replicas ────────────────────────────────────────────────────────────

    def learn(self, replicas: Iterable[Replica], now: float) -> None:
        """These are all that there are. Who is not among them any more is not asked any more either."""
        known = {replica.id: replica for replica in replicas}
        for id_ in list(self.peers.keys() - known.keys()):
            self.unlink(id_, now)
            del self.peers[id_]
        for id_, replica in known.items():
            if id_ in self.peers:
                self.peers[id_].replica = replica
            else:
                self.peers[id_] = Peer(replica)

    def link(self, id_: str, now: float) -> None:
        """A replica can be asked."""
        self.peers[id_].is_linked = True
        for errand in self._errands:
            errand.tried.discard(id_)  # it may be another process
        self.tick(now)

    def unlink(self, id_: str, now: float) -> None:
        """It cannot, and what it had is lost."""
        for call in self.peers[id_].unlink():
            errand, _ = self._calls.pop(call)
            del errand.calls[call]
            self._retry(errand, GONE, now)
        self.tick(now)

    def hear(self, id_: str, alive: ReplicaAlive, now: float) -> None:
        """It gives a sign of life."""
        self.peers[id_].hear(alive)
        self.tick(now)

    def drain(self, id_: str) -> None:
        """It is to go."""
        self.peers[id_].is_draining = True

    def hush(self, id_: str, now: float) -> None:
        """It has given no sign of life for too long."""
        self.peers[id_].is_silent = True
        self.tick(now)

    def states(self, now: float) -> dict[str, State]:
        """How they are, by id."""
        return states(self.peers.values(), now)

    # ── Room ────────────────────────────────────────────────────────────

    def free(self, now: float) -> int:
        """Batches that may begin now; none where others wait for room."""
        if any(errand.wants_another and not errand.calls for errand in self._errands):
            return 0
        how = self.states(now)
        return sum(room(peer, how[id_]) for id_, peer in self.peers.items())

    def max_batch(self, now: float) -> int:
        """Requests in a batch that anyone takes who has room; 1 where nobody has."""
        how = self.states(now)
        return min((p.replica.max_batch for id_, p in self.peers.items() if room(p, how[id_])), default=1)

    @property
    def running(self) -> int:
        """Requests that have no answer yet."""
        return sum(len(errand.requests) for errand in self._errands)

    # ── Batches ────────────────────────────────────────────────────────────

    def begin(self, requests: Iterable[DecodeRequest], since: float, now: float) -> Errand:
        """A batch is to be decoded.

        Args:
            since: when the wait of the first of them began.
        """
        errand = self._errand(tuple(requests), since, now)
        self._errands[errand] = None
        errand.wants_another = True
        self._serve(errand, now)
        return errand

    def asked_at(self, id_: str, call: int) -> float | None:
        """When this replica was asked this; None where it was not, or nobody waits for it any more."""
        known = self._calls.get(call)
        return known[1] if known and known[0].calls.get(call) == id_ else None

    def answered(
        self, call: int, now: float, *, load: int | None = None, is_at_fault: bool = False
    ) -> Errand | None:
        """A replica has answered. Gives the batch where this is its answer: it is over then.

        Args:
            load: calls of anyone that it still has, where it said so.
            is_at_fault: it has answered with failures that are its own.
        """
        if call not in self._calls:
            return None  # it was given up before
        errand, _ = self._calls[call]
        peer = self.peers[errand.calls[call]]
        self._end_call(call, now, is_answered=not is_at_fault)
        if load is not None:
            peer.hear_load(load)
        if is_at_fault:
            peer.is_well = False  # until it says otherwise
            self._retry(errand, "a replica is out of order", now)
            self.tick(now)
            return None
        self.outcomes.append("hedge_won" if call == errand.hedge else "ok")
        self._finish(errand, now)
        self.tick(now)
        return errand

    def forget(self, stream_id: str, now: float) -> list[Errand]:
        """Nobody waits for a stream any more. Gives the batches that are over thereby: those of it alone."""
        gone = [e for e in self._errands if all(r.stream_id == stream_id for r in e.requests)]
        for errand in gone:
            self._finish(errand, now)
        if gone:
            self.tick(now)
        return gone

    def tick(self, now: float) -> None:
        """Look who is too late, who is to be asked a second time, and who has room for what waits."""
        for call, (errand, asked_at) in list(self._calls.items()):
            if now - asked_at > self._hang_s:
                self._actions.append(Forget(call, errand.calls[call]))
                self._end_call(call, now, is_answered=False)
                self.outcomes.append("timeout")
                self._retry(errand, HANGS, now)
        how = self.states(now)
        for errand in sorted(self._errands, key=lambda errand: errand.kind):
            if errand.calls:
                errand.wants_another = self._wants_hedge(errand, how, now)
            self._serve(errand, now)

    def actions(self) -> Iterator[Action]:
        """What is to be done; once."""
        todo, self._actions = self._actions, []
        return iter(todo)

    # ── Inside ────────────────────────────────────────────────────────────

    def _errand(self, requests: tuple[DecodeRequest, ...], since: float, now: float) -> Errand:
        kind = min(request.urgency for request in requests)
        if kind is Urgency.EAGER:
            kind = Urgency.FINAL  # it becomes one while it runs, and nobody tells
        longest_s = max(len(request.audio) for request in requests) / SAMPLE_RATE
        work = Work(len(requests), longest_s, requests[0].stream_id)
        if kind is Urgency.FINAL:
            at_least = now + HEDGE_AFTER * self._deadline_s
            hedge_at = max(since + HEDGE_AT * self._deadline_s, at_least)
            ends_at = max(since + self._deadline_s, at_least)
        else:
            hedge_at, ends_at = float("inf"), now + 2 * self._hang_s
        return Errand(requests, kind, work, now, hedge_at, ends_at)

    def _serve(self, errand: Errand, now: float) -> None:
        """Ask somebody, where somebody is wanted and has room."""
        if not errand.wants_another or errand not in self._errands:
            return
        if not errand.calls and (now > errand.ends_at or errand.asked >= MOST_ASKED[errand.kind]):
            self._fail(errand, HANGS if errand.asked else GONE, now)
            return
        peer = self._choose(errand, now)
        if peer is None:
            if not errand.calls and not any(peer.is_linked for peer in self.peers.values()):
                self._bear(errand, now)
            return
        call = next(self._count)
        if errand.asked:
            self.outcomes.append("hedged" if errand.calls else "retried")
            errand.hedge = call if errand.calls else errand.hedge
        errand.wants_another = False
        errand.calls[call] = peer.replica.id
        errand.tried.add(peer.replica.id)
        errand.asked += 1
        self._calls[call] = (errand, now)
        peer.ask(call, errand.work, now)
        self._actions.append(Ask(call, peer.replica.id, errand))

    def _choose(self, errand: Errand, now: float) -> Peer | None:
        """Somebody who was not asked yet; where all were, somebody who does not have it at present."""
        peers, is_calm = self.peers.values(), errand.kind is not Urgency.FINAL
        fresh = choose(peers, errand.work, now, without=errand.tried, calmly=is_calm)
        if fresh or errand.calls or not errand.tried:
            return fresh
        how, willing = self.states(now), (State.READY, State.SLOW)
        if any(how[id_] in willing and id_ not in errand.tried for id_ in self.peers):
            return None  # one of them will have room soon
        return choose(peers, errand.work, now)

    def _bear(self, errand: Errand, now: float) -> None:
        """Nobody is there at all. A link may be back in a moment, and a final can wait a little for that."""
        if errand.kind is Urgency.PARTIAL or now > min(errand.hedge_at, errand.ends_at):
            self._fail(errand, GONE, now)

    def _wants_hedge(self, errand: Errand, how: dict[str, State], now: float) -> bool:
        if len(errand.calls) != 1 or errand.asked >= MOST_ASKED[errand.kind] or now > errand.ends_at:
            return False
        (replica_id,) = errand.calls.values()
        return now >= errand.hedge_at or how[replica_id] is State.SILENT

    def _retry(self, errand: Errand, error: str, now: float) -> None:
        """A call was lost; if it was the last one, somebody else is asked."""
        if errand not in self._errands or errand.calls:
            return
        if errand.asked >= MOST_ASKED[errand.kind] or now > errand.ends_at:
            self._fail(errand, error, now)
        else:
            errand.wants_another = True

    def _fail(self, errand: Errand, error: str, now: float) -> None:
        self.outcomes.append("failed")
        self._finish(errand, now)
        self._actions.append(Fail(errand, error))

    def _finish(self, errand: Errand, now: float) -> None:
        del self._errands[errand]
        for call, replica_id in list(errand.calls.items()):
            self._actions.append(Forget(call, replica_id))
            self._end_call(call, now, is_answered=False)

    def _end_call(self, call: int, now: float, *, is_answered: bool) -> None:
        errand, _ = self._calls.pop(call)
        self.peers[errand.calls.pop(call)].end(call, now, is_answered=is_answered)
