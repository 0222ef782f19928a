"""What every client of a live session does, however its audio travels: events once and in order, commands
that outlive a connection, and a connection that is made anew when it is lost.

The decisions are in :mod:`~rtc_stt.client.reconnect` and :mod:`~rtc_stt.client.pulse`; this is the pump.
"""

from __future__ import annotations

import abc
import asyncio
import enum
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from rtc_stt.client.pulse import Acks, Beat, Heartbeat
from rtc_stt.client.reconnect import Attempts, Follow, GiveUp, Proceed, Retry, Step, begins_anew
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.errors import RtcSttError, Unreachable
from rtc_stt.events import (
    Event,
    Finalized,
    Pong,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SpeechStarted,
    TranscriptFinal,
    UtteranceDropped,
)
from rtc_stt.wire import decode_event

__all__ = ["SessionPump", "State", "Transport"]

WELCOME_TIMEOUT_S = 10.0
"""From the open connection to the first event."""

STOP_TIMEOUT_S = 20.0
"""For the last final, over a new connection if it must be."""

MAX_WAITING_EVENTS = 10_000
"""Events that nobody has taken. Who is so far behind does not read them."""


class State(enum.Enum):
    """What ``on_state`` is told."""

    CONNECTED = enum.auto()
    """Audio goes to the server."""
    RECONNECTING = enum.auto()
    """The connection is lost, and a new one is being made."""
    ENDED = enum.auto()


class Transport(Protocol):
    """One connection."""

    def send(self, command: Command) -> None:
        """Send a command. Where that cannot be, it is lost, and so is the connection before long."""

    def close(self) -> Coroutine[Any, Any, None]:
        """Say nothing more from now on; the coroutine lets go of everything within bounded time."""


class SessionPump(abc.ABC):
    """See above.

    Args:
        url: where sessions begin.
        patience_s: for how long a connection is tried before it is given up.
        on_state: told when the connection comes and goes; it must not raise.
        first_patience_s: instead of ``patience_s`` for the very first one.
    """

    _hears_again = False
    """Whether a new session is given the audio of the one before that has no text yet."""

    def __init__(
        self,
        url: str,
        *,
        patience_s: float,
        on_state: Callable[[State], None],
        first_patience_s: float | None = None,
    ) -> None:
        self._first_url = url
        self._session_url = url  # where the session lives, redirects followed
        self._patience_s = patience_s
        self._first_patience_s = patience_s if first_patience_s is None else first_patience_s
        self._on_state = on_state
        self._session: SessionStarted | None = None
        self._open: set[int] = set()  # utterances of it that have no conclusion yet
        self._connection: Transport | None = None  # the one that is good
        self._acks = Acks()
        self._heartbeat: Heartbeat | None = None
        self._timer: asyncio.TimerHandle | None = None
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

    async def _begin(self) -> None:
        """Make the first connection, and keep it.

        Raises:
            RtcSttError: there is none. Then nothing is left to close.
        """
        loop = asyncio.get_running_loop()
        self._welcome: asyncio.Future[None] = loop.create_future()
        self._loss: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[None] = loop.create_future()
        try:
            await self._connect(is_first=True)
        except BaseException:
            await self._close()
            raise
        self._pumps.append(loop.create_task(self._run()))

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, each once; ends after ``session.ended``."""
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # for who asks again
        if self._failure:
            raise self._failure

    # ── What a user says ────────────────────────────────────────────────────────────

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
            is_done = self._stopping and self._session is None and not self._is_owed_text()
            self._failure = None if is_done else error
        finally:
            self._finish()

    async def _connect(self, *, is_first: bool) -> None:
        """Try until there is a connection that the session has greeted, or it makes no sense any more."""
        loop = asyncio.get_running_loop()
        patience_s = self._first_patience_s if is_first else self._patience_s
        attempts = Attempts(loop.time(), patience_s=patience_s, is_first=is_first)
        url = self._session_url if self._session else self._first_url
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
                        self._session, url = None, self._first_url
                        if self._stopping and not (self._hears_again and self._is_owed_text()):
                            raise Unreachable("the session is gone, and its last words with it")
                    await asyncio.sleep(after_s)
                case GiveUp(error):
                    raise error

    def _is_owed_text(self) -> bool:
        """Whether something was said that nobody was told the text of."""
        return bool(self._open)

    @abc.abstractmethod
    async def _try(self, attempts: Attempts, url: str) -> Step:
        """Make one connection to a server, and :meth:`_greet` over it. What follows from how that went."""

    def _prepare(self) -> tuple[str, int] | None:
        """A new connection is about to be made; gives token and last number where it resumes a session."""
        loop = asyncio.get_running_loop()
        self._welcome, self._loss = loop.create_future(), loop.create_future()
        return (self._session.resume_token, self._acks.seen) if self._session else None

    async def _greet(self, connection: Transport) -> None:
        """Wait for the session's first word, then say again what it may not have heard."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(WELCOME_TIMEOUT_S):
            await asyncio.wait([self._welcome, self._loss], return_when=asyncio.FIRST_COMPLETED)
        if not self._welcome.done():
            raise TimeoutError
        self._connection = connection
        self._heartbeat = Heartbeat(loop.time())
        self._acknowledge()
        self._say_again()
        self._set_timer()

    def _say_again(self) -> None:
        """What the session may not have heard, or what a new one has not."""
        if self._options:
            self._command(Configure(self._options))
        if self._muted:
            self._command(Mute(True))
        for request_id in self._finalizing:
            self._asked_again.add(request_id)
            self._command(Finalize(request_id))
        if self._stopping:
            self._command(Stop())

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
        if isinstance(event, SessionStarted | SessionResumed):
            self._greeted()
        if not self._acks.is_new(event):
            return
        if self._acks.receive(event, asyncio.get_running_loop().time()):
            self._acknowledge()
        self._keep(event)
        self._set_timer()

    def _greeted(self) -> None:
        """The session has said its first word on this connection."""
        if not self._welcome.done():
            self._welcome.set_result(None)

    def _keep(self, event: Event) -> None:
        match event:
            case SessionStarted() | SessionResumed(moved=True):
                self._open.clear()
            case SpeechStarted():
                self._open.add(event.utterance_id)
            case TranscriptFinal() | UtteranceDropped():
                self._open.discard(event.utterance_id)
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
            case Beat.DOUBT:
                self._doubt()
        due = self._acks.next_deadline()
        if due is not None and now >= due:
            self._acknowledge()
        self._set_timer()

    @abc.abstractmethod
    def _doubt(self) -> None:
        """The server does not answer a ping: is it dead?"""

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
