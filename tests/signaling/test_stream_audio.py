"""Bytes of every format to 16 kHz mono, however they are cut."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.client.encoding import encode
from signaling.stream_audio import PIECE_S, StreamAudio, pieces
from signaling.stream_protocol import AudioFormat

FORMATS = [
    AudioFormat(encoding, rate, channels)
    for encoding, rate, channels in itertools.product(
        ("pcm_s16le", "mulaw", "alaw"), (8_000, 11_025, 16_000, 44_100, 48_000), (1, 2)
    )
]


def tone(form: AudioFormat, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(int(form.sample_rate * seconds)) / form.sample_rate
    mono = (0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    return mono if form.channels == 1 else np.stack([mono, mono], axis=1)


def decode(form: AudioFormat, cuts: list[bytes]) -> tuple[np.ndarray, StreamAudio]:
    """As a socket does: what is left of a message goes before the next."""
    audio, out, rest = StreamAudio(form), [], b""
    for cut in cuts:
        found, rest = pieces(form, rest + cut)
        out += [audio.push(piece) for piece in found]
    return np.concatenate([np.empty(0, np.float32), *out]), audio


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_tone_comes_out_as_it_went_in(form):
    data = encode(tone(form), form.encoding, form.channels)
    heard, audio = decode(form, [data])
    assert audio.received == form.sample_rate
    assert 16_000 - 64 <= len(heard) <= 16_000
    assert heard.dtype == np.float32
    expected = 0.4 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 16_000)
    middle = slice(500, 15_000)
    assert np.abs(heard[middle] - expected[middle]).max() < 0.03


@pytest.mark.parametrize("form", [FORMATS[1], FORMATS[9], FORMATS[13]], ids=str)
@given(data=st.data())
@settings(max_examples=25)
def test_how_it_is_cut_makes_no_difference(form, data):
    whole = encode(tone(form, 0.3), form.encoding, form.channels)
    edges = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    cuts = [whole[a:b] for a, b in itertools.pairwise([0, *edges, len(whole)])]
    one, _ = decode(form, [whole])
    other, audio = decode(form, cuts)
    assert np.array_equal(one, other)
    assert audio.received == len(whole) // form.frame_bytes


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_piece_costs_the_loop_little(form):
    """Under five milliseconds, whatever comes in a message: the rest waits until others had their turn."""
    audio, costs = StreamAudio(form), []
    found, _ = pieces(form, bytes(256 * 1024))
    for piece in found[:8]:
        begun = time.perf_counter()
        audio.push(piece)
        costs.append(time.perf_counter() - begun)
    assert min(costs[1:]) < 0.002


def test_two_channels_become_their_mean():
    form = AudioFormat("pcm_s16le", 16_000, 2)
    heard, _ = decode(form, [np.array([[16384, 0], [0, -16384]], "<i2").tobytes()])
    assert heard.tolist() == [0.25, -0.25]


def test_a_piece_is_short_and_whole():
    form = AudioFormat("pcm_s16le", 48_000, 2)
    found, rest = pieces(form, bytes(256 * 1024 + 3))
    assert rest == bytes(3)
    assert all(len(piece) <= PIECE_S * form.bytes_per_second for piece in found)
    assert all(len(piece) % form.frame_bytes == 0 for piece in found)
    assert sum(map(len, found)) == 256 * 1024
