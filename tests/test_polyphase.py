"""From 8 to 16 kHz: what goes in comes out, whatever the pieces, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import Samples
from rtc_stt.polyphase import Upsampler, upsample


def tone(hertz: float, seconds: float = 1.0, rate: int = 8_000) -> Samples:
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), np.float32)


def decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio + 1e-12))


def spectrum(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and levels in dB of the loudest; the begin, where the filter fills, left out."""
    settled = samples[100:]
    levels = np.abs(np.fft.rfft(settled * np.blackman(len(settled))))
    return np.fft.rfftfreq(len(settled), 1 / 16_000), 20 * np.log10(levels / levels.max() + 1e-12)


@given(cuts=st.lists(st.integers(0, 700), max_size=20), seed=st.integers(0, 9))
def test_how_it_is_cut_makes_no_difference_to_the_last_bit(cuts: list[int], seed: int) -> None:
    audio = np.random.default_rng(seed).standard_normal(700).astype(np.float32)
    upsampler = Upsampler()
    pieces = [upsampler.push(piece) for piece in np.split(audio, sorted(cuts))]
    assert all(piece.dtype == np.float32 for piece in pieces)
    assert np.array_equal(np.concatenate(pieces), Upsampler().push(audio))


@given(sizes=st.lists(st.lists(st.integers(1, 400), min_size=3, max_size=3), min_size=1, max_size=9))
def test_in_one_row_each_stream_is_what_it_is_alone_to_the_last_bit(sizes: list[list[int]]) -> None:
    noise, together = np.random.default_rng(1), [Upsampler() for _ in range(3)]
    alone = [Upsampler() for _ in range(3)]
    for row in sizes:
        chunks = [noise.standard_normal(size).astype(np.float32) for size in row]
        for made, stream, chunk in zip(upsample(together, chunks), alone, chunks, strict=True):
            np.testing.assert_array_equal(made, stream.push(chunk))


def test_a_caller_may_use_its_array_again() -> None:
    audio = np.random.default_rng(1).standard_normal(320).astype(np.float32)
    upsampler, buffer = Upsampler(), audio[:160].copy()
    first = upsampler.push(buffer)
    buffer[:] = 9
    whole = np.concatenate([first, upsampler.push(audio[160:])])
    assert np.array_equal(whole, Upsampler().push(audio))


def test_every_other_sample_is_one_that_went_in() -> None:
    audio = np.random.default_rng(1).standard_normal(400).astype(np.float32)
    late = Upsampler.DELAY // 2
    out = Upsampler().push(audio)
    assert len(out) == 800
    assert np.array_equal(out[1::2][late:], audio[:-late])


@pytest.mark.parametrize("hertz", [50, 300, 1_000, 2_500, 3_000, 3_100])
def test_a_tone_of_a_voice_is_as_it_was_and_late_by_what_is_said(hertz: float) -> None:
    out = Upsampler().push(tone(hertz))
    expected = np.roll(tone(hertz, rate=16_000), Upsampler.DELAY)
    assert decibels(float(np.abs(out - expected)[200:].max()) / 0.5) < -80


@pytest.mark.parametrize("hertz", [300, 1_000, 2_000, 3_000, 3_100])
def test_nothing_is_mirrored_above_four_kilohertz(hertz: float) -> None:
    frequencies, levels = spectrum(Upsampler().push(tone(hertz)))
    assert levels[frequencies > 4_200].max() < -100


def test_telephony_ends_at_three_point_four_kilohertz_and_so_far_it_is_flat() -> None:
    for hertz in range(200, 3_401, 200):
        level = np.sqrt(np.mean(Upsampler().push(tone(hertz))[200:] ** 2)) * np.sqrt(2) / 0.5
        assert abs(decibels(float(level))) < 0.1


def test_all_frequencies_are_late_by_the_same() -> None:
    click = np.zeros(100, np.float32)
    click[0] = 1
    answer = Upsampler().push(click)
    length = 2 * Upsampler.DELAY + 1
    assert np.allclose(answer[:length], answer[:length][::-1], atol=1e-7)  # symmetric: linear phase
    assert not answer[length:].any()


def test_a_steady_level_stays_one() -> None:
    out = Upsampler().push(np.full(400, 0.25, np.float32))
    assert np.allclose(out[2 * Upsampler.DELAY :], 0.25, atol=1e-7)
