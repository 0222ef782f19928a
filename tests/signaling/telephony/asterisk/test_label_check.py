"""Recordings of people and noise, as Asterisk would send them: what they are is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import Samples
from rtc_stt.companding import compress
from rtc_stt.media import read_audio
from signaling.telephony.asterisk.label_check import MAX_HELD, MAX_HELD_BYTES, LabelCheck, vote
from tests.signaling.telephony.asterisk.talk import linear, voice

CLIPS = Path(__file__).parents[3] / "clips"


def narrow(path: Path) -> Samples:
    """8 kHz, as roughly as a telephone does it."""
    wide = np.concatenate(list(read_audio(path)))
    taps = np.sinc(np.arange(-15, 16) / 2) * np.hamming(31)
    return np.convolve(wide, taps / taps.sum(), "same")[::2].astype(np.float32)


def recordings() -> list[Samples]:
    entries = json.loads((CLIPS / "manifest.json").read_text(encoding="utf-8"))
    return [narrow(CLIPS / entry["file"]) for entry in entries[::15]]


RECORDINGS = recordings()


def encode(samples: Samples, encoding: str) -> bytes:
    if encoding == "pcm_s16le":
        return linear(samples)
    return compress(np.clip(samples, -1, 1), "mulaw" if encoding == "mulaw" else "alaw")


def frames(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data) - size, size)]


@pytest.mark.parametrize("size", [160, 320, 480])
@pytest.mark.parametrize("gain", [0.03, 1.0, 4.0])
@pytest.mark.parametrize("encoding", ["pcm_s16le", "mulaw", "alaw"])
def test_what_it_is_is_found_wherever_a_call_begins(encoding: str, gain: float, size: int) -> None:
    for samples in RECORDINGS:
        sent = frames(encode(samples * np.float32(gain), encoding), size)
        for start in range(0, len(sent) - 30, 10):
            check = LabelCheck()
            given_back = [piece for one in sent[start : start + 30] for piece in check.take(one)]
            assert check.encoding == encoding
            assert given_back == sent[start : start + 30]


@pytest.mark.parametrize("gain", [0.001, 0.03, 0.3, 1.0, 4.0])
def test_no_frame_of_signed_linear_raises_an_alarm(gain: float) -> None:
    for samples in RECORDINGS:
        for one in frames(linear(samples * np.float32(gain)), 160):
            assert vote(one) in ("pcm_s16le", None)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(8_000, np.float32),
        np.random.default_rng(1).normal(0, 0.5, 8_000).astype(np.float32),
        np.random.default_rng(1).normal(0, 0.001, 8_000).astype(np.float32),
        np.sin(np.arange(8_000) * 2 * np.pi * 2100 / 8_000).astype(np.float32),
        np.sin(np.arange(8_000) * 2 * np.pi * 3999 / 8_000).astype(np.float32),
        np.full(8_000, -1 / 32_768, np.float32),
    ],
    ids=["silence", "loud noise", "quiet noise", "fax", "highest tone", "off by one"],
)
def test_what_is_no_speech_is_what_its_label_says(samples: Samples) -> None:
    check = LabelCheck()
    for one in frames(linear(samples), 320):
        check.take(one)
    assert check.encoding == "pcm_s16le"


def test_a_call_that_begins_in_the_silence_of_mu_law_is_told_by_its_first_words() -> None:
    check = LabelCheck()
    assert check.take(b"\xff" * 160) == []
    given_back = [piece for one in frames(compress(voice(0.2), "mulaw"), 160) for piece in check.take(one)]
    assert check.encoding == "mulaw"
    assert given_back[0] == b"\xff" * 160


@pytest.mark.parametrize("size", [8, 160, 2_000])
def test_silence_is_not_held_for_ever(size: int) -> None:
    check = LabelCheck()
    held = 0
    while not check.take(b"\xff" * size):
        held += 1
        assert held <= MAX_HELD
        assert held * size <= MAX_HELD_BYTES
    assert check.encoding == "pcm_s16le"


@given(st.lists(st.binary(max_size=400), max_size=60))
def test_no_byte_is_lost_and_nothing_raises(payloads: list[bytes]) -> None:
    check = LabelCheck()
    given_back = [piece for one in payloads for piece in check.take(one)]
    assert given_back + check.flush() == payloads
    assert check.encoding is not None
