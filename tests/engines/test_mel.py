"""Our spectrogram is the one that the models were trained with."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from rtc_stt.bench.clips import load
from rtc_stt.engines.mel import HOP, SLICE, LogMel


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize(
    "samples", [0, 1, 39, 40, 41, 160, 200, 201, 399, 400, 1_000, HOP * SLICE - 1, HOP * SLICE, 50_000]
)
def test_it_is_that_of_faster_whisper(samples: int, bands: int) -> None:
    theirs = FeatureExtractor(feature_size=bands)
    audio = np.random.default_rng(samples).standard_normal(samples).astype(np.float32) * 0.1
    mel = LogMel(theirs.mel_filters)(audio)
    assert mel.shape == (bands, samples // HOP)
    assert mel.dtype == np.float32
    assert mel.flags.c_contiguous
    if samples >= HOP:  # the other one needs something to mirror
        np.testing.assert_allclose(mel, theirs(audio)[:, :-1], atol=1e-5)


def test_speech_and_silence() -> None:
    theirs = FeatureExtractor()
    ours = LogMel(theirs.mel_filters)
    (clip,) = load("clean", limit=1)
    for audio in (clip.audio(), np.zeros(16_000, np.float32)):
        np.testing.assert_allclose(ours(audio), theirs(audio)[:, :-1], atol=1e-5)
