"""What is not speech is what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.bench import noises
from rtc_stt.bench.noises import NOT_SPEECH, TEN_MINUTES_OF, stretches

RATE = 16_000


@pytest.mark.parametrize("kind", NOT_SPEECH)
def test_every_kind_has_its_length_its_level_and_its_seed(kind):
    wave = NOT_SPEECH[kind](3.0, 1)
    assert wave.shape == (3 * RATE,)
    assert np.max(np.abs(wave)) <= 1
    assert (kind == "silence") == (not wave.any())
    assert np.array_equal(wave, NOT_SPEECH[kind](3.0, 1))


def power(wave, low, high):
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return spectrum[(hertz >= low) & (hertz < high)].sum()


@pytest.mark.parametrize(("kind", "ratio"), [("white noise", 2.0), ("pink noise", 1.0), ("brown noise", 0.5)])
def test_noise_falls_as_its_colour_says(kind, ratio):
    """By octave: white has twice the power in the upper one, pink as much, brown half."""
    wave = NOT_SPEECH[kind](4.0, 1)
    assert power(wave, 1_000, 2_000) / power(wave, 500, 1_000) == pytest.approx(ratio, rel=0.15)


@pytest.mark.parametrize(("kind", "hertz"), [("mains hum", (50, 150, 250)), ("dial tone", (350, 440))])
def test_tones_hold_their_frequencies_and_nothing_else(kind, hertz):
    wave = NOT_SPEECH[kind](2.0, 1)
    inside = sum(power(wave, f - 2, f + 2) for f in hertz)
    assert inside == pytest.approx(power(wave, 0, 8_001), rel=1e-6)


def test_a_key_is_one_low_and_one_high_tone_for_a_tenth_of_a_second():
    wave = NOT_SPEECH["dialling"](1.0, 1)
    key, pause = wave[: RATE // 10], wave[RATE // 10 : RATE // 5]
    assert not pause.any()
    assert power(key, 600, 1_000) == pytest.approx(power(key, 1_150, 1_550), rel=0.2)


def test_stretches_add_up_and_differ():
    pieces = list(stretches("white noise", 70))
    assert [len(piece) / RATE for piece in pieces] == [30, 30, 10]
    assert pieces[0].dtype == np.float32
    assert not np.array_equal(pieces[0], pieces[1])


def test_the_long_ones_are_known():
    assert set(TEN_MINUTES_OF) <= NOT_SPEECH.keys()
    assert noises.STRETCH_S * RATE % 320 == 0
