"""Recordings as bytes, in the formats that people send."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip

__all__ = ["FORMATS", "encode", "with_pauses"]

FORMATS = {
    "wav": ("wav", "pcm_s16le", 16_000),
    "flac": ("flac", "flac", 16_000),
    "mp3": ("mp3", "libmp3lame", 24_000),
    "ogg": ("ogg", "libopus", 48_000),
    "webm": ("webm", "libopus", 48_000),
    "m4a": ("ipod", "aac", 44_100),
}
"""By the ending of a file: container, codec, sample rate."""


def encode(audio: Samples, ending: str) -> bytes:
    """``audio``, 16 kHz mono, as a file."""
    container, codec, rate = FORMATS[ending]
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout="mono")
        pcm = np.clip(np.round(audio * 32_767), -32_768, 32_767).astype(np.int16)
        for start in range(0, len(pcm), SAMPLE_RATE):
            frame = av.AudioFrame.from_ndarray(pcm[None, start : start + SAMPLE_RATE], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE
            frame.pts = start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def with_pauses(clips: Sequence[Clip], seconds: float, *, pause_s: float = 0.8) -> Samples:
    """One clip after the other, over and over, for so long."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    once = np.concatenate([part for clip in clips for part in (clip.audio(), pause)])
    return np.resize(once, round(seconds * SAMPLE_RATE))
