"""One request after the other: a recording in, its transcript out."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from rtc_stt.config import Recordings, Routing
from rtc_stt.service.transcript import Options, Transcript
from rtc_stt.session import Speech

__all__ = ["Transcriber"]


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

    async def transcribe(
        self, upload: BinaryIO, options: Options, *, is_gone: Callable[[], bool] = lambda: False
    ) -> Transcript:
        """The transcript of a recording.

        Args:
            upload: the file as it came, seekable. Read in a thread, from its start; nobody else may touch it
                until this returns.
            is_gone: whether nobody waits for the answer any more; asked a few times a second.

        Raises:
            BadAudio: it is no audio, or is broken.
            AudioTooLong: it is longer than ``MAX_AUDIO_S``, or with ``cut=False`` than 30 s.
            BadRequest: the language is not known, a prompt is too long.
            DecodeFailed: the fast tier failed, and there is no other.
            Unavailable: the server shuts down.
            Gone: ``is_gone`` says so.
        """
        raise NotImplementedError

    async def drain(self, seconds: float) -> None:
        """Take nothing more, and wait so long for what is under way; the rest of it fails as unavailable."""
        raise NotImplementedError
