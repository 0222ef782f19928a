"""One request after the other: a recording in, its transcript out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from rtc_stt.config import Recordings, Routing, StreamOptions, change_stream_options
from rtc_stt.errors import BadRequest, Gone, Unavailable
from rtc_stt.service.reader import GONE
from rtc_stt.service.recording import SHUTTING_DOWN, Reading, Recording
from rtc_stt.service.stretches import Stretches
from rtc_stt.service.transcript import Options, Segment, Transcript
from rtc_stt.session import Speech

__all__ = ["WHOLE_S", "Transcriber"]

WHOLE_S = 30.0
"""The longest recording that is not cut: as much as Whisper hears at once."""


class Transcriber:
    """Transcribes recordings, several at a time. Called on the event loop only.

    Args:
        speech: detector, decode pool and defaults, shared with live sessions where there are any.
        recordings: how long a recording may be, and how it is cut.
        routing: when the accurate tier is asked; None: as live sessions do.
    """

    def __init__(self, speech: Speech, recordings: Recordings, *, routing: Routing | None = None) -> None:
        self._speech = speech
        self._recordings = recordings
        self._routing = routing or speech.routing
        self.active = 0
        """Recordings that are being transcribed."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_draining = False  # nothing more is taken
        self._is_over = False  # what is under way is given up
        # A chunk takes milliseconds, so more threads would only quarrel about the interpreter's lock.
        self._threads = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="recording")

    async def transcribe(
        self,
        upload: BinaryIO,
        options: Options,
        *,
        is_gone: Callable[[], bool] = lambda: False,
        tell: Callable[[Segment], None] | None = None,
    ) -> Transcript:
        """The transcript of a recording.

        Args:
            upload: the file as it came, seekable. Read in a thread, from its start; nobody else may touch it
                until this returns.
            is_gone: whether nobody waits for the answer any more; asked a few times a second.
            tell: takes each segment as soon as it is known, in the order of speech; it must not raise.

        Raises:
            BadAudio: it is no audio, or is broken.
            AudioTooLong: it is longer than ``MAX_AUDIO_S``, or with ``cut=False`` than 30 s.
            BadRequest: the language is not known, a prompt is too long.
            DecodeFailed: the fast tier failed, and there is no other.
            Unavailable: the server shuts down.
            Gone: ``is_gone`` says so.
        """
        if self._is_draining:
            raise Unavailable(SHUTTING_DOWN)
        wanted = self._understand(options)

        def check() -> None:
            if self._is_over:
                raise Unavailable(SHUTTING_DOWN)
            if is_gone():
                raise Gone(GONE)

        max_audio_s = (
            self._recordings.max_audio_s if options.cut else min(WHOLE_S, self._recordings.max_audio_s)
        )
        reading = Reading(upload, max_audio_s, self._threads)
        stretches = Stretches(self._speech, self._routing, wanted, tell)
        recording = Recording(self._speech, reading, stretches, check)
        self.active += 1
        self._idle.clear()
        try:
            if not options.cut:
                return await recording.transcribe_whole()
            return await recording.transcribe(wanted.endpointing, self._recordings.segment_s)
        finally:
            stretches.close()
            try:
                await reading.close()
            finally:
                self.active -= 1
                if not self.active:
                    self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Take nothing more, and wait so long for what is under way; the rest of it fails as unavailable.

        The transcriber is of no use afterwards.
        """
        self._is_draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            self._is_over = True
            await self._idle.wait()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _understand(self, options: Options) -> StreamOptions:
        """The same in the words of a session.

        Raises:
            BadRequest: see :meth:`transcribe`.
        """
        defaults = self._speech.options
        asked = {
            "language": options.language,
            "languages": list(options.languages) or None,
            "prompt": options.prompt,
            "hotwords": options.hotwords,
            "word_timestamps": options.word_timestamps,
        }
        wanted, problems = change_stream_options(defaults, defaults, asked, self._speech.pool.languages)
        if problems:
            raise BadRequest("; ".join(problems))
        return wanted
