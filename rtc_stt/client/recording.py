"""What is sent: a file that stays on its disk, bytes, or samples; readable as often as there are attempts."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rtc_stt.audio import Samples
from rtc_stt.errors import BadAudio, BadRequest
from rtc_stt.wav import wav_pieces

__all__ = ["Audio", "Form", "Recording", "open_recording"]

Audio = str | os.PathLike[str] | bytes | BinaryIO | Samples
"""A path; the bytes of a file; a file opened in binary mode that can seek; or 16 kHz mono float32 in [-1, 1],
shape ``(n,)``."""

PIECE = 256 * 1024
"""Bytes that are read and sent at a time."""


class Recording:
    """The bytes of a file from where it stands to its end. It is read in threads, from one place at a time.

    An attempt that was given up may still be reading when the next one begins; so each says from where it
    reads, and a lock keeps seeking and reading together.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._start = file.tell()
        self._lock = threading.Lock()
        self.size = size
        self.error: BadAudio | None = None
        """What went wrong while it was read: no server's fault."""

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there; blocks.

        Raises:
            BadAudio: they cannot be had; it is kept as :attr:`error`.
        """
        try:
            with self._lock:
                self._file.seek(self._start + offset)
                found = self._file.read(size)
        except (OSError, ValueError) as error:
            self.error = BadAudio(f"the recording cannot be read any more: {_reason(error)}")
            raise self.error from error
        if len(found) < size:
            self.error = BadAudio("the recording got shorter while it was sent")
            raise self.error
        return found


@asynccontextmanager
async def open_recording(audio: Audio) -> AsyncIterator[Recording]:
    """For as long as it may be sent. What is opened here is closed; the caller's own file is not.

    Raises:
        BadAudio: there is no such file, or it cannot be read; the samples are none.
        TypeError: it is none of :data:`Audio`.
    """
    file = await asyncio.to_thread(_open, audio)
    try:
        yield await asyncio.to_thread(_measure, file)
    finally:
        if file is not audio:
            await asyncio.to_thread(file.close)


def _open(audio: Audio) -> BinaryIO:
    match audio:
        case str() | os.PathLike():
            try:
                return Path(audio).open("rb")
            except (OSError, ValueError) as error:  # ValueError: a NUL in the name
                raise BadAudio(f"{os.fspath(audio)}: {_reason(error)}") from error
        case bytes():
            return io.BytesIO(audio)
        case np.ndarray():
            if audio.dtype.kind != "f":
                raise BadAudio(f"samples are float32 in [-1, 1], not {audio.dtype}")
            try:
                return _as_file(audio.astype(np.float32, copy=False))
            except ValueError as error:
                raise BadAudio(str(error)) from error
    if not hasattr(audio, "seek"):
        raise TypeError(f"audio is a path, bytes, a file or an array of samples, not {type(audio).__name__}")
    return audio


def _as_file(samples: Samples) -> BinaryIO:
    file = io.BytesIO()
    for piece in wav_pieces(samples):
        file.write(piece)
    file.seek(0)
    return file


def _measure(file: BinaryIO) -> Recording:
    try:
        start = file.tell()
        size = max(0, file.seek(0, io.SEEK_END) - start)
        file.seek(start)
        if not isinstance(file.read(0), bytes):
            raise BadAudio("the file is open for text; open it in mode 'rb'")
        return Recording(file, size)
    except (OSError, ValueError) as error:
        raise BadAudio(f"the recording has to be a file that can seek: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class Form:
    """A recording and what is asked of it as ``multipart/form-data`` (RFC 7578).

    Raises:
        BadRequest: a field is no text.
    """

    def __init__(self, recording: Recording, fields: Mapping[str, str]) -> None:
        self._recording = recording
        boundary = secrets.token_hex(16)  # not to be found in any field: nobody could have known it
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        # The recording is last, so that the server knows what is wanted when it comes.
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="audio"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        try:
            self._head = "".join(parts).encode()
        except UnicodeEncodeError:
            raise BadRequest(f"half characters in {', '.join(fields)}: that is no text") from None
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + recording.size + len(self._tail)),
        }

    @property
    def error(self) -> BadAudio | None:
        """Why the recording cannot be read any more; None while it can."""
        return self._recording.error

    async def body(self) -> AsyncIterator[bytes]:
        """All of it, in pieces; once for each attempt.

        Raises:
            BadAudio: the recording cannot be read any more.
        """
        yield self._head
        recording = self._recording
        for offset in range(0, recording.size, PIECE):
            size = min(PIECE, recording.size - offset)
            yield await asyncio.to_thread(recording.read, offset, size)
        yield self._tail
