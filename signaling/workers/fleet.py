"""The media workers, as one host: places calls, keeps the processes alive, and sees them all out.

::

    starting ──ready──▶ ready ──lost──▶ lost ──restart_delay──▶ starting
        └────────────not begun──────────▲

A worker that is lost takes its sessions with it: the door is told that they have ended, their clients begin
anew. The others do not notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import ConfigError, NotFound, RtcSttError, SessionGone, Unavailable, trace
from rtc_stt.handover import Handover
from rtc_stt.instrument import Instrument
from signaling.calls import Call, Connected, Fragment, Health, Keeper, Meter, Watcher
from signaling.registry import Registry
from signaling.shared.record import session_of
from signaling.workers import figures, plan
from signaling.workers.member import Lost, Member, Spawn, spawn
from signaling.workers.messages import connected_from, fragment_to, state_of, state_to

__all__ = ["Fleet"]

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""Between two looks for workers that hang."""

SILENT_S = 20.0
"""A worker that gave no sign of life for so long hangs, and is ended. It gives one every second."""

SCRAPE_TIMEOUT_S = 1.0
"""For a worker to tell its figures. Prometheus waits ten seconds by default."""

DRAIN_MARGIN_S = 7.0
"""A worker aborts what has not ended in time, and then its peers have five seconds to say so."""

STATES = ("starting", "ready", "lost")


@dataclass(slots=True)
class _Slot:
    """A place for one worker after the other."""

    name: str
    setup: dict[str, Any]
    state: str = "starting"
    member: Member | None = None
    failures: int = 0
    """In a row that did not last."""
    first: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done when its first worker is ready, or could not be begun."""


class Fleet:
    """A :class:`signaling.calls.Host`. Make it in a running loop, then :meth:`start` it.

    Args:
        pool: decodes for all of them.
        setups: what each worker is told at its start, see :func:`signaling.workers.worker.main`; one each.
        own: sessions that this process carries itself, those of WebSockets: without SRTP and codecs there is
            little to share out, and their audio would cross a socket once more.
        node: gives the name of this gateway, where it has one.
    """

    def __init__(
        self,
        pool: DecodePool,
        setups: Sequence[dict[str, Any]],
        *,
        own: Registry | None = None,
        instrument: Instrument | None = None,
        spawn: Spawn = spawn,
        node: Callable[[], str] = lambda: "",
    ) -> None:
        self.watch: Watcher | None = None
        self.meter: Meter | None = None
        self.draining = False
        self._own = own
        self._keeper: Keeper | None = None
        if own is not None:
            own.watch, own.meter = self._tell_watcher, self._tell_meter
        self._pool = pool
        self._instrument = instrument or Instrument()
        self._spawn = spawn
        self._node = node
        self._slots = [_Slot(plan.worker_name(number), setup) for number, setup in enumerate(setups)]
        self._tasks: list[asyncio.Task[None]] = []
        self._retired: figures.Figures = {}
        pool.watch(self._tell_state)

    async def start(self) -> None:
        """Begin all workers; returns when each can be called.

        Raises:
            ConfigError: one could not be begun. :meth:`aclose` is still to be called.
        """
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep(slot), name=f"worker-{slot.name}") for slot in self._slots]
        self._tasks.append(loop.create_task(self._look_after(), name="workers"))
        await asyncio.gather(*(slot.first for slot in self._slots))

    async def aclose(self) -> None:
        """End all workers, by force where they do not end by themselves within some seconds."""
        self.draining = True
        members = [slot.member for slot in self._slots if slot.member]
        await asyncio.gather(*(member.end(gently=True) for member in members))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def keeper(self) -> Keeper | None:
        """See :class:`signaling.calls.Host`. It is set before the workers begin sessions."""
        return self._keeper

    @keeper.setter
    def keeper(self, keeper: Keeper | None) -> None:
        self._keeper = keeper
        if self._own is not None:
            self._own.keeper = keeper
        for slot in self._slots:
            if slot.member:
                slot.member.keep(keeper)

    # ── A host ────────────────────────────────────────────────────────────

    async def connect(self, call: Call) -> Connected:
        """See :class:`signaling.calls.Host`."""
        if self.draining:
            raise self._refusal("draining", "the server is shutting down; connect again in a moment")
        if call.resume:
            member = self._adopter(call.resume.token) or self._owner(call.resume.token)
            if member is None:
                raise SessionGone("there is no such session, or it has ended: begin a new one")
            resumed: Connected = await self._ask(member.connect(call), SessionGone)
            return resumed
        tried = set[Member]()
        while member := plan.least_loaded(m for m in self._ready() if m not in tried):
            try:
                return await member.connect(call)
            except Lost:
                tried.add(member)
        raise self._refusal("unhealthy", "no media worker is ready; try again in a moment")

    async def adopt(self, token: str, handover: Handover) -> None:
        """See :class:`signaling.calls.Host`."""
        if self.draining:
            raise self._refusal("draining", "the server is shutting down; connect again in a moment")
        member = plan.least_loaded(self._ready())
        if member is None:
            raise self._refusal("unhealthy", "no media worker is ready; try again in a moment")
        try:
            await member.adopt(token, handover)
        except Lost as error:
            raise self._refusal("unhealthy", "a media worker has ended; try again in a moment") from error

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        """See :class:`signaling.calls.Host`."""
        await self._call(peer_id, "trickle", fragment_to(fragment))

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        """See :class:`signaling.calls.Host`."""
        answer = await self._call(peer_id, "renegotiate", {"sdp": sdp})
        return connected_from(answer)

    async def disconnect(self, peer_id: str) -> None:
        """See :class:`signaling.calls.Host`."""
        if self._own is not None and self._own.knows(peer_id):
            await self._own.disconnect(peer_id)
            return
        await self._call(peer_id, "disconnect", {})

    def expel(self, session_id: str, code: str, message: str) -> None:
        """See :class:`signaling.calls.Host`."""
        if self._own is not None:
            self._own.expel(session_id, code, message)
        if member := self._adopter(session_id) or self._owner(session_id):
            member.expel(session_id, code, message)

    async def drain(self, seconds: float) -> None:
        """See :class:`signaling.calls.Host`."""
        self.draining = True
        timeout = seconds + DRAIN_MARGIN_S
        members = self._ready()
        calls = [member.call("drain", {"seconds": seconds}, timeout) for member in members]
        own = asyncio.ensure_future(self._own.drain(seconds)) if self._own is not None else None
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        if own:
            await own
        for member, outcome in zip(members, outcomes, strict=True):
            if isinstance(outcome, Exception):
                log.warning("%s did not drain: %s", member.name, outcome)

    def health(self) -> Health:
        """See :class:`signaling.calls.Host`. One worker is enough to be ready."""
        lost = [slot.name for slot in self._slots if slot.state != "ready"]
        own = len(self._own) if self._own is not None else 0
        troubles = [*self._pool.troubles, *(f"the media worker {name} is being started" for name in lost)]
        return Health(
            ready=self._pool.is_ready and len(lost) < len(self._slots) and not self.draining,
            sessions=sum(slot.member.sessions for slot in self._slots if slot.member) + own,
            load=self._pool.step.name.lower(),
            troubles=troubles,
            draining=self.draining,
        )

    # ── Figures ────────────────────────────────────────────────────────────

    async def collect_figures(self) -> list[figures.Figures]:
        """What the workers have counted, and those before them. Never takes over ``SCRAPE_TIMEOUT_S``."""
        told = await asyncio.gather(*(self._scrape(member) for member in self._ready()))
        return [self._retired, *told]

    async def _scrape(self, member: Member) -> figures.Figures:
        try:
            fields = await member.call("figures", {}, SCRAPE_TIMEOUT_S)
            member.figures = figures.read(fields)
        except (RtcSttError, RuntimeError, ValueError, TypeError):
            log.warning("%s does not tell its figures", member.name)
            self._instrument.worker_scrape_failed()
            return figures.lasting(member.figures)
        return member.figures

    # ── Placing ────────────────────────────────────────────────────────────

    def _ready(self) -> list[Member]:
        return [slot.member for slot in self._slots if slot.member and slot.member.is_ready]

    def _owner(self, token: str) -> Member | None:
        name = plan.owner(token)
        return next((member for member in self._ready() if member.name == name), None)

    def _adopter(self, token: str) -> Member | None:
        """Who goes on with a session whose name tells of another gateway."""
        session_id = session_of(token) or token
        return next((member for member in self._ready() if session_id in member.adopted), None)

    async def _call(self, peer_id: str, method: str, fields: dict[str, Any]) -> Any:
        member = self._owner(peer_id)
        if member is None:
            raise NotFound("there is no such session, or it has ended")
        return await self._ask(member.call(method, {"peer_id": peer_id, **fields}), NotFound)

    async def _ask(self, call: Awaitable[Any], gone: type[NotFound]) -> Any:
        try:
            return await call
        except Lost as error:
            raise gone("there is no such session any more: begin a new one") from error

    def _refusal(self, reason: str, message: str) -> Unavailable:
        self._instrument.session_refused(reason)
        return Unavailable(message)

    # ── Keeping them alive ────────────────────────────────────────────────────────────

    async def _keep(self, slot: _Slot) -> None:
        """One worker after the other, until the fleet is closed."""
        loop = asyncio.get_running_loop()
        while not self.draining:
            began = loop.time()
            reason = await self._carry(slot)
            if self.draining:
                return
            log.error("media worker %s: %s", slot.name, reason)
            if not slot.first.done():
                slot.first.set_exception(ConfigError(f"a media worker cannot be started: {reason}"))
            lasted = loop.time() - began > plan.STEADY_S
            delay = plan.restart_delay(0 if lasted else slot.failures)
            slot.failures = 0 if lasted else slot.failures + 1
            await asyncio.sleep(delay)

    async def _carry(self, slot: _Slot) -> str:
        """The life of one worker; gives the reason of its end."""
        self._set_state(slot, "starting")
        member = slot.member = Member(slot.name, self._pool, self._tell_watcher, self._tell_meter)
        member.keep(self._keeper)
        code: int | None = None
        try:
            await member.begin(
                self._spawn, {**slot.setup, "node": self._node(), "state": state_to(state_of(self._pool))}
            )
            self._set_state(slot, "ready")
            if not slot.first.done():
                slot.first.set_result(None)
            reason = await member.lost
        except Lost as error:
            reason = str(error)
        except Exception as error:  # whatever it was, the next one may fare better
            log.error("media worker %s: %s", slot.name, trace(error))
            reason = type(error).__name__
        finally:
            self._set_state(slot, "lost")
            self._retired = figures.add([self._retired, figures.lasting(member.figures)])
            code = await member.end(gently=self.draining)
            slot.member = None
        return reason if code is None else f"{reason} (exit code {code})"

    async def _look_after(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            for member in self._ready():
                if loop.time() - member.heard_at > SILENT_S:
                    member.abandon("it does not answer")

    def _set_state(self, slot: _Slot, state: str) -> None:
        slot.state = state
        counts = Counter(other.state for other in self._slots)
        self._instrument.workers_changed({state: counts[state] for state in STATES})

    # ── Passing on ────────────────────────────────────────────────────────────

    def _tell_state(self) -> None:
        for slot in self._slots:
            if slot.member:
                slot.member.tell_state()

    def _tell_watcher(self, session_id: str, what: str) -> None:
        if self.watch:
            self.watch(session_id, what)

    def _tell_meter(self, session_id: str, seconds: float) -> None:
        if self.meter:
            self.meter(session_id, seconds)
