"""What is done to a scene before it is played."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench.link import Conditions
from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.turns.conditions import CLEAN, Condition, Sound, apply, parse
from rtc_stt.errors import ConfigError


def speech(seconds: float = 2.0) -> np.ndarray:
    """A tone for the middle half, silence around it."""
    n = round(seconds * SAMPLE_RATE)
    wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(n) / SAMPLE_RATE)).astype(np.float32)
    wave[: n // 4] = 0
    wave[-n // 4 :] = 0
    return wave


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-20))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("clean", CLEAN),
        ("", CLEAN),
        ("telephone", Condition(telephone=True)),
        ("noise:10", Condition("pink noise", 10)),
        ("speech-shaped-noise:5", Condition("speech-shaped noise", 5)),
        ("white-noise:-3, telephone", Condition("white noise", -3, True)),
        ("telephone,music:20", Condition("music", 20, True)),
    ],
)
def test_a_condition_is_read(text, condition):
    assert parse(text) == condition


@pytest.mark.parametrize(
    "text", ["loud", "noise", "noise:", "noise:x", "noise:nan", "noise:1,music:2", "clean:1"]
)
def test_what_is_no_condition_is_refused_with_what_there_is(text):
    with pytest.raises(ConfigError, match="such as noise:10"):
        parse(text)


@given(
    st.sampled_from([None, "pink noise", "music", "speech-shaped noise"]), st.integers(-5, 40), st.booleans()
)
def test_a_name_is_read_back(noise, snr_db, telephone):
    condition = Condition(noise, float(snr_db) if noise else 0.0, telephone)
    assert parse(condition.name.replace(", ", ",")) == condition


def test_a_clean_scene_is_what_it_was_and_silence_follows():
    audio = speech()
    sound = apply(CLEAN, audio, 1)
    assert np.array_equal(sound.audio, audio)
    assert not sound.after.any()


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_is_so_far_below_the_speech_and_goes_on(snr_db):
    audio = speech()
    sound = apply(Condition("pink noise", snr_db), audio, 1)
    loud = power_db(audio[len(audio) // 4 : -len(audio) // 4])
    noise = sound.audio - audio
    assert abs(loud - power_db(np.concatenate([noise, sound.after])) - snr_db) < 1.0
    assert abs(power_db(noise) - power_db(sound.after)) < 3.0


def test_the_same_seed_gives_the_same_sound():
    condition = Condition("white noise", 10, True)
    one, same, other = (apply(condition, speech(), seed) for seed in (1, 1, 2))
    assert np.array_equal(one.audio, same.audio)
    assert not np.array_equal(one.audio, other.audio)


def test_a_telephone_carries_nothing_above_4_khz():
    sound = apply(Condition("white noise", 0, True), speech(), 1)
    spectrum = np.abs(np.fft.rfft(sound.audio)) ** 2
    hertz = np.fft.rfftfreq(len(sound.audio), 1 / SAMPLE_RATE)
    assert spectrum[hertz > 4_200].sum() < 1e-3 * spectrum.sum()


@given(st.integers(0, 3 * FRAME), st.integers(1, 3), st.integers(0, 20))
def test_frames_are_the_scene_and_then_what_follows_over_and_over(length, repeats, number):
    audio = np.arange(1, length + 1, dtype=np.float32)
    after = -np.arange(1, repeats * FRAME + 1, dtype=np.float32)
    sound = Sound(audio, after)
    assert sound.frames == -(-length // FRAME)
    frames = [sound.frame(n) for n in range(number + 1)]
    assert all(frame.shape == (FRAME,) for frame in frames)
    heard = np.concatenate(frames)
    kept = min(length, len(heard))
    assert np.array_equal(heard[:kept], audio[:kept])
    assert (heard[kept:] < 0).all()


def test_it_is_told_in_json_with_its_network():
    told = Condition("music", 5, True, Conditions(pattern="...x", jitter_s=0.03)).to_json()
    assert told["name"] == "music:5, telephone, loss ...x, jitter 30 ms"
    assert told["network"] == {
        "loss": 0.0, "pattern": "...x", "delay_ms": 0.0, "jitter_ms": 30.0, "reorder": 0.0, "seed": 1,
    }  # fmt: skip
