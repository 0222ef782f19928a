"""Recordings with the bundled models: what is heard in a long one is what is heard in its clips."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest

from rtc_stt.audio import Samples, ms_to_samples
from rtc_stt.bench.clips import load
from rtc_stt.bench.words import word_errors
from rtc_stt.cli.common import make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.config import Recordings
from rtc_stt.config_keys import build
from rtc_stt.events import Decision
from rtc_stt.service import Options, Transcriber
from tests.service.sound import encoded, wav

LIMIT = 12
"""Clips; half a minute of speech."""

GAPS_MS = (300, 700, 2_000)
"""Between them: within a sentence, between two, between two speakers."""


@pytest.fixture
async def transcriber() -> AsyncIterator[Transcriber]:
    speech = make_speech(DEMO_VALUES, live=False)
    made = Transcriber(speech, build(Recordings, DEMO_VALUES))
    yield made
    await made.drain(5)
    await speech.aclose()


def joined(parts: list[Samples]) -> Samples:
    gaps = [np.zeros(ms_to_samples(ms), np.float32) for ms in GAPS_MS]
    pieces = [gaps[1]]
    for number, part in enumerate(parts):
        pieces += [part, gaps[number % len(gaps)]]
    return np.concatenate(pieces)


@pytest.mark.slow
async def test_a_long_recording_is_heard_as_well_as_its_clips(transcriber):
    clips = load("clean", limit=LIMIT)
    alone = 0
    for clip in clips:
        heard = await transcriber.transcribe(io.BytesIO(wav(clip.audio())), Options())
        assert len(heard.segments) == 1, "one sentence is one stretch"
        alone += word_errors(clip.text, heard.text)[0]
    recording = encoded(joined([clip.speech() for clip in clips]), "flac", "flac")
    heard = await transcriber.transcribe(io.BytesIO(recording), Options(word_timestamps=True))
    errors, words = word_errors(" ".join(clip.text for clip in clips), heard.text)
    assert errors <= alone + 0.06 * words
    assert set(heard.decisions) <= {Decision.ACCEPTED, Decision.REDECODED}
    spoken = [word for segment in heard.segments for word in segment.words]
    assert len(spoken) >= 0.9 * words
    assert spoken[-1].end_ms > 0.85 * heard.duration_ms, "words are told in the time of the recording"
    assert all(one.start_ms <= other.start_ms for one, other in pairwise(spoken))


@pytest.mark.slow
async def test_noise_is_no_text(transcriber):
    rng = np.random.default_rng(3)
    noise = (0.02 * rng.standard_normal(20 * 16_000)).astype(np.float32)
    heard = await transcriber.transcribe(io.BytesIO(wav(noise)), Options())
    assert heard.text == ""
