"""The other end of a gateway's link: an engine behind a WebSocket, in a replica. Knows nothing of Ray.

::

    gateway A ── GET /decode ──┐            ┌── thread
    gateway B ── GET /decode ──┴─ the door ─┴── thread …   on one engine, with all that a lane looks after

``GET /v1/health`` says 200 while the engine is well, 503 otherwise; it needs no key and tells nothing else.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from rtc_stt.decode_lane import Engine, Lane
from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.errors import trace
from rtc_stt.hypothesis import DecodeFailure, Tier
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.replicas.door import Door, Waiting
from rtc_stt.replicas.payload import largest_batch
from rtc_stt.replicas.replica import SUBPROTOCOL, Replica
from rtc_stt.replicas.replies import DRAINING, ReplicaAlive, write_answers, write_replica_alive
from rtc_stt.replicas.server_link import ServerLink

__all__ = ["DecodeServer", "ServerState"]

log = logging.getLogger(__name__)

MAX_LINKS = 256
"""Gateways, and their links that are just being begun anew."""

ALIVE_EVERY_S = 1.0
"""Between two signs of life."""

CHECK_EVERY_S = 0.25
"""Between two looks for calls that hang."""

HEAD_S = 5.0
"""For a request's head, of who has connected."""

SPARE = 4
"""Batches at the door for each that a gateway means to have there: it may have given up those before."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """How a replica is, for who scales and replaces it."""

    calls: int
    """It can decode so many at a time."""
    busy: int
    """Of which so many run."""
    waiting: int
    """Batches that wait for those."""
    queued_audio_s: float
    """Audio that waits in the queues of all gateways for this tier, as they tell, in seconds. Every gateway
    has a link to every replica, so each of these knows the whole of it: the largest counts, not their sum."""
    links: int
    """Gateways."""
    is_healthy: bool
    """Whether its engine neither hangs nor is broken."""
    is_draining: bool


class DecodeServer:
    """See above. Used on one event loop.

    Args:
        engine: loaded and warm.
        key: what gateways show (``WORKERS_KEY``).
        replica_id: never given to another one.
        host, port: where to listen; port 0: a free one.
        advertise: under which address gateways find it; None: ``host``.
        calls: decodes at a time.
        version: of the software, for the operator.
        max_batch: requests in one call.
        hang_s: a decode that takes longer hangs.
    """

    def __init__(
        self,
        engine: Engine,
        tier: Tier,
        *,
        key: str,
        replica_id: str,
        host: str,
        port: int = 0,
        advertise: str | None = None,
        calls: int,
        version: str,
        max_batch: int = 8,
        hang_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not key:
            raise ValueError("a decode server without a key would decode for everyone")
        self._engine = engine
        self._tier = tier
        self._key = f"Bearer {key}".encode()
        self._id = replica_id
        self._host, self._port, self._advertise = host, port, advertise or host
        self._calls, self._max_batch, self._hang_s = calls, max_batch, hang_s
        self._version = version
        self._clock = clock
        self._door = Door(SPARE * (calls + 1))
        self._lane: Lane | None = None  # made in the loop that it belongs to
        self._running: dict[int, Waiting] = {}
        self._links: set[ServerLink] = set()
        self._runner: web.AppRunner | None = None
        self._chores: list[asyncio.Task[None]] = []
        self._is_draining = False

    # ── Life ────────────────────────────────────────────────────────────

    async def start(self) -> Replica:
        """Listen. Gives what the directory is told.

        Raises:
            OSError: it cannot listen there.
        """
        self._lane = Lane(
            self._tier,
            self._engine,
            concurrency=self._calls,
            hang_s=self._hang_s,
            clock=self._clock,
            done=self._finish,
            changed=lambda _: self._dispatch(),
        )
        app = web.Application()
        app.router.add_get("/decode", self._decode)
        app.router.add_get("/v1/health", self._health)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=HEAD_S, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=MAX_LINKS)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._chores = [asyncio.create_task(self._tell_alive()), asyncio.create_task(self._watch())]
        return self.replica

    @property
    def replica(self) -> Replica:
        """As it is told to gateways."""
        host = f"[{self._advertise}]" if ":" in self._advertise else self._advertise
        return Replica(
            id=self._id,
            tier=self._tier,
            url=f"ws://{host}:{self._port}/decode",
            model=self._engine.name,
            languages=frozenset(self._engine.languages),
            calls=self._calls,
            max_batch=self._max_batch if hasattr(self._engine, "decode_batch") else 1,
            version=self._version,
            draining=self._is_draining,
        )

    def state(self) -> ServerState:
        """How it is."""
        lane = self._lane
        return ServerState(
            calls=self._calls,
            busy=len(self._running),
            waiting=len(self._door),
            queued_audio_s=sum(link.queued_s for link in self._links),
            links=len(self._links),
            is_healthy=lane is not None and lane.is_healthy,
            is_draining=self._is_draining,
        )

    async def drain(self, seconds: float) -> bool:
        """Take nothing more, and wait for what is here, so many seconds at most. Whether all was answered."""
        self._is_draining = True
        for link in self._links:
            link.say(DRAINING)
        deadline = self._clock() + seconds
        while (self._running or len(self._door)) and self._clock() < deadline:
            await asyncio.sleep(0.02)
        return not self._running and not len(self._door)

    async def aclose(self) -> None:
        """Stop; what was not answered is not. Gateways ask others."""
        self._is_draining = True
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await asyncio.gather(*(link.aclose(aiohttp.WSCloseCode.GOING_AWAY) for link in list(self._links)))
        if self._runner:
            await self._runner.cleanup()
        if self._lane:
            await self._lane.aclose(0.0)

    # ── Gateways ────────────────────────────────────────────────────────────

    async def _health(self, _request: web.Request) -> web.Response:
        is_well = self.state().is_healthy and not self._is_draining
        return web.json_response({"status": "ok" if is_well else "failing"}, status=200 if is_well else 503)

    async def _decode(self, request: web.Request) -> web.StreamResponse:
        told = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(told, self._key):
            log.warning("somebody asked to decode without the key of this replica")
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if len(self._links) >= MAX_LINKS:
            return web.Response(status=503, headers={"Retry-After": "1"})
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            compress=False,
            max_msg_size=largest_batch(self._max_batch),
            timeout=1.0,
        )
        if socket.can_prepare(request).protocol != SUBPROTOCOL:
            return web.Response(status=400, text=f"this endpoint speaks {SUBPROTOCOL} over a WebSocket\n")
        await socket.prepare(request)
        link = ServerLink(socket, self._max_batch, self._take, self._door.forget, self._clock)
        self._links.add(link)
        try:
            link.say(self._alive())
            if self._is_draining:
                link.say(DRAINING)
            await link.run()
        finally:
            self._links.discard(link)
            self._door.forget(link)
        return socket

    def _take(self, waiting: Waiting) -> None:
        """A batch has come."""
        if self._is_draining:
            self._refuse(waiting, "the replica is to go")
        elif not self._lane or not self._lane.is_usable:
            self._refuse(waiting, "the replica's model is out of order")
        elif not self._door.push(waiting):
            self._refuse(waiting, "the replica has too much to do")
        else:
            self._dispatch()

    def _refuse(self, waiting: Waiting, why: str) -> None:
        answers: list[Answer] = [DecodeFailure(request, why) for request in waiting.batch.requests]
        self._answer(waiting, answers, is_at_fault=True)

    # ── Decoding ────────────────────────────────────────────────────────────

    def _dispatch(self) -> None:
        lane = self._lane
        assert lane is not None
        while lane.free > 0 and (waiting := self._door.pop()):
            self._running[waiting.order] = waiting
            requests = waiting.batch.requests
            lane.start([Ticket(request, waiting.came_at, waiting.order) for request in requests])
        if not lane.is_usable:
            for waiting in self._door.clear():
                self._refuse(waiting, "the replica's model is out of order")

    def _finish(self, lane: DecodeLane, run: Run, answers: list[Answer]) -> None:
        waiting = self._running.pop(run.batch[0].order)
        has_failed = any(isinstance(answer, DecodeFailure) for answer in answers)
        self._answer(waiting, answers, is_at_fault=has_failed and not lane.is_usable)
        self._dispatch()

    def _answer(self, waiting: Waiting, answers: list[Answer], *, is_at_fault: bool) -> None:
        link = waiting.owner
        assert isinstance(link, ServerLink)
        decode_s = max(0.0, self._clock() - waiting.came_at)
        load = len(self._running) + len(self._door)
        link.say(write_answers(waiting.batch.number, answers, decode_s, load, is_at_fault=is_at_fault))

    # ── Chores ────────────────────────────────────────────────────────────

    def _alive(self) -> str:
        state = self.state()
        return write_replica_alive(
            ReplicaAlive(state.busy, state.waiting, state.is_healthy, state.is_draining)
        )

    async def _tell_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            alive = self._alive()
            for link in self._links:
                link.say(alive)

    async def _watch(self) -> None:
        """Answer for calls that hang."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                self._check()
            except Exception as error:
                log.error("calls could not be looked after: %s", trace(error))

    def _check(self) -> None:
        assert self._lane is not None
        for run in self._lane.check(self._clock()):
            waiting = self._running.pop(run.batch[0].order)
            answers: list[Answer] = [DecodeFailure(request, "the decode hangs") for request in run.requests]
            self._answer(waiting, answers, is_at_fault=True)
