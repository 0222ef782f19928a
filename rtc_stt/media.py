"""Foreign audio to ours: any rate, any channels, any format that FFmpeg reads, to 16 kHz mono float32."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.audio.resampler
import av.error
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.errors import BadAudio

__all__ = ["MonoResampler", "read_audio"]


class MonoResampler:
    """A stateful resampler of decoded frames: chunk borders leave no clicks and lose no sample.

    A stream may change rate or channels in its middle; the filter then starts anew.
    """

    def __init__(self) -> None:
        self._resampler: Any = None
        self._format: tuple[Any, ...] | None = None

    def push(self, frame: Any) -> Samples:
        """Take an ``av.AudioFrame`` and give what it completes, shape ``(n,)``."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest = np.empty(0, np.float32)
        if form != self._format:
            rest = self.flush()
            # Channels stay apart here: FFmpeg would add them up by power, 3 dB louder and beyond 1.0.
            self._resampler = av.audio.resampler.AudioResampler("fltp", frame.layout.name, SAMPLE_RATE)
            self._format = form
        frame.pts = None  # time is counted in samples; stamps of the sender may jump
        return np.concatenate([rest, *self._run(frame)])

    def flush(self) -> Samples:
        """What the filter still holds, at the end of the stream."""
        if self._resampler is None:
            return np.empty(0, np.float32)
        chunks = self._run(None)
        self._resampler = self._format = None
        return np.concatenate(chunks) if chunks else np.empty(0, np.float32)

    def _run(self, frame: Any) -> list[Samples]:
        return [out.to_ndarray().mean(axis=0) for out in self._resampler.resample(frame)]


def read_audio(path: Path) -> Iterator[Samples]:
    """The first audio stream of a file, in chunks as they are decoded. Blocks; not for the event loop.

    Raises:
        BadAudio: there is no such file, it has no audio, or it cannot be decoded.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise BadAudio(f"{path} has no audio")
            resampler = MonoResampler()
            for frame in container.decode(container.streams.audio[0]):
                chunk = resampler.push(frame)
                if len(chunk):
                    yield chunk
            rest = resampler.flush()
            if len(rest):
                yield rest
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not audio that FFmpeg can read"
        raise BadAudio(f"{path}: {reason}") from error
