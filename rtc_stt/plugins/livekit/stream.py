"""One stream of a voice agent: frames in, a live session, events out. The pump."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, stt
from livekit.agents.utils.aio import ChanClosed

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.client import LocalSession, StreamClient
from rtc_stt.errors import RtcSttError
from rtc_stt.events import Event, SessionEnded, SessionError, SessionStarted, SessionWarning
from rtc_stt.plugins.livekit.clock import Clock
from rtc_stt.plugins.livekit.errors import session_error, translate
from rtc_stt.plugins.livekit.mapping import Mapping
from rtc_stt.plugins.livekit.options import Options

__all__ = ["Live", "RecognizeStream"]

log = logging.getLogger(__name__)

Live = StreamClient | LocalSession

USAGE_S = 5.0
"""Of audio between two reports of usage."""

STALL_S = 1.0
"""Without audio while someone speaks: a microphone that was switched off sends none, and its speaker is done.
A server waits longer, for what a lost connection may still bring."""

COMPLETE = ("stopped", "drained")
"""Why a session ends that has told all."""

AT_A_TIME = 50
"""Frames before others get their turn: there are many after a connection that took long."""


class _Times:
    """Where the media time of the present session lies in the audio of the stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = 0.0
        """Of the stream, on the timeline of the framework."""
        self.session_s = 0.0

    def stream(self, ms: int) -> float:
        return self.offset_s + self.session_s + ms / 1000

    def wall(self, ms: int) -> float | None:
        return self._clock.wall(self.session_s + ms / 1000)


class RecognizeStream(stt.RecognizeStream):
    """Made by :meth:`rtc_stt.plugins.livekit.STT.stream`.

    A lost connection is the client's affair, and nothing is seen of it here. When that gives up, the
    framework begins anew, and the audio without a final is heard again.

    Args:
        stt: whose it is.
        connect: makes a session.
        options: to begin with.
        secret: of the connection; is told to nobody.
        on_session: is told of each session that begins.
    """

    def __init__(
        self,
        *,
        stt: stt.STT[Any],
        connect: Callable[[], Live],
        options: Options,
        conn_options: APIConnectOptions,
        secret: str | None,
        on_session: Callable[[SessionStarted], None],
    ) -> None:
        super().__init__(stt=stt, conn_options=conn_options, sample_rate=SAMPLE_RATE)
        self._connect = connect
        self._options = options
        self._secret = secret
        self._on_session = on_session
        self._live: Live | None = None
        self._clock = Clock(time.time())
        self._times = _Times(self._clock)
        self._mapping = Mapping(self._times, language=options.language)
        self._pushed = 0  # samples, since the stream began
        self._base_s: float | None = None  # its offset, as the framework said at first
        self._began_s = 0.0  # where in it the audio of the present client began
        self._unsettled = b""  # audio that the client before leaves
        self._unbilled = 0  # samples
        self._input_over = False
        self._jobs: set[asyncio.Task[None]] = set()

    @property
    def options(self) -> Options:
        """What it is asked for now."""
        return self._options

    def update(self, options: Options) -> None:
        """Ask for something else from here on, in the same session."""
        changes = options.changes(self._options)
        self._options = options
        if changes and self._live:
            self._do(self._live.configure(**changes))

    # ── Its life ────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        """One client, from its connection to the end of the input.

        Raises:
            APIError: whatever goes wrong; the framework lives with no other.
        """
        # The framework adds the time of failed attempts; the audio of that time is in the count already.
        self._base_s = self.start_time_offset if self._base_s is None else self._base_s
        self.start_time_offset = self._times.offset_s = self._base_s
        try:
            await self._converse()
        except Exception as error:
            if not isinstance(error, APIError | RtcSttError | TimeoutError):
                log.warning("a stream failed: %s", type(error).__name__)
            self._tell(self._mapping.abandon())
            raise translate(error, self._secret) from None
        finally:
            self._bill()

    async def _converse(self) -> None:
        self._input_over = False
        live = self._live = self._connect()
        await live.configure(**self._options.configure())
        began = time.perf_counter()
        async with asyncio.timeout(self._conn_options.timeout) as limit, live:
            limit.reschedule(None)
            self._report_connection_acquired(time.perf_counter() - began, False)
            self._began_s = (self._pushed - len(self._unsettled) // 2) / SAMPLE_RATE
            live.push(self._unsettled)
            tasks = [asyncio.create_task(self._read(live)), asyncio.create_task(self._feed(live))]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                self._live, self._unsettled = None, live.unsettled()
                for task in [*tasks, *self._jobs]:
                    task.cancel()
                await asyncio.gather(*tasks, *self._jobs, return_exceptions=True)

    # ── In ────────────────────────────────────────────────────────────

    async def _feed(self, live: Live) -> None:
        count = 0
        while (data := await self._next(live)) is not None:
            if isinstance(data, rtc.AudioFrame):
                self._push(live, data)
                count += 1
                if count % AT_A_TIME == 0:
                    await asyncio.sleep(0)
            else:
                self._mapping.flush()
                await self._finalize(live)
        self._input_over = True
        await live.stop()

    async def _next(self, live: Live) -> rtc.AudioFrame | stt.RecognizeStream._FlushSentinel | None:
        """What comes next; None at the end of the input."""
        while True:
            try:
                async with asyncio.timeout(STALL_S):
                    return await self._input_ch.recv()
            except TimeoutError:
                if self._mapping.is_speaking and not self._jobs:
                    await self._finalize(live)
            except ChanClosed:
                return None

    def _push(self, live: Live, frame: rtc.AudioFrame) -> None:
        pcm = bytes(frame.data)
        if frame.num_channels > 1:
            rows = np.frombuffer(pcm, np.int16).reshape(-1, frame.num_channels)
            pcm = rows.mean(axis=1).astype(np.int16).tobytes()
        self._pushed += frame.samples_per_channel
        self._unbilled += frame.samples_per_channel
        self._clock.heard(self._pushed / SAMPLE_RATE, time.time())
        live.push(pcm)
        if self._unbilled >= USAGE_S * SAMPLE_RATE:
            self._bill()

    async def _finalize(self, live: Live) -> None:
        async def answered() -> None:
            await live.finalize()  # what it gives is told in the events, in its place

        self._do(answered())
        await asyncio.sleep(0)  # it is said before what comes next

    def _do(self, job: Coroutine[Any, Any, None]) -> None:
        """Let a command be said, and its answer come. That the session may end before is for the reader."""
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, RtcSttError):
            log.warning("a command failed: %s", type(error).__name__)

    # ── Out ────────────────────────────────────────────────────────────

    async def _read(self, live: Live) -> None:
        """Until the session has ended.

        Raises:
            APIError: it was not asked to, or could not do what was left to do.
        """
        fatal: SessionError | None = None
        reason = "lost"
        async for event in live:
            self._times.session_s = self._began_s + live.origin_s
            match event:
                case SessionStarted():
                    self._on_session(event)
                case SessionError(fatal=True):
                    fatal = event
                case SessionEnded():
                    reason = event.reason
            _note(event)
            self._tell(self._mapping.receive(event))
        if not self._input_over or fatal or reason not in COMPLETE:
            raise session_error(reason, fatal, self._secret)

    def _tell(self, events: list[stt.SpeechEvent]) -> None:
        for event in events:
            self._event_ch.send_nowait(event)

    def _bill(self) -> None:
        seconds, self._unbilled = self._unbilled / SAMPLE_RATE, 0
        if seconds and not self._event_ch.closed:
            usage = stt.RecognitionUsage(audio_duration=seconds)
            kind = stt.SpeechEventType.RECOGNITION_USAGE
            self._tell([stt.SpeechEvent(kind, request_id=self._mapping.session_id, recognition_usage=usage)])


def _note(event: Event) -> None:
    """Log what an operator should know; messages of a server hold no text of a user."""
    if isinstance(event, SessionWarning):
        wrong = event.code in ("configure", "unknown_field", "bad_field", "audio_gap", "events_lost")
        log.log(
            logging.WARNING if wrong else logging.INFO, "the server says %s: %s", event.code, event.message
        )
