"""What is heard in long recordings, by the length of the stretches that they are cut into.

Clips are joined to recordings with gaps between them. The longer a stretch may be, the more sentences it
holds; the demo models were made for one.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples, ms_to_samples
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.bench.words import word_errors
from rtc_stt.cli.common import make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.config import Recordings
from rtc_stt.service import Options, Transcriber
from rtc_stt.session import Speech

__all__ = ["measure"]

SETS = ("clean", "noisy", "digits")
GAPS_MS = (100, 300, 700)
"""No pause, one within a sentence, one between two."""

SEGMENTS_S = (3.0, 4.0, 4.5, 5.0, 6.0, 8.0, 10.0, 15.0, 25.0)


def measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    """Word errors in percent: of the clips one by one, and of all of a set joined."""
    return asyncio.run(_measure(limit, done))


async def _measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    speech = make_speech(DEMO_VALUES, live=False)
    sets: dict[str, Any] = {}
    try:
        for name in SETS:
            clips = load_clips(name, limit=limit)
            texts = [await _hear(speech, clip.audio(), 25.0) for clip in clips]
            joined: dict[str, dict[str, float]] = {}
            for gap_ms in GAPS_MS:
                audio = _joined(clips, gap_ms)
                joined[f"gap_{gap_ms}_ms"] = row = {}
                for segment_s in SEGMENTS_S:
                    row[f"{segment_s:g}_s"] = _percent(clips, [await _hear(speech, audio, segment_s)])
                    done()
            sets[name] = {
                "clips": len(clips),
                "one_by_one": _percent(clips, texts),
                "joined_by_segment_s": joined,
            }
    finally:
        await speech.aclose()
    return {"word_errors_percent": sets}


async def _hear(speech: Speech, audio: Samples, segment_s: float) -> str:
    transcriber = Transcriber(speech, Recordings(segment_s=segment_s))
    heard = await transcriber.transcribe(io.BytesIO(_wav(audio)), Options())
    await transcriber.drain(0)
    return heard.text


def _joined(clips: Sequence[Clip], gap_ms: int) -> Samples:
    gap = np.zeros(ms_to_samples(gap_ms), np.float32)
    parts = [part for clip in clips for part in (clip.speech(), gap)]
    return np.concatenate([np.zeros(SAMPLE_RATE // 2, np.float32), *parts])


def _percent(clips: Sequence[Clip], texts: Sequence[str]) -> float:
    errors, words = word_errors(" ".join(clip.text for clip in clips), " ".join(texts))
    return round(100 * errors / words, 1)


def _wav(audio: Samples) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes())
    return out.getvalue()
