"""A live session with a server: audio goes there, events come back, and a lost connection is made anew.

The decisions are in :mod:`~rtc_stt.client.reconnect` and :mod:`~rtc_stt.client.pulse`; this is the pump.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.client.audio_out import Packer
from rtc_stt.client.connection import Connection
from rtc_stt.client.pulse import Acks, Beat, Heartbeat, Pacer
from rtc_stt.client.reconnect import Attempts, Follow, GiveUp, Proceed, Retry, Step, begins_anew
from rtc_stt.client.whip import Accepted, Whip
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.errors import RtcSttError, Unreachable
from rtc_stt.events import Event, Finalized, Pong, SessionEnded, SessionResumed, SessionStarted
from rtc_stt.wire import decode_event

__all__ = ["LiveSession", "State"]

log = logging.getLogger(__name__)

WELCOME_TIMEOUT_S = 10.0
"""From the open channel to the first event."""

STOP_TIMEOUT_S = 20.0
"""For the last final, over a new connection if it must be."""

TAIL_S = 0.3
"""From the end of a track to ``stop``: its last packets are still on their way."""

SLICE = SAMPLE_RATE // 10

MAX_WAITING_EVENTS = 10_000
"""Events that nobody has taken. Who is so far behind does not read them."""


class State(enum.Enum):
    """What :class:`LiveSession` tells ``on_state``."""

    CONNECTED = enum.auto()
    """Audio goes to the server."""
    RECONNECTING = enum.auto()
    """The connection is lost; audio is dropped until there is a new one."""
    ENDED = enum.auto()


class LiveSession:
    """``async with LiveSession(url, key=…, track=…) as live: async for event in live: …``

    A lost connection is made anew, with the same session where the server still has it: missed events come,
    then ``session.resumed``. Where the session is gone, a new one begins with a ``session.started``: its
    utterances and numbers start from 1, and what was configured is configured again. Audio of the time
    between is dropped, and the server counts it as lost.

    Args:
        url: of the server, such as ``https://stt.example.org``.
        key: an API key; for programs that run on servers.
        token: of ``POST /v1/tokens``; for others.
        track: what to send. It is read as it comes, also while there is no connection, and when it ends the
            session is asked to stop. Without one, audio is given by :meth:`send`.
        patience_s: for how long a connection is tried before it is given up. The very first one is given up
            at once where the server cannot be reached.
        on_state: told when the connection comes and goes; it must not raise.

    Raises:
        Unauthorized, Forbidden: the key or the token is not good.
        NotFound, BadRequest, Unprocessable, UnsupportedMedia: ``url`` is no server of this kind.
        Unavailable, TooMany: it is full, for longer than ``patience_s``.
        Unreachable: there is no connection for so long, or events are not read.
        All by ``async with`` for the first connection, and by the iterator for those after it.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: str | None = None,
        track: MediaStreamTrack | None = None,
        patience_s: float = 60.0,
        on_state: Callable[[State], None] = lambda state: None,
    ) -> None:
        self._whip_url = urljoin(url.rstrip("/") + "/", "whip")
        self._ice_url = urljoin(url.rstrip("/") + "/", "v1/ice-servers")
        self._secret = key or token
        self._track = track
        self._patience_s = patience_s
        self._on_state = on_state
        self._session: SessionStarted | None = None
        self._session_url = self._whip_url  # where the session lives, redirects followed
        self._connection: Connection | None = None  # the one that is good
        self._resource: str | None = None
        self._acks = Acks()
        self._heartbeat: Heartbeat | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._packer, self._pacer = Packer(), Pacer()
        self._options: dict[str, object] = {}
        self._muted = False
        self._stopping = False
        self._finalizing: dict[str, asyncio.Future[Finalized]] = {}
        self._asked_again: set[str] = set()  # finalize requests that may be answered twice
        self._ended: SessionEnded | None = None
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._failure: RtcSttError | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self._farewells: set[asyncio.Task[None]] = set()  # connections and sessions that are let go

    @property
    def session_id(self) -> str | None:
        """Of the session that goes on now; None before the first ``session.started``."""
        return self._session.session_id if self._session else None

    # ── Its life ────────────────────────────────────────────────────────────

    async def __aenter__(self) -> LiveSession:
        loop = asyncio.get_running_loop()
        self._whip = Whip(self._secret)
        self._welcome: asyncio.Future[None] = loop.create_future()
        self._loss: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[None] = loop.create_future()
        try:
            await self._connect(is_first=True)
        except BaseException:
            await self._close()
            raise
        self._pumps.append(loop.create_task(self._run()))
        if self._track:
            self._pumps.append(loop.create_task(self._read(self._track)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session, wherever it is; what is open is not waited for (see :meth:`stop`)."""
        resource = None if self._ended else self._resource
        if resource:
            await self._whip.delete(resource)
        await self._close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, each once; ends after ``session.ended``."""
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # for who asks again
        if self._failure:
            raise self._failure

    # ── What a user says ────────────────────────────────────────────────────────────

    async def send(self, samples: Samples) -> None:
        """Speak: 16 kHz mono float32 in [-1, 1], shape ``(n,)``. Takes as long as the audio, a little ahead.

        Without a connection, and after the end, what is given is dropped.
        """
        for start in range(0, len(samples), SLICE):
            piece = samples[start : start + SLICE]
            for frame in self._packer.push(piece):
                self._speak(frame)
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._pacer.wait_s(len(piece) / SAMPLE_RATE, now))

    async def configure(self, **options: object) -> None:
        """Change options from here on, as the command ``configure`` does; also of a new session."""
        for name, value in options.items():
            before = self._options.get(name)
            if isinstance(before, dict) and isinstance(value, dict):
                value = before | value
            self._options[name] = value
        self._command(Configure(options))

    async def mute(self, on: bool) -> None:
        """Let audio count as silence; likewise."""
        self._muted = on
        self._command(Mute(on))

    async def finalize(self) -> Finalized:
        """Commit what is heard so far; gives the answer, which comes after the final.

        Raises:
            Unreachable: the session is over before there is an answer.
        """
        answer: asyncio.Future[Finalized] = asyncio.get_running_loop().create_future()
        if self._over.done():
            raise Unreachable("the session is over")
        request_id = secrets.token_urlsafe(6)
        self._finalizing[request_id] = answer
        self._command(Finalize(request_id))
        return await answer

    async def stop(self) -> None:
        """Finalise what is open and end the session; returns when that is done. Events can still be read.

        Raises:
            TimeoutError: it did not end within ``STOP_TIMEOUT_S``.
        """
        self._stopping = True
        self._command(Stop())
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.shield(self._over)

    def _command(self, command: Command) -> None:
        """Say it now; without a connection it is said when there is one."""
        if self._connection:
            self._connection.send(command)

    def _speak(self, frame: Any) -> None:
        if self._connection:
            self._connection.outlet.put(frame)

    async def _read(self, track: MediaStreamTrack) -> None:
        """The pump from the user's track."""
        try:
            while True:
                self._speak(await track.recv())
        except MediaStreamError:
            await asyncio.sleep(TAIL_S)
            self._stopping = True
            self._command(Stop())

    # ── Connections ────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        """From one loss to the next."""
        try:
            while True:
                await asyncio.shield(self._loss)
                self._drop_connection()
                if self._failure:
                    break
                if self._ended and (self._stopping or not begins_anew(self._ended.reason)):
                    break
                if self._ended:
                    self._session = None
                self._on_state(State.RECONNECTING)
                await self._connect(is_first=False)
        except RtcSttError as error:
            self._failure = None if self._stopping and self._session is None else error
        finally:
            self._finish()

    async def _connect(self, *, is_first: bool) -> None:
        """Try until there is a connection that the session has greeted, or it makes no sense any more."""
        loop = asyncio.get_running_loop()
        attempts = Attempts(loop.time(), patience_s=self._patience_s, is_first=is_first)
        url = self._session_url if self._session else self._whip_url
        while True:
            step = await self._try(attempts, url)
            match step:
                case Proceed():
                    self._session_url = url
                    self._on_state(State.CONNECTED)
                    return
                case Follow(target):
                    url = target
                case Retry(after_s, anew):
                    if anew:
                        self._session, url = None, self._whip_url
                        if self._stopping:
                            raise Unreachable("the session is gone")
                    await asyncio.sleep(after_s)
                case GiveUp(error):
                    raise error

    async def _try(self, attempts: Attempts, url: str) -> Step:
        """One offer, and what follows from its answer."""
        loop = asyncio.get_running_loop()
        resume = (self._session.resume_token, self._acks.seen) if self._session else None
        self._welcome, self._loss = loop.create_future(), loop.create_future()
        connection, accepted, is_good = None, None, False
        chance = random.random()  # noqa: S311 — spreads clients, guards nothing
        try:
            servers = await self._whip.ice_servers(self._ice_url, loop.time())
            connection = Connection(servers, self._receive, self._lose)
            answer, accepted = await self._whip.post(url, await connection.offer(), resume)
            if accepted is not None:
                await connection.accept(accepted.sdp)
                await self._greet(connection, accepted)
                is_good = True
            return attempts.decide(answer, url, resuming=resume is not None, now=loop.time(), chance=chance)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.info("an attempt to connect failed: %s", type(error).__name__)
            return attempts.failed(now=loop.time(), chance=chance)
        finally:
            if connection and not is_good:
                self._bid_farewell(connection.close())
                if accepted and not resume:
                    self._bid_farewell(self._whip.delete(accepted.resource))

    async def _greet(self, connection: Connection, accepted: Accepted) -> None:
        """Wait for the session's first word, then say again what it may not have heard."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WELCOME_TIMEOUT_S):
            await asyncio.wait([self._welcome, self._loss], return_when=asyncio.FIRST_COMPLETED)
        if not self._welcome.done():
            raise TimeoutError
        self._connection, self._resource = connection, accepted.resource
        self._heartbeat = Heartbeat(loop.time())
        self._acknowledge()
        if self._options:
            self._command(Configure(self._options))
        if self._muted:
            self._command(Mute(True))
        for request_id in self._finalizing:
            self._asked_again.add(request_id)
            self._command(Finalize(request_id))
        if self._stopping:
            self._command(Stop())
        self._set_timer()

    def _drop_connection(self) -> None:
        connection, self._connection, self._heartbeat = self._connection, None, None
        if connection:
            self._bid_farewell(connection.close())

    def _lose(self) -> None:
        if not self._loss.done():
            self._loss.set_result(None)

    # ── Events ────────────────────────────────────────────────────────────

    def _receive(self, message: str | bytes) -> None:
        """Take what the server sent; what is no event, or was seen before, is skipped."""
        try:
            event = decode_event(message)
        except ValueError:  # a tick, or a type of a later version
            return
        if isinstance(event, SessionStarted) and event.session_id != self.session_id:
            self._session, self._acks, self._ended = event, Acks(), None
        if isinstance(event, SessionStarted | SessionResumed) and not self._welcome.done():
            self._welcome.set_result(None)
        if not self._acks.is_new(event):
            return
        if self._acks.receive(event, asyncio.get_running_loop().time()):
            self._acknowledge()
        self._keep(event)
        self._set_timer()

    def _keep(self, event: Event) -> None:
        match event:
            case Pong():
                if self._heartbeat:
                    self._heartbeat.receive_pong(asyncio.get_running_loop().time())
                return
            case Finalized() if event.id in self._asked_again and event.id not in self._finalizing:
                self._asked_again.discard(event.id)
                return
            case Finalized():
                answer = self._finalizing.pop(event.id, None)
                if answer and not answer.done():
                    answer.set_result(event)
            case SessionEnded():
                self._ended = event
                self._lose()
        if self._events.qsize() > MAX_WAITING_EVENTS:
            self._failure = Unreachable("events are not read")
            self._lose()
            return
        self._events.put_nowait(event)

    def _acknowledge(self) -> None:
        if self._connection:
            self._connection.send(Ack(self._acks.sent(asyncio.get_running_loop().time())))

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._heartbeat is None:
            return
        due = [self._heartbeat.next_deadline(), self._acks.next_deadline()]
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(min(at for at in due if at is not None), self._ring)

    def _ring(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        if self._heartbeat is None:
            return
        match self._heartbeat.handle_timer(now):
            case Beat.LOST:
                self._lose()
                return
            case Beat.PING:
                self._command(Ping("sdk"))
        due = self._acks.next_deadline()
        if due is not None and now >= due:
            self._acknowledge()
        self._set_timer()

    # ── The end ────────────────────────────────────────────────────────────

    def _finish(self) -> None:
        """Nothing more comes."""
        if self._over.done():
            return
        self._over.set_result(None)
        for answer in self._finalizing.values():
            if not answer.done():
                answer.set_exception(Unreachable("the session is over"))
        self._finalizing.clear()
        self._events.put_nowait(None)
        self._on_state(State.ENDED)

    def _bid_farewell(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for task in self._pumps:
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._drop_connection()
        await asyncio.gather(*self._farewells, return_exceptions=True)
        await self._whip.close()
