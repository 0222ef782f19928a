"""The detector hears loud and quiet speakers alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, WINDOW
from rtc_stt.vad.leveller import MAX_GAIN, RELEASE_DB_PER_S, TARGET_RMS, level

WINDOWS_PER_S = SAMPLE_RATE / WINDOW


def tone(rms: float, windows: int) -> np.ndarray:
    t = np.arange(windows * WINDOW) / SAMPLE_RATE
    return (rms * np.sqrt(2) * np.sin(2 * np.pi * 500 * t)).astype(np.float32).reshape(windows, 1, WINDOW)


def run(audio: np.ndarray) -> np.ndarray:
    loudness, out = np.full(audio.shape[1], TARGET_RMS, np.float32), []
    for windows in audio:
        levelled, loudness = level(windows, loudness)
        out.append(levelled)
    return np.stack(out)


def rms(windows: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(windows))))


@pytest.mark.parametrize("loudness", [0.5, 0.1, 0.02])
def test_a_steady_voice_comes_to_the_target(loudness):
    windows = 1 + round(
        20 * np.log10(TARGET_RMS / min(loudness, TARGET_RMS)) / RELEASE_DB_PER_S * WINDOWS_PER_S
    )
    heard = run(tone(loudness, windows + 2))
    assert rms(heard[-1]) == pytest.approx(TARGET_RMS, rel=0.02)


def test_a_louder_voice_is_turned_down_within_one_window():
    heard = run(np.concatenate([tone(0.01, 100), tone(0.3, 2)]))
    assert rms(heard[-1]) == pytest.approx(TARGET_RMS, rel=0.02)


def test_the_gain_has_a_limit_so_that_hiss_stays_hiss():
    heard = run(tone(1e-5, 2000))
    assert rms(heard[-1]) == pytest.approx(1e-5 * MAX_GAIN, rel=0.02)


def test_no_step_is_heard_between_windows():
    audio = np.concatenate([np.full((50, 1, WINDOW), v, np.float32) for v in (0.01, 0.2, 0.05)])
    heard = run(audio).reshape(-1)
    gain = heard / audio.reshape(-1)
    assert np.abs(np.diff(gain)).max() < 2 * MAX_GAIN / WINDOW


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=12),
    st.lists(st.floats(0, 1), min_size=2, max_size=12),
)
def test_each_stream_is_levelled_as_if_alone(one, other):
    n = min(len(one), len(other))
    pair = np.stack(
        [np.concatenate([tone(a, 1), tone(b, 1)], axis=1)[0] for a, b in zip(one, other, strict=False)]
    )
    both = run(pair)
    np.testing.assert_allclose(both[:, :1], run(pair[:, :1]), atol=1e-6)
    assert len(both) == n
    assert np.isfinite(both).all()
    assert np.abs(both).max() <= 1
