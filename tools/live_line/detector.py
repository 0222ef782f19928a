"""What the detector makes of one speaker after another, loud, quiet and in noise; no network, no clock.

The clips are shuffled and follow one another in a few long streams, as callers do on a line. The real
detector, recognizer and demo models hear them, as shipped and with parts of the detector switched off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples, Windower
from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.words import word_error_rate
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.engines import WhisperEngine
from rtc_stt.events import Event, SpeechStarted, SpeechStopped, TranscriptFinal
from rtc_stt.hypothesis import Tier
from rtc_stt.recognizer import Recognizer
from rtc_stt.vad import SileroDetector, silero
from tools.live_line.measure import engine
from tools.live_line.speak import SILENCE_S, surroundings

__all__ = ["STREAMS", "VARIANTS", "detector"]

LATE_MS = 400
"""The pre-roll: a start found later than this has lost its first syllable."""

STREAMS = 6

VARIANTS = {
    "as_shipped": {},
    "without_levelling": {"level": lambda windows, loudness: (windows, loudness)},
    # Never emptied, both memories of a stream are the same.
    "one_memory": {"QUIET_WINDOWS": 1 << 30},
    "silero_alone": {"level": lambda windows, loudness: (windows, loudness), "QUIET_WINDOWS": 1 << 30},
}
"""What is put in the place of which name in :mod:`rtc_stt.vad.silero`."""


@dataclass(frozen=True)
class Stream:
    """Clips one after another, and where each begins, ms."""

    audio: Samples
    clips: list[tuple[int, Clip]]


def detector(limit: int | None, done: Callable[[], object]) -> dict[str, dict[str, Any]]:
    """Late starts and word error rate for every variant."""
    streams = compose(limit)
    engines = {
        Tier.FAST: engine(demo_models.FAST, beam_size=1),
        Tier.ACCURATE: engine(demo_models.ACCURATE, beam_size=5),
    }
    return {name: _judge(streams, engines, done, parts) for name, parts in VARIANTS.items()}


def compose(limit: int | None) -> list[Stream]:
    """All clips in an order of chance, always the same."""
    clips = load(limit=limit)
    random.Random(1).shuffle(clips)
    silence = np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
    streams = []
    for share in (clips[i::STREAMS] for i in range(STREAMS)):
        parts, placed = [silence], []
        for clip in share:
            before, after = surroundings(clip)
            placed.append((sum(map(len, [*parts, before])) * 1000 // SAMPLE_RATE, clip))
            parts += [before, clip.audio(), after]
        streams.append(Stream(np.concatenate(parts), placed))
    return streams


def hear(audio: Samples, detector: SileroDetector, engines: dict[Tier, WhisperEngine]) -> list[Event]:
    """All events of a session that hears this; each decode is done before the next window comes."""
    recognizer = Recognizer(
        "scene",
        StreamOptions(commit_after_s=4, carry_context=False),
        Routing(logprob_threshold=demo_models.FAST.logprob_threshold),
        has_accurate_tier=True,
    )
    state, told = detector.new_state(), list[Event]()
    for frame in Windower().push(audio):
        now = frame.end / SAMPLE_RATE
        recognizer.receive_audio(frame, detector.detect([state], frame.samples[None])[0], now)
        while requests := recognizer.requests_to_decode():
            for request in requests:
                recognizer.receive_hypothesis(engines[request.tier].decode(request), now)
        told += recognizer.events()
    return told


def _judge(
    streams: list[Stream],
    engines: dict[Tier, WhisperEngine],
    done: Callable[[], object],
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    delays: dict[str, list[int]] = {}
    texts: list[tuple[str, str]] = []
    with patch.multiple(silero, **parts) if parts else nullcontext():
        ears = SileroDetector()
        for stream in streams:
            events = hear(stream.audio, ears, engines)
            begins = [at + clip.speech_start_ms for at, clip in stream.clips]
            for (at, clip), span in zip(stream.clips, pairwise([*begins, len(stream.audio)]), strict=True):
                delays.setdefault(clip.set, []).append(_delay(events, at, clip))
                texts.append((clip.text, _text(events, *span)))
            done()
    return {
        "start_delay_ms": {name: percentiles(ms) | {"max": max(ms)} for name, ms in sorted(delays.items())},
        "late_percent": round(
            100 * float(np.mean([ms > LATE_MS for some in delays.values() for ms in some])), 2
        ),
        "word_error_rate_percent": round(100 * word_error_rate(texts), 2),
    }


def _delay(events: list[Event], at: int, clip: Clip) -> int:
    """From the true start of speech to the start told of it; all of the speech where there is none."""
    begin, end = at + clip.speech_start_ms, at + clip.speech_end_ms
    spans = zip(
        (e.audio_start_ms for e in events if isinstance(e, SpeechStarted)),
        (e.audio_end_ms for e in events if isinstance(e, SpeechStopped)),
        strict=True,
    )
    return min((max(0, s - begin) for s, e in spans if s < end and e > begin), default=end - begin)


def _text(events: list[Event], begin: int, end: int) -> str:
    """All finals from one clip's speech to the next one's: what noise between them said counts, too."""
    finals = (e for e in events if isinstance(e, TranscriptFinal))
    return " ".join(e.text for e in finals if begin < e.audio_end_ms <= end)
