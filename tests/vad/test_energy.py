"""Speech by loudness."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import WINDOW
from rtc_stt.vad import EnergyDetector


def judge(amplitude: float) -> float:
    detector = EnergyDetector(threshold_db=-40)
    [probability] = detector.detect([detector.new_state()], np.full((1, WINDOW), amplitude, np.float32))
    return probability


def test_the_threshold_is_even_odds_louder_is_speech_and_silence_is_none():
    assert judge(0.01) == pytest.approx(0.5, abs=0.01)
    assert judge(0.1) > 0.95
    assert judge(0.001) < 0.05
    assert judge(0.0) < 1e-6
