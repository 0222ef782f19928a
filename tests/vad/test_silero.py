"""The real detector: many streams in one call are judged as each would be alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, WINDOW
from rtc_stt.bench.clips import load
from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.silero import CALM_WINDOWS, Line, SileroDetector
from tools.live_line.speak import surroundings
from tools.telephony.line import heard_over


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector()


def streams(count: int, n: int) -> np.ndarray:
    """Voice-like buzzes that come and go, with noise; shape ``(count, n, WINDOW)``."""
    rng = np.random.default_rng(7)
    t = np.arange(n * WINDOW) / SAMPLE_RATE
    out = []
    for i in range(count):
        pitch = 90 + 25 * i
        buzz = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 20))
        on = (np.sin(2 * np.pi * (0.7 + 0.2 * i) * t) > 0).astype(float)
        out.append(0.1 * buzz * on + 0.01 * rng.standard_normal(len(t)))
    return np.stack(out).reshape(count, n, WINDOW).astype(np.float32)


def test_a_batch_is_judged_as_each_stream_alone(detector):
    audio = streams(5, 24)
    alone = []
    for stream in audio:
        state = detector.new_state()
        alone.append([detector.detect([state], window[None])[0] for window in stream])
    states = [detector.new_state() for _ in audio]
    together = [detector.detect(states, audio[:, i]) for i in range(audio.shape[1])]
    np.testing.assert_allclose(np.array(together).T, alone, atol=1e-4)
    assert np.ptp(alone) > 0.05, "the streams are such that it matters who is who"


def test_streams_may_come_and_go_between_calls(detector):
    audio = streams(3, 12)
    expected = []
    for stream in audio:
        state = detector.new_state()
        expected.append([detector.detect([state], window[None])[0] for window in stream])
    states = [detector.new_state() for _ in audio]
    rng, done, told = np.random.default_rng(3), [0, 0, 0], [[], [], []]
    while min(done) < 12:
        who = [i for i in range(3) if done[i] < 12 and rng.random() < 0.6]
        if who:
            judged = detector.detect([states[i] for i in who], np.stack([audio[i, done[i]] for i in who]))
            for i, probability in zip(who, judged, strict=True):
                told[i].append(probability)
                done[i] += 1
    np.testing.assert_allclose(told, expected, atol=1e-4)


def test_silence_is_no_speech(detector):
    state = detector.new_state()
    told = [detector.detect([state], np.zeros((1, WINDOW), np.float32))[0] for _ in range(20)]
    assert max(told) < 0.35
    assert all(isinstance(p, float) and 0 <= p <= 1 for p in told)


def test_a_window_that_is_changed_afterwards_does_not_change_the_next_judgement(detector):
    audio = streams(1, 2)
    clean, dirty = detector.new_state(), detector.new_state()
    first = audio[:, 0].copy()
    detector.detect([clean], audio[:, 0])
    detector.detect([dirty], first)
    first[:] = 1
    assert detector.detect([dirty], audio[:, 1]) == pytest.approx(detector.detect([clean], audio[:, 1]))


def test_a_state_of_another_detector_is_a_mistake_of_the_caller(detector):
    with pytest.raises(AssertionError):
        detector.detect([DetectorState()], np.zeros((1, WINDOW), np.float32))


def test_a_quiet_voice_right_after_a_loud_one_is_heard_as_soon_as_alone(detector):
    clips = {clip.id: clip for clip in load("digits", "noisy")}
    quiet, loud = clips["noisy-001"], max(load("digits"), key=lambda clip: float(np.std(clip.audio())))
    silence = np.zeros(SAMPLE_RATE, np.float32)
    before, _ = surroundings(quiet)
    after_loud = np.concatenate([silence, loud.audio(), silence, before])
    spoken_ms = len(after_loud) // 16 + quiet.speech_start_ms

    audio = np.concatenate([after_loud, quiet.audio()])
    windows = audio[: len(audio) // WINDOW * WINDOW].reshape(-1, 1, WINDOW)
    state = detector.new_state()
    judged = [detector.detect([state], window)[0] for window in windows]
    first = next(i for i, p in enumerate(judged) if i * 32 > spoken_ms - 300 and p >= 0.5)
    assert first * 32 - spoken_ms < 400, "later than the pre-roll"


def hear(detector: SileroDetector, audio: np.ndarray, state: DetectorState) -> list[float]:
    windows = audio[: len(audio) // WINDOW * WINDOW].reshape(-1, 1, WINDOW)
    return [detector.detect([state], window)[0] for window in windows]


def test_digital_silence_is_not_judged_once_all_has_settled(detector, monkeypatch):
    judged = []
    network = detector._network
    spectra = network.spectra
    monkeypatch.setattr(network, "spectra", lambda heard: judged.append(len(heard)) or spectra(heard))
    idle = np.full(200 * WINDOW, 8 / 32768, np.float32)  # of A-law
    state = detector.new_state()
    told = hear(detector, idle, state)
    assert len(judged) == CALM_WINDOWS
    assert max(told) < 0.35


def test_a_word_after_long_silence_is_heard_as_if_all_of_it_had_been_judged(detector, monkeypatch):
    for clip in load("clean", limit=4):
        begins = []
        for settled in (CALM_WINDOWS, 1_000):
            monkeypatch.setattr("rtc_stt.vad.silero.CALM_WINDOWS", settled)
            state = detector.new_state()
            hear(detector, np.zeros(7 * CALM_WINDOWS * WINDOW, np.float32), state)
            told = hear(detector, clip.audio(), state)
            begins.append(next(i for i, p in enumerate(told) if p >= 0.5))
        assert abs(begins[0] - begins[1]) <= 1


@pytest.mark.parametrize("level_db", [-58, -70])
def test_the_noise_of_a_quiet_line_is_not_judged_and_a_word_over_it_is(detector, monkeypatch, level_db):
    judged = []
    spectra = detector._network.spectra
    monkeypatch.setattr(
        detector._network, "spectra", lambda heard: judged.append(len(heard)) or spectra(heard)
    )
    random = np.random.default_rng(3)
    noise = np.asarray(random.standard_normal(300 * WINDOW) * 10 ** (level_db / 20), np.float32)
    state = detector.new_state()
    hear(detector, noise, state)
    assert len(judged) < CALM_WINDOWS + 100, "of three hundred: until its floor is known"
    (clip,) = load("clean", limit=1)
    told = hear(detector, clip.audio() + noise[: len(clip.audio())], state)
    begins = next(i for i, p in enumerate(told) if p >= 0.5) * 32
    assert begins - clip.speech_start_ms < 400, "later than the pre-roll"


def test_louder_noise_is_judged_however_steady(detector, monkeypatch):
    judged = []
    spectra = detector._network.spectra
    monkeypatch.setattr(
        detector._network, "spectra", lambda heard: judged.append(len(heard)) or spectra(heard)
    )
    noise = np.asarray(np.random.default_rng(3).standard_normal(200 * WINDOW) * 10 ** (-40 / 20), np.float32)
    hear(detector, noise, detector.new_state())
    assert len(judged) >= 200, "somebody may speak in it"


def test_a_telephone_line_is_known_by_what_it_lacks(detector):
    (clip,) = load("clean", limit=1)
    wide, line = detector.new_state(), detector.new_state()
    hear(detector, clip.audio(), wide)
    heard = heard_over(clip.audio())
    hole = np.concatenate([heard, np.zeros(3 * WINDOW + 77, np.float32), heard])  # a click at each edge
    told = hear(detector, hole, line)
    assert wide.line is Line.WIDE
    assert line.line is not Line.WIDE
    assert max(told) > 0.9


def test_after_some_speech_a_telephone_line_is_asked_of_one_network_alone(detector):
    clips = load("clean", limit=4)
    pause = np.zeros(SAMPLE_RATE, np.float32)
    speech = np.concatenate([part for clip in clips for part in (clip.audio(), pause)])
    state = detector.new_state()
    hear(detector, heard_over(speech), state)
    assert state.line is Line.TELEPHONE
    told = hear(detector, heard_over(clips[0].audio()), state)
    begins = next(i for i, p in enumerate(told) if p >= 0.5) * 32
    assert begins - clips[0].speech_start_ms < 400, "later than the pre-roll"


def test_a_call_that_is_handed_to_somebody_without_a_telephone_is_heard_as_such(detector):
    clips = load("clean", limit=4)
    speech = np.concatenate([clip.audio() for clip in clips])
    state = detector.new_state()
    hear(detector, np.concatenate([heard_over(speech), np.zeros(SAMPLE_RATE, np.float32)]), state)
    assert state.line is Line.TELEPHONE
    told = hear(detector, speech, state)
    assert state.line is Line.WIDE
    assert np.mean(np.array(told) > 0.5) > 0.4


def test_a_stream_in_the_place_of_an_ended_one_begins_anew(detector):
    audio = streams(2, 12)
    expected = hear(detector, audio[1].ravel(), detector.new_state())
    state = detector.new_state()
    hear(detector, audio[0].ravel(), state)
    row = state.row
    del state
    state = detector.new_state()
    assert hear(detector, audio[1].ravel(), state) == expected
    assert state.row == row


def test_lines_and_others_share_a_call(detector):
    (clip,) = load("clean", limit=1)
    both = [clip.audio()[: 60 * WINDOW], heard_over(clip.audio())[: 60 * WINDOW]]
    alone = [hear(detector, audio, detector.new_state()) for audio in both]
    states = [detector.new_state() for _ in both]
    together = [
        detector.detect(states, np.stack([audio[at : at + WINDOW] for audio in both]))
        for at in range(0, 60 * WINDOW, WINDOW)
    ]
    np.testing.assert_allclose(np.array(together).T, alone, atol=1e-4)


@pytest.mark.slow
def test_torch_is_never_imported():
    code = (
        "import sys, rtc_stt.session, rtc_stt.engines, rtc_stt.vad; rtc_stt.vad.SileroDetector(); "
        "from rtc_stt.cli import bench, demo, serve, transcribe; "
        "print(sorted({'torch', 'silero_vad'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
