"""One upload while it is decoded, in a thread: bounded in length, and stopped when nobody waits any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Samples
from rtc_stt.errors import AudioTooLong, Gone
from rtc_stt.media import decode_audio

__all__ = ["CHUNK", "read_recording"]

CHUNK = 32 * WINDOW
"""Samples of a chunk, about a second: decoders give 20 ms at a time, and each way to another thread costs."""

GONE = "nobody waits for this recording any more"


def read_recording(
    upload: BinaryIO, max_audio_s: float, is_stopped: Callable[[], bool] = lambda: False
) -> Iterator[Samples]:
    """16 kHz mono, in chunks of ``CHUNK`` samples; the last one is shorter. Blocks; not for the event loop.

    No more is decoded than ``max_audio_s``, whatever the file says of itself.

    Args:
        upload: seekable.
        is_stopped: whether to leave off; asked at each read of the file and at each piece that it decodes to.

    Raises:
        BadAudio: as of :func:`rtc_stt.media.decode_audio`.
        AudioTooLong: there is more than ``max_audio_s``.
        Gone: ``is_stopped`` says so.
    """
    room, parts, held = round(max_audio_s * SAMPLE_RATE), list[Samples](), 0
    for piece in decode_audio(_Stoppable(upload, is_stopped)):  # type: ignore[arg-type]
        if is_stopped():
            raise Gone(GONE)
        if len(piece) > room:
            raise AudioTooLong(f"the recording is longer than {max_audio_s:g} s: cut it into parts")
        room -= len(piece)
        parts.append(piece)
        held += len(piece)
        if held >= CHUNK:
            whole = np.concatenate(parts)
            until = held - held % CHUNK
            yield from np.split(whole[:until], until // CHUNK)
            parts, held = [whole[until:].copy()], held - until
    if held:
        yield np.concatenate(parts)


class _Stoppable:
    """A file that cannot be read any more once it is to be left alone."""

    def __init__(self, file: BinaryIO, is_stopped: Callable[[], bool]) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._is_stopped = file, is_stopped

    def read(self, size: int = -1) -> bytes:
        if self._is_stopped():
            raise Gone(GONE)
        return self._file.read(size)
