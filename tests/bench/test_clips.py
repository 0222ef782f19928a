"""A folder of recordings with known text."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest

from rtc_stt.bench.clips import CLIPS, load, unbroken
from rtc_stt.errors import BadAudio

RATE = 16_000


@pytest.fixture
def folder(tmp_path):
    """Two clips of two sets: a second of 0.5 between silences."""
    entries = []
    for number, kind in enumerate(("clean", "digits")):
        pcm = np.zeros(2 * RATE, "<i2")
        pcm[RATE // 2 : RATE // 2 + RATE] = 16384
        with wave.open(str(tmp_path / f"{kind}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(pcm.tobytes())
        entries.append(
            {
                "id": f"{kind}-{number}",
                "file": f"{kind}.wav",
                "set": kind,
                "text": "One.",
                "language": "en",
                "speech_start_ms": 500,
                "speech_end_ms": 1500,
                "words": [],
            }
        )
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    return tmp_path


def test_clips_are_read_from_any_folder(folder):
    [clip] = load("digits", folder=folder)
    assert clip.id == "digits-1"
    assert len(clip.audio()) == 2 * RATE
    speech = clip.speech()
    assert len(speech) == RATE
    assert np.allclose(speech, 0.5, atol=1e-3)


def test_those_of_the_repository_are_the_default():
    assert len(load()) == 180
    assert [clip.set for clip in load("clean", "digits", limit=2)] == ["clean", "clean", "digits", "digits"]
    assert load("clean")[0].folder == CLIPS


def test_unbroken_speech_has_only_short_gaps_and_is_long_enough(folder):
    speech, said = unbroken(load(folder=folder), 3.0)
    assert said == "One. One. One."
    assert 3 * RATE <= len(speech) <= 4.2 * RATE
    changes = np.flatnonzero(np.diff((np.abs(speech) > 0.1).astype(int)))
    gaps = np.diff(changes)[::2]
    assert (gaps == RATE // 10).all()


@pytest.mark.parametrize("text", [None, "no json"])
def test_a_folder_without_clips_is_told_clearly(tmp_path, text):
    if text:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadAudio, match=r"no folder of clips.*--clips"):
        load(folder=tmp_path)


def test_an_unknown_set_is_told_with_those_that_are_known(folder):
    with pytest.raises(BadAudio, match="loud, only clean, digits"):
        load("loud", folder=folder)
