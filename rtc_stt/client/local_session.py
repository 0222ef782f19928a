"""A live session with an engine in this process: no server, no network, the same events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.commands import Configure, Finalize, Mute, Stop
from rtc_stt.errors import Unreachable
from rtc_stt.events import Event, Finalized, SessionEnded
from rtc_stt.session import Session, Speech

__all__ = ["LocalSession"]

BYTES_PER_SAMPLE = 2

MAX_BACKLOG_S = 5.0
"""Audio that may wait for the detector before :meth:`LocalSession.send` does."""


class LocalSession:
    """``async with LocalSession(speech) as live: live.push(audio) … async for event in live: …``

    What is said and heard is as of :class:`~rtc_stt.client.StreamClient`; there is no connection to lose.

    Args:
        speech: models and detector, shared by any number of sessions; see
            :func:`rtc_stt.loading.load_speech`. It is not closed.
        transport: how the speaker is connected, for metrics.
    """

    def __init__(self, speech: Speech, *, transport: str = "local") -> None:
        self._speech = speech
        self._transport = transport
        self._session: Session | None = None
        self._options: dict[str, object] = {}
        self._half = b""  # of a sample
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._finalizing: dict[str, asyncio.Future[Finalized]] = {}

    async def __aenter__(self) -> LocalSession:
        self._session = Session(self._speech, self._receive, transport=self._transport)
        self._session.start()
        if self._options:
            self._session.receive_command(Configure(self._options))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session; what is open is dropped (see :meth:`stop`)."""
        if self._session:
            self._session.abort("closed")

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events, each once; ends after ``session.ended``."""
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # for who asks again

    @property
    def session_id(self) -> str | None:
        """None before the session has begun."""
        return self._session.id if self._session else None

    @property
    def origin_s(self) -> float:
        """Where in the audio given so far the session's time began: at its first sample."""
        return 0.0

    def unsettled(self) -> bytes:
        """Audio that another session would have to hear: none, there is nobody to lose it."""
        return b""

    # ── What a user says ────────────────────────────────────────────────────────────

    def push(self, audio: bytes) -> None:
        """Speak without waiting: ``pcm_s16le``, 16 kHz, mono, of any length. After the end, nothing."""
        data = self._half + audio
        whole = len(data) - len(data) % BYTES_PER_SAMPLE
        self._half = data[whole:]
        if whole and self._session:
            pcm = np.frombuffer(data[:whole], "<i2").astype(np.float32)
            self._session.receive_audio(pcm / np.float32(32768))

    async def send(self, samples: Samples) -> None:
        """Hear a recording: 16 kHz mono float32 in [-1, 1], shape ``(n,)``, as fast as the machine can."""
        for start in range(0, len(samples), SAMPLE_RATE):
            while self._session and self._session.backlog_s > MAX_BACKLOG_S:
                await asyncio.sleep(0.005)
            if self._session:
                self._session.receive_audio(samples[start : start + SAMPLE_RATE])

    async def configure(self, **options: object) -> None:
        """Change options from here on, as the command ``configure`` does; also before it begins."""
        if self._session:
            self._session.receive_command(Configure(options))
        else:
            self._options |= options

    async def mute(self, on: bool) -> None:
        """Let audio count as silence."""
        self._live.receive_command(Mute(on))

    async def finalize(self) -> Finalized:
        """Commit what is heard so far; gives the answer, which comes after the final.

        Raises:
            Unreachable: the session is over before there is an answer.
        """
        session = self._live
        if session.ended.done():
            raise Unreachable("the session is over")
        answer: asyncio.Future[Finalized] = asyncio.get_running_loop().create_future()
        request_id = secrets.token_urlsafe(6)
        self._finalizing[request_id] = answer
        session.receive_command(Finalize(request_id))
        return await answer

    async def stop(self) -> None:
        """Finalise what is open and end the session; returns when that is done. Events can still be read."""
        session = self._live
        session.receive_command(Stop())
        await asyncio.shield(session.ended)

    @property
    def _live(self) -> Session:
        assert self._session, "the session has not begun: use it in `async with`"
        return self._session

    # ── What it tells ────────────────────────────────────────────────────────────

    def _receive(self, event: Event) -> None:
        self._events.put_nowait(event)
        if isinstance(event, Finalized):
            answer = self._finalizing.pop(event.id, None)
            if answer and not answer.done():
                answer.set_result(event)
        elif isinstance(event, SessionEnded):
            self._events.put_nowait(None)
            for answer in self._finalizing.values():
                if not answer.done():
                    answer.set_exception(Unreachable("the session is over"))
            self._finalizing.clear()
