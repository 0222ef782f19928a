"""The service's session on a server, for as long as the service lives: begun again where it was lost.

What can be mended within a session is the affair of :class:`~rtc_stt.client.StreamClient`; this is about the
time before there is one, and after one that ended.

::

    what ended it                                 what follows
    ────────────────────────────────────────────  ────────────────────────────────────────────────────────
    stop                                          nothing
    401, 403, 404, 400: the request is wrong      told as an error that lasts; no further attempt
    the quota of the day                          likewise
    anything else, there was a session before     told as one that lasts: the client has been patient
    anything else, there never was one            told once, tried again; after ``patience_s`` one that lasts

After an error that lasts and may pass it is tried again all the same, every few seconds: whoever has turned
to another service meanwhile is told when there is a session again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rtc_stt.client import State, StreamClient
from rtc_stt.client.retries import ceiling
from rtc_stt.commands import Command, Configure, Finalize, Mute
from rtc_stt.errors import (
    BadAudio,
    ClientError,
    QuotaExceeded,
    RtcSttError,
    ServerError,
    TooMany,
    Unavailable,
    Unreachable,
)
from rtc_stt.events import Event, SessionEnded, SessionError

__all__ = ["KEPT_S", "Heard", "Line", "is_hopeless"]

KEPT_S = 30.0
"""Audio that is kept before there is a session; as the client keeps it afterwards."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
LONGEST_TOLD_S = 30.0
"""A server that wants to be asked later than this is asked then all the same."""

STOP_TIMEOUT_S = 20.0
"""For the last final, over a new connection if it must be: a pipeline that ends waits for it. The client
takes 11 s to notice that a connection is dead."""

STABLE_S = 10.0
"""A session that ends sooner did not work: the next attempt waits longer."""

FLUSHES = 64
"""Finalize requests that may wait for a first session; who asks more often gets one answer for several."""


class Heard(Protocol):
    """Whom a line tells."""

    async def on_event(self, event: Event) -> None:
        """An event of the session."""

    async def on_failure(self, error: RtcSttError, *, lasts: bool) -> None:
        """There is no session; whether nothing more is to be hoped for, at least for now."""

    def on_state(self, state: State) -> None:
        """The connection comes or goes."""


class Line:
    """See above.

    Args:
        make: gives a client that has not begun, with no patience for the first connection; it is given its
            ``on_state``.
        heard: whom to tell.
        bytes_per_s: of the audio.
        patience_s: for how long a first session is tried for before it is given up.
    """

    def __init__(
        self,
        make: Callable[[Callable[[State], None]], StreamClient],
        heard: Heard,
        *,
        bytes_per_s: int,
        patience_s: float,
    ) -> None:
        self._make = make
        self._heard = heard
        self._limit = int(KEPT_S * bytes_per_s)
        self._patience_s = patience_s
        self._client: StreamClient | None = None
        self._waiting: deque[bytes | Command] = deque()  # what was said before there was a session
        self._waiting_bytes = 0
        self._options: dict[str, object] = {}  # of a new session, before what waits
        self._muted = False
        self._stopping = False
        self._begun, self._over = asyncio.Event(), asyncio.Event()
        self._lived_s: float | None = None  # of the last session; None where there was none
        self._flushes: set[asyncio.Task[None]] = set()

    # ── What the service says ────────────────────────────────────────────────────────────

    def push(self, audio: bytes) -> None:
        """Speak; before there is a session it is kept, the newest of it."""
        if self._client:
            self._client.push(audio)
            return
        self._waiting.append(audio)
        self._waiting_bytes += len(audio)
        while self._waiting_bytes > self._limit:
            match self._waiting.popleft():
                case bytes(oldest):
                    self._waiting_bytes -= len(oldest)
                case command:
                    self._remember(command)

    def finalize(self) -> None:
        """Commit what was spoken so far; answered by the event ``finalized``."""
        if self._client:
            self._flush(self._client)
        elif sum(isinstance(said, Finalize) for said in self._waiting) < FLUSHES:
            self._waiting.append(Finalize(""))

    async def configure(self, options: dict[str, object]) -> None:
        """Change options, of this session and of those after it."""
        if options:
            await self._say(Configure(options))

    async def mute(self, on: bool) -> None:
        """Likewise."""
        await self._say(Mute(on))

    async def stop(self) -> bool:
        """Let what was spoken be finalised, and end the session. Where that cannot be, it is told.

        Returns:
            Whether it has come to its end: then :meth:`run` ends by itself, when the last event has been
            told.
        """
        if self._client is None and not self._waiting_bytes:
            self._stopping = True  # nothing was spoken
            return False
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._wait_for_session()
                self._stopping = True
                if self._client:
                    await self._client.stop()
        except TimeoutError:
            self._stopping = True
            missing = Unreachable("the pipeline ends, and what was spoken last could not be transcribed")
            await self._heard.on_failure(missing, lasts=True)
            return False
        return True

    async def _wait_for_session(self) -> None:
        """Until there is one, or never will be."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._begun, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # ── Its life ────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until :meth:`stop`, or an error that makes further attempts useless."""
        try:
            await self._run()
        finally:
            self._over.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        given_up_at = loop.time() + self._patience_s
        told: tuple[type[RtcSttError], bool] | None = None
        failures = 0
        while error := await self._live():
            if self._stopping:  # what was spoken last is in no final
                await self._heard.on_failure(error, lasts=True)
                return
            if self._lived_s is not None:  # the client has had its patience
                given_up_at, told = loop.time(), None
                failures = 0 if self._lived_s >= STABLE_S else failures
            wait = _wait(error, failures)
            failures += 1
            lasts = is_hopeless(error) or loop.time() + wait >= given_up_at
            if told != (type(error), lasts):
                told = (type(error), lasts)
                await self._heard.on_failure(error, lasts=lasts)
            if is_hopeless(error):
                return
            await asyncio.sleep(wait)

    async def _live(self) -> RtcSttError | None:
        """One session; why it ended, None where it was asked to."""
        loop = asyncio.get_running_loop()
        why: RtcSttError | None = None
        begun: float | None = None
        client = self._make(self._heard.on_state)
        if self._options:
            await client.configure(**self._options)
        if self._muted:
            await client.mute(True)
        try:
            async with client:
                begun = loop.time()
                await self._begin(client)
                async for event in client:
                    why = _reason(event) or why
                    await self._heard.on_event(event)
        except RtcSttError as error:
            why = error
        finally:
            self._client = None
            self._begun.clear()
            self._lived_s = None if begun is None else loop.time() - begun
        if self._stopping:
            return why
        return why or Unavailable("the server has ended the session", retry_after_s=0)

    async def _begin(self, client: StreamClient) -> None:
        """Say what was said before there was a session, in its order."""
        while self._waiting:
            match self._waiting.popleft():
                case bytes(audio):
                    client.push(audio)
                case Finalize():
                    self._flush(client)
                    await asyncio.sleep(0)  # let it be said, before the audio after it
                case command:
                    await self._tell(client, command)
        self._waiting_bytes = 0
        self._client = client
        self._begun.set()

    async def _say(self, command: Command) -> None:
        if self._client:
            await self._tell(self._client, command)
        else:
            self._waiting.append(command)

    async def _tell(self, client: StreamClient, command: Command) -> None:
        self._remember(command)
        match command:
            case Configure():
                await client.configure(**command.changes)
            case Mute():
                await client.mute(command.on)

    def _remember(self, command: Command) -> None:
        """For the sessions after this one."""
        match command:
            case Configure():
                self._options |= command.changes
            case Mute():
                self._muted = command.on

    def _flush(self, client: StreamClient) -> None:
        task = asyncio.get_running_loop().create_task(_finalize(client))
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)


async def _finalize(client: StreamClient) -> None:
    with contextlib.suppress(RtcSttError):  # run() tells it
        await client.finalize()


def is_hopeless(error: RtcSttError) -> bool:
    """Whether the same request will fail again, for today at least."""
    return isinstance(error, QuotaExceeded) or (
        isinstance(error, ClientError) and not isinstance(error, TooMany)
    )


def _wait(error: RtcSttError, failures: int) -> float:
    """Seconds until the next attempt, not before the server wants it."""
    spread = 0.5 + random.random() / 2  # noqa: S311 — guards nothing
    wait = ceiling(failures, FIRST_WAIT_S, LONGEST_WAIT_S) * spread
    if isinstance(error, TooMany | Unavailable):
        wait = max(wait, min(error.retry_after_s, LONGEST_TOLD_S))
    return wait


def _reason(event: Event) -> RtcSttError | None:
    """What an event tells about a session that is about to end by itself."""
    match event:
        case SessionError(fatal=True, code="quota_exceeded"):
            return QuotaExceeded(event.message)
        case SessionError(fatal=True, code="bad_audio"):
            return BadAudio(event.message)
        case SessionError(fatal=True, code="overloaded"):
            return Unavailable(event.message)
        case SessionError(fatal=True):
            return ServerError(event.message)
        case SessionEnded(reason="deleted"):
            return Unavailable("the session was deleted on the server", retry_after_s=0)
    return None
