"""The front's end of one worker process: begins it, calls it, and sees it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from rtc_stt.config_keys import keys
from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import RtcSttError, Unavailable
from rtc_stt.handover import Handover
from signaling.calls import Call, Connected, Keeper, Meter, Watcher
from signaling.settings import Access, Server, WebRtc
from signaling.shared.record import session_of
from signaling.workers import figures
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.handovers import handover_to, read_kept
from signaling.workers.link import Link, open_link
from signaling.workers.messages import call_to, connected_from, error_from
from signaling.workers.pool_server import PoolServer

__all__ = ["Lost", "Member", "Process", "Spawn", "spawn"]

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
"""From the start of the process until it can take calls; two seconds, unless the machine is very busy."""

CALL_TIMEOUT_S = 10.0
"""For an answer. An offer with names that do not resolve takes some seconds."""

MOST_CALLS = 1_000
"""That wait for answers. A worker that is so far behind does not need more of them."""

SECRETS = frozenset(
    spec.name for group in (Server, Access, WebRtc) for spec in keys(group).values() if spec.secret
)
"""Keys that a worker does not inherit in its environment."""

EXIT_TIMEOUT_S = 3.0
"""For a process to end by itself."""


class Lost(RtcSttError):
    """The worker has ended, or could not be begun."""


class Process(Protocol):
    """What :class:`asyncio.subprocess.Process` has, as far as it is needed."""

    def kill(self) -> None:
        """End it. Raises ``ProcessLookupError`` where it has ended."""
        ...

    async def wait(self) -> int:
        """Its exit code."""
        ...


Spawn = Callable[[str, socket.socket], Awaitable[Process]]
"""Begins the worker of this name at the other end of a socket."""


async def spawn(name: str, theirs: socket.socket) -> Process:
    """Begin a process. It gets nothing but the socket: what it must know comes from there."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "signaling.workers.worker",
        name,
        str(theirs.fileno()),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        env={name: value for name, value in os.environ.items() if name not in SECRETS},
    )


class Member:
    """One process, from its start to its end. Another one with the same name may follow it.

    Args:
        pool: decodes for it.
        watch: is told of its sessions.
        meter: is told of their audio.
    """

    def __init__(self, name: str, pool: DecodePool, watch: Watcher, meter: Meter) -> None:
        loop = asyncio.get_running_loop()
        self.name = name
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done, with a reason, when it cannot be called any more."""
        self.figures: figures.Figures = {}
        """The last that it told."""
        self.heard_at = loop.time()
        """When it last gave a sign of life."""
        self.is_ready = False
        self._watch = watch
        self._meter = meter
        self._pool_server = PoolServer(pool, self._send)
        self._link: Link | None = None
        self._process: Process | None = None
        self._begun: asyncio.Future[None] = loop.create_future()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._given_up: set[int] = set()  # calls to connect that nobody waits for any more
        self._ids = itertools.count(1)
        self._sessions: set[str] = set()
        self.adopted: set[str] = set()
        """Those of them that another gateway has begun."""
        self._keeper: Keeper | None = None
        self._ended_early: set[str] = set()  # sessions that ended before their answer was here
        self._connecting = 0

    @property
    def load(self) -> int:
        """Sessions that it carries, or is about to."""
        return len(self._sessions) + self._connecting

    @property
    def sessions(self) -> int:
        """Sessions that it carries."""
        return len(self._sessions)

    # ── Its life ────────────────────────────────────────────────────────────

    async def begin(self, start: Spawn, setup: dict[str, Any]) -> None:
        """Start the process and wait until it can be called.

        Raises:
            Lost: it could not. :meth:`end` is still to be called.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await start(self.name, theirs)
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise Lost(f"the process cannot be started: {error.strerror}") from error
            raise
        self._link = await open_link(ours, self._receive, self._lose)
        self._send({"type": "begin", "name": self.name, **setup})
        outcomes: list[asyncio.Future[Any]] = [self._begun, self.lost]
        await asyncio.wait(outcomes, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if self.lost.done():
            raise Lost(self.lost.result())
        if not self._begun.done():
            raise Lost(f"it is not ready after {START_TIMEOUT_S:g} s")
        self.is_ready = True
        self._pool_server.tell_state()
        self.keep(self._keeper)

    async def end(self, *, gently: bool = False) -> int | None:
        """See the process out, and forget what it carried. Returns within thrice ``EXIT_TIMEOUT_S``.

        Returns:
            Its exit code; None where it never began, or does not end.
        """
        if gently:
            self._send({"type": "end"})
            await asyncio.wait([self.lost], timeout=EXIT_TIMEOUT_S)
        code = await self._exit_code() if gently else None
        if self._process and code is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            code = await self._exit_code()
            if code is None:
                log.error("%s does not end", self.name)
        if self._link:
            self._link.close("it was ended")
        self._lose("it was ended")
        return code

    def abandon(self, reason: str) -> None:
        """Do not call it any more."""
        if self._link:
            self._link.close(reason)

    def tell_state(self) -> None:
        """The pool has changed."""
        if self.is_ready:
            self._pool_server.tell_state()

    async def _exit_code(self) -> int | None:
        """Wait for it for a while."""
        if self._process is None:
            return None
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S):
                return await self._process.wait()
        except TimeoutError:
            return None

    def _lose(self, reason: str) -> None:
        if self.lost.done():
            return
        self.is_ready = False
        self.lost.set_result(reason)
        self._pool_server.close()
        for call in self._calls.values():
            if not call.done():
                call.set_exception(Lost(reason))
        for session_id in list(self._sessions):
            self._note(session_id, "ended")

    # ── Calls ────────────────────────────────────────────────────────────

    async def connect(self, call: Call) -> Connected:
        """See :meth:`signaling.calls.Host.connect`.

        Raises:
            Lost: it ended meanwhile.
        """
        self._connecting += 1
        try:
            connected: Connected = connected_from(await self.call("connect", call_to(call)))
            if self.lost.done():
                raise Lost(self.lost.result())
            if connected.session_id not in self._ended_early:
                self._sessions.add(connected.session_id)
            return connected
        finally:
            self._connecting -= 1
            if not self._connecting:
                self._ended_early.clear()

    async def call(self, method: str, fields: dict[str, Any], timeout: float = CALL_TIMEOUT_S) -> Any:
        """Let it do something.

        Raises:
            Lost: it ended meanwhile.
            Unavailable: it does not answer.
            ClientError and others: what the worker raised.
        """
        if self.lost.done():
            raise Lost(self.lost.result())
        if len(self._calls) + len(self._given_up) >= MOST_CALLS:
            raise Unavailable("the server has as much to do as it can; try again later")
        number = next(self._ids)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        self._send({"type": "call", "id": number, "method": method, "fields": fields})
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise Unavailable("the server takes too long to answer; try again later") from None
        finally:
            del self._calls[number]
            if method == "connect" and (answer.cancelled() or not answer.done()):
                self._given_up.add(number)

    async def adopt(self, token: str, handover: Handover) -> None:
        """See :meth:`signaling.calls.Host.adopt`.

        Raises:
            Lost: it ended meanwhile.
        """
        session_id = session_of(token) or ""
        self.adopted.add(session_id)
        self._sessions.add(session_id)
        try:
            await self.call("adopt", {"token": token, "handover": handover_to(handover)})
        except BaseException:
            self.adopted.discard(session_id)
            self._sessions.discard(session_id)
            raise

    def keep(self, keeper: Keeper | None) -> None:
        """Let it tell how far its sessions are."""
        self._keeper = keeper
        if keeper and self.is_ready:
            self._send({"type": "keep", "events": keeper.hears})

    def expel(self, session_id: str, code: str, message: str) -> None:
        """See :meth:`signaling.calls.Host.expel`."""
        self._send({"type": "expel", "session_id": session_id, "code": code, "message": message})

    # ── What it says ────────────────────────────────────────────────────────────

    def _send(self, header: dict[str, Any]) -> None:
        if self._link:
            self._link.send(header)

    def _receive(self, frame: Frame) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        if self._pool_server.receive(frame):
            return
        match frame.header:
            case {"type": "reply", "id": int(number)}:
                self._receive_reply(number, frame.header)
            case {"type": "watch", "session_id": str(session_id), "what": str(what)}:
                self._note(session_id, what)
            case {"type": "audio", "session_id": str(session_id), "seconds": float(seconds)} if seconds >= 0:
                self._meter(session_id, seconds)
            case {"type": "status"}:
                pass
            case {"type": "kept"} if self._keeper:
                read_kept(frame.header, self._keeper)
            case {"type": "ready"} if not self._begun.done():
                self._begun.set_result(None)
            case _:
                raise BadFrame(f"a worker says {frame.type}")

    def _receive_reply(self, number: int, header: dict[str, Any]) -> None:
        answer = self._calls.get(number)
        if answer is None or answer.done():
            if number in self._given_up:
                self._given_up.discard(number)
                self._hang_up(header)
        elif "error" in header:
            answer.set_exception(error_from(header["error"]))
        else:
            answer.set_result(header.get("result"))

    def _hang_up(self, header: dict[str, Any]) -> None:
        """It has connected someone who does not know of it."""
        match header:
            case {"result": {"peer_id": str(peer_id)}}:
                fields = {"peer_id": peer_id}
                self._send({"type": "call", "id": next(self._ids), "method": "disconnect", "fields": fields})

    def _note(self, session_id: str, what: str) -> None:
        if what == "ended":
            if self._connecting and session_id not in self._sessions:
                self._ended_early.add(session_id)
            self._sessions.discard(session_id)
            self.adopted.discard(session_id)
        self._watch(session_id, what)
