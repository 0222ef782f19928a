"""A tier's decodes on its replicas: the pump between what is decided (``errands``) and the links.

::

    pool ── start ──▶ errands ── Ask ──▶ link ── decode ──▶ replica
    pool ◀── done ─── errands ◀───────── link ◀─ answers ── replica
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mode

import aiohttp

from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.errors import trace
from rtc_stt.hypothesis import DecodeFailure, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.replicas.choice import Peer, State
from rtc_stt.replicas.errands import Action, Ask, Errand, Errands, Fail, Forget
from rtc_stt.replicas.link import Link
from rtc_stt.replicas.occupancy import Occupancy
from rtc_stt.replicas.reading import BadPayload
from rtc_stt.replicas.replica import Replica
from rtc_stt.replicas.replies import Answers, Reply
from rtc_stt.replicas.roster import Roster

__all__ = ["ReplicaLane", "ReplicaTier"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.125
"""Between two looks for what is too late."""

GRACE_S = 2.0
"""Without any link the tier counts as usable for so long: links are begun again, and what waits waits."""


@dataclass(frozen=True, slots=True)
class ReplicaTier:
    """What a lane of replicas goes by.

    It is a :class:`~rtc_stt.lanes.LaneMaker`.
    """

    tier: Tier
    roster: Roster
    key: str
    """What is shown to replicas (``WORKERS_KEY``)."""
    hang_s: float
    """A call that takes longer is given up."""
    deadline_s: float
    """In which a final must be there, from when it began to wait."""
    instrument: Instrument
    clock: Callable[[], float]

    def __call__(
        self,
        *,
        done: Callable[[DecodeLane, Run, list[Answer]], None],
        changed: Callable[[DecodeLane], None],
        queued_s: Callable[[], float],
    ) -> ReplicaLane:
        """The lane."""
        return ReplicaLane(self, done=done, changed=changed, queued_s=queued_s)


class ReplicaLane:
    """A :class:`~rtc_stt.lanes.FastLane`, for either tier. Called on the event loop only.

    Args:
        done: takes each batch and its answers in order.
        changed: called when it has become usable or not, or has room again.
        queued_s: gives the seconds of audio that wait for this tier.
    """

    def __init__(
        self,
        told: ReplicaTier,
        *,
        done: Callable[[DecodeLane, Run, list[Answer]], None],
        changed: Callable[[DecodeLane], None],
        queued_s: Callable[[], float],
    ) -> None:
        self.tier = told.tier
        self._told = told
        self._clock = told.clock
        self._done = done
        self._changed = changed
        self._queued_s = queued_s
        self._errands = Errands(hang_s=told.hang_s, deadline_s=told.deadline_s)
        self._runs: dict[Errand, Run] = {}
        self._links: dict[str, Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None  # made in the loop that it belongs to
        self._mind: asyncio.Task[None] | None = None
        self._occupancy = Occupancy(self._clock())
        self._todo: deque[Action] = deque()
        self._is_acting = False
        self._is_closed = False
        self._usable_until = float("-inf")
        self._was_linked = False
        self._seen: tuple[object, ...] = ()
        self._states: Counter[str] | None = None
        self._name, self._languages = "", frozenset[str]()

    # ── What state it is in ────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """Of the model that most replicas have."""
        return self._name

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages that all of them know."""
        return self._languages

    @property
    def is_present(self) -> bool:
        """Whether there has been a replica."""
        return bool(self._name)

    @property
    def max_batch(self) -> int:
        """Requests that whoever has room takes in one call."""
        return self._errands.max_batch(self._clock())

    @property
    def running(self) -> int:
        """Requests that are not answered yet."""
        return self._errands.running

    @property
    def free(self) -> int:
        """Batches that may begin now."""
        return 0 if self._is_closed else self._errands.free(self._clock())

    @property
    def is_usable(self) -> bool:
        """Whether some replica answers, or did a moment ago."""
        return self._clock() < self._usable_until or self._has_replica

    @property
    def is_healthy(self) -> bool:
        """Likewise, once there has been one. That one of several is lost is what the others are there for."""
        return self.is_usable and self._was_linked

    @property
    def trouble(self) -> str | None:
        """What is wrong, in words for the operator; None where nothing is."""
        if self.is_healthy:
            return None
        if self._links:
            troubles = sorted({link.trouble for link in self._links.values() if link.trouble})
            return f"no replica of the {self.tier} tier can be asked: {', '.join(troubles) or 'out of order'}"
        told = self._told.roster.trouble or "none is listed"
        return f"there is no replica of the {self.tier} tier: {told}" if self._must_be else None

    @property
    def _must_be(self) -> bool:
        return self.is_present or self.tier is Tier.FAST

    @property
    def _has_replica(self) -> bool:
        return any(_can_be_asked(peer) for peer in self._errands.peers.values())

    def utilisation(self, now: float) -> float:
        """Share of the replicas' calls that was busy since the last look, with those of other gateways."""
        return self._occupancy.look(now)

    # ── Decoding ────────────────────────────────────────────────────────────

    def start(self, batch: list[Ticket]) -> None:
        """Decode these in one call; a slot must be free."""
        now = self._clock()
        errand = self._errands.begin(
            (ticket.request for ticket in batch), min(ticket.since for ticket in batch), now
        )
        self._runs[errand] = Run(batch, now, now)
        self._act()

    def check(self, now: float) -> list[Run]:
        """Look for what is too late. What becomes of it is answered here."""
        self._errands.tick(now)
        self._act()
        return []

    def forget(self, stream_id: str) -> list[Ticket]:
        """Nobody waits for a stream any more: break off batches of it alone. Returns what was in them."""
        gone = self._errands.forget(stream_id, self._clock())
        tickets = [ticket for errand in gone for ticket in self._runs.pop(errand).batch]
        self._act()
        return tickets

    def _act(self) -> None:
        """Do what was decided, in order, whatever is decided meanwhile."""
        self._todo.extend(self._errands.actions())
        if self._is_acting:
            return
        self._is_acting = True
        try:
            while self._todo:
                self._do(self._todo.popleft())
                self._todo.extend(self._errands.actions())
        finally:
            self._is_acting = False
        self._count()

    def _do(self, action: Action) -> None:
        match action:
            case Ask(call, replica_id, errand):
                self._links[replica_id].ask(call, errand.requests)
            case Forget(call, replica_id):
                if link := self._links.get(replica_id):
                    link.forget(call)
            case Fail(errand, error):
                self._finish(errand, [DecodeFailure(request, error) for request in errand.requests])

    def _finish(self, errand: Errand, answers: list[Answer]) -> None:
        self._done(self, self._runs.pop(errand), answers)

    def _count(self) -> None:
        """What the ladder and the operator see."""
        now = self._clock()
        peers = [peer for peer in self._errands.peers.values() if _can_be_asked(peer)]
        self._occupancy.change(sum(p.busy for p in peers), sum(p.replica.calls for p in peers), now)
        outcomes, self._errands.outcomes = self._errands.outcomes, []
        for outcome in outcomes:
            self._told.instrument.replica_called(self.tier, outcome)

    # ── What links tell ────────────────────────────────────────────────────────────

    def linked(self, link: Link) -> None:
        """A replica can be asked."""
        self._was_linked = True
        self._errands.link(link.id, self._clock())
        self._look()

    def unlinked(self, link: Link) -> None:
        """It cannot any more."""
        if link.id in self._errands.peers:
            self._errands.unlink(link.id, self._clock())
        self._look()

    def silenced(self, link: Link) -> None:
        """It says nothing."""
        self._errands.hush(link.id, self._clock())
        self._look()

    def replied(self, link: Link, reply: Reply | None) -> None:
        """It says something."""
        if isinstance(reply, Answers):
            self._receive(link, reply)
        elif reply is None:
            self._errands.drain(link.id)
        else:
            self._errands.hear(link.id, reply, self._clock())
        self._look()

    def unsendable(self, link: Link, call: int) -> None:
        """A batch cannot be sent to anyone."""
        if errand := self._errands.answered(call, self._clock()):
            self._finish(errand, [DecodeFailure(r, "too much for a replica") for r in errand.requests])
        self._look()

    def _receive(self, link: Link, reply: Answers) -> None:
        now = self._clock()
        asked_at = self._errands.asked_at(link.id, reply.number)
        if asked_at is None:
            return  # nobody waits for it any more, or it was asked of another
        errand = self._errands.answered(reply.number, now, load=reply.load, is_at_fault=reply.is_at_fault)
        self._told.instrument.replica_answered(self.tier, max(0.0, now - asked_at - reply.decode_s))
        if errand is None:
            return
        try:
            answers = reply.read(errand.requests)
        except BadPayload as error:
            log.error("replica %s answers what cannot be read: %s", link.id, error)
            answers = [DecodeFailure(request, "the answer cannot be read") for request in errand.requests]
        self._finish(errand, answers)

    # ── Replicas come and go ────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """Begin to look for replicas."""
        if self._mind is None and not self._is_closed:
            self._usable_until = self._clock() + GRACE_S
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": "rtc-stt"},
            )
            self._mind = asyncio.get_running_loop().create_task(self._watch(), name=f"replicas {self.tier}")
            self._told.roster.join(self.tier, self._learn)

    def _learn(self, replicas: list[Replica]) -> None:
        assert self._http is not None
        known = {replica.id: replica for replica in replicas}
        for id_ in self._links.keys() - known.keys():
            closing = asyncio.get_running_loop().create_task(self._links.pop(id_).aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._errands.learn(replicas, self._clock())
        for id_, replica in known.items():
            if id_ not in self._links:
                self._links[id_] = Link(
                    replica, self._told.key, http=self._http, owner=self, queued_s=self._queued_s
                )
        if replicas:
            self._name = mode(replica.model for replica in replicas)
            self._languages = frozenset.intersection(*(replica.languages for replica in replicas))
        self._look()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self._errands.tick(self._clock())
                self._look()
            except Exception as error:  # nobody else would look
                log.error("replicas could not be looked after: %s", trace(error))

    def _look(self) -> None:
        """Act, and tell the pool what has changed."""
        self._act()
        now = self._clock()
        if self._has_replica:
            self._usable_until = now + GRACE_S
        how = self._errands.states(now)
        states = Counter(str(state) for state in how.values())
        if states != self._states:
            self._states = states
            self._told.instrument.replicas_changed(self.tier, {str(s): states[str(s)] for s in State})
        seen = self.is_usable, self.is_healthy, self.is_present, self.trouble, self.free > 0
        if seen != self._seen and not self._is_closed:
            self._seen = seen
            self._changed(self)

    # ── The end ────────────────────────────────────────────────────────────

    async def aclose(self, timeout: float) -> None:
        """Wait for what is under way, at most so many seconds, and end."""
        self._is_closed = True
        deadline = self._clock() + timeout
        while self._runs and self._clock() < deadline:
            await asyncio.sleep(0.01)
        await self._told.roster.leave(self.tier)
        if self._mind:
            self._mind.cancel()
            await asyncio.gather(self._mind, return_exceptions=True)
        await asyncio.gather(*(link.aclose() for link in self._links.values()), *self._closing)
        if self._http:
            await self._http.close()


def _can_be_asked(peer: Peer) -> bool:
    return (
        peer.is_linked and peer.is_well and not (peer.is_silent or peer.is_draining or peer.replica.draining)
    )
