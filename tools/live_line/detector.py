"""What the detector makes of a quiet voice in noise, right after a loud one; no network, no clock.

Each noisy clip follows the loud voice of a digits clip, as when one speaker follows another on a line. The
real detector, recognizer and demo models hear it, as shipped and without levelling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples, Windower
from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.result import percentiles
from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.engines import WhisperEngine
from rtc_stt.events import Event, SpeechStarted, TranscriptFinal
from rtc_stt.hypothesis import Tier
from rtc_stt.recognizer import Recognizer
from rtc_stt.vad import SileroDetector, silero
from tools.demo_models.score import word_error_rate
from tools.live_line.measure import engine
from tools.live_line.speak import SILENCE_S, surroundings

__all__ = ["VARIANTS", "detector"]

LATE_MS = 400
"""The pre-roll: a start found later than this has lost its first syllable."""

VARIANTS = {"as_shipped": True, "without_levelling": False}


@dataclass(frozen=True)
class Scene:
    """A loud clip, a pause, then the noisy clip in its noise."""

    clip: Clip
    audio: Samples
    clip_ms: int
    """Where the noisy clip begins."""


def detector(limit: int | None, done: Callable[[], object]) -> dict[str, dict[str, Any]]:
    """Late starts and word error rate for every variant."""
    scenes = list(compose(limit))
    engines = {
        Tier.FAST: engine(demo_models.FAST, beam_size=1),
        Tier.ACCURATE: engine(demo_models.ACCURATE, beam_size=5),
    }
    return {name: _judge(scenes, engines, done, levelling) for name, levelling in VARIANTS.items()}


def compose(limit: int | None) -> Iterator[Scene]:
    """The scenes; the loud clips are the loudest of the digits."""
    silence = np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
    digits = sorted((clip.audio() for clip in load("digits")), key=_rms)
    for number, clip in enumerate(load("noisy", limit=limit)):
        before, after = surroundings(clip)
        loud = digits[-1 - number % 5]
        lead = np.concatenate([silence, loud, silence, before])
        audio = np.concatenate([lead, clip.audio(), after, silence])
        yield Scene(clip, audio, len(lead) * 1000 // SAMPLE_RATE)


def hear(audio: Samples, detector: SileroDetector, engines: dict[Tier, WhisperEngine]) -> list[Event]:
    """All events of a session that hears this; each decode is done before the next window comes."""
    recognizer = Recognizer(
        "scene",
        StreamOptions(endpointing=Endpointing(max_utterance_s=10)),
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
    scenes: list[Scene],
    engines: dict[Tier, WhisperEngine],
    done: Callable[[], object],
    levelling: bool,
) -> dict[str, Any]:
    delays, texts = [], []
    with ExitStack() as stack:
        if not levelling:
            stack.enter_context(patch.object(silero, "level", lambda windows, loudness: (windows, loudness)))
        ears = SileroDetector()
        for scene in scenes:
            events = hear(scene.audio, ears, engines)
            spoken_ms = scene.clip_ms + scene.clip.speech_start_ms
            starts = [e.audio_start_ms for e in events if isinstance(e, SpeechStarted)]
            after = [at - spoken_ms for at in starts if at > scene.clip_ms - 300]
            delays.append(after[0] if after else scene.clip.speech_end_ms - scene.clip.speech_start_ms)
            finals = (e for e in events if isinstance(e, TranscriptFinal))
            heard = " ".join(e.text for e in finals if e.audio_start_ms > scene.clip_ms - 300)
            texts.append((scene.clip.text, heard))
            done()
    return {
        "scenes": len(scenes),
        "start_delay_ms": percentiles(delays) | {"max": max(delays)},
        "starts_later_than_the_preroll": sum(delay > LATE_MS for delay in delays),
        "word_error_rate_percent": round(100 * word_error_rate(texts), 2),
    }


def _rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(audio))))
