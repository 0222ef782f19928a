"""What is written as WAV is read again as it was, by another reader than ours."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.wav import PIECE, to_wav, wav_pieces


def read(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@given(st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_samples_come_back_to_half_a_step(values):
    samples = np.array(values, np.float32)
    assert np.all(np.abs(read(to_wav(samples)) / 32767 - samples) <= 0.5 / 32767 + 1e-6)


def test_what_is_too_loud_is_clipped_and_does_not_turn_over():
    assert read(to_wav(np.array([2.0, -2.0, 3e38, -3e38], np.float32))).tolist() == [32767, -32767] * 2


def test_pieces_are_the_whole():
    samples = np.linspace(-1, 1, 3 * PIECE + 5, dtype=np.float32)
    assert b"".join(wav_pieces(samples)) == to_wav(samples)
    assert len(read(to_wav(samples))) == len(samples)
    assert len(list(wav_pieces(samples))) == 5
    assert len(read(to_wav(samples[:0]))) == 0


def test_what_has_no_place_in_a_wav_file_is_an_error():
    days = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), shape=(2**31,), strides=(0,))
    with pytest.raises(ValueError, match="no place"):
        next(wav_pieces(days))


@pytest.mark.parametrize("samples", [np.zeros((2, 3), np.float32), np.array(0.5, np.float32)])
def test_another_shape_is_an_error(samples):
    with pytest.raises(ValueError, match="one row"):
        to_wav(samples)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_an_error(value):
    with pytest.raises(ValueError, match="no finite numbers"):
        to_wav(np.array([0.1, value], np.float32))
