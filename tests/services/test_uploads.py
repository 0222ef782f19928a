"""The wrong uploads are wrong in the way that they are meant to be."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from tools.services import uploads
from tools.services.sounds import FORMATS, encode


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    return np.sin(np.arange(2 * SAMPLE_RATE) / 5).astype(np.float32) / 4


def length_s(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.audio[0]
        return sum(frame.samples for frame in file.decode(stream)) / stream.rate


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_holds_the_whole_recording(tone: np.ndarray, ending: str) -> None:
    assert length_s(encode(tone, ending)) == pytest.approx(2.0, abs=0.06)


def test_a_bomb_is_small_and_long() -> None:
    (announced, silent, *_) = uploads.bombs(10, 1)
    assert len(announced.data) < 40_000
    flac = announced.data[announced.data.index(b"fLaC") :]
    with av.open(io.BytesIO(flac)) as file:
        assert file.duration == 36_000 * av.time_base
    with av.open(io.BytesIO(silent.data[silent.data.index(b"fLaC") :])) as file:
        assert file.duration is None, "it does not say how long it is"
    assert length_s(uploads.silent_flac(3_600)) == 3_600


def test_names_are_told_apart(tone: np.ndarray) -> None:
    flac, m4a = encode(tone, "flac"), encode(tone, "m4a")
    every = [
        *uploads.no_audio(flac, m4a),
        *uploads.wrong_forms(flac),
        *uploads.names(flac),
        *uploads.playlists("http://127.0.0.1:9/x", "/etc/hostname"),
        *uploads.bombs(1, 0.1),
    ]
    assert len({body.name for body in every}) == len(every) > 80
