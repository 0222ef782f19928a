"""When speech starts, pauses and stops: each row of the table, and where a long utterance is cut."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from rtc_stt.audio import WINDOW, AudioFrame, ms_to_samples
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import Endpointer, Paused, Resumed, Signal, Started, Stopped
from tests.harness import SILENCE, SPEECH

WINDOW_MS = 32


class Ear:
    """Feeds windows, and notes each signal with the number of windows heard when it came."""

    def __init__(self, **options: float) -> None:
        self.endpointer = Endpointer(Endpointing(**options))  # type: ignore[arg-type]
        self.heard = 0
        self.signals: list[tuple[int, Signal]] = []

    def hear(self, probabilities: Iterable[float], loudness: float = 0.3) -> list[Signal]:
        before = len(self.signals)
        for probability in probabilities:
            frame = AudioFrame(self.heard * WINDOW, np.full(WINDOW, loudness, np.float32))
            self.heard += 1
            self.signals += [(self.heard, s) for s in self.endpointer.receive(frame, probability)]
        return [signal for _, signal in self.signals[before:]]

    def speech(self, ms: int) -> list[Signal]:
        return self.hear([SPEECH] * (ms // WINDOW_MS))

    def silence(self, ms: int) -> list[Signal]:
        return self.hear([SILENCE] * (ms // WINDOW_MS), loudness=0.0)


def test_silence_signals_nothing():
    ear = Ear()
    assert ear.silence(10_000) == []
    assert not ear.endpointer.in_utterance


def test_speech_starts_when_it_has_lasted_the_onset_and_at_its_first_window():
    ear = Ear(onset_ms=64)
    ear.silence(320)
    assert ear.speech(32) == []
    assert ear.speech(32) == [Started(10 * WINDOW)]
    assert ear.endpointer.in_utterance
    assert ear.endpointer.is_speaking


def test_a_click_shorter_than_the_onset_starts_nothing():
    ear = Ear(onset_ms=96)
    for _ in range(5):
        ear.speech(64)
        ear.silence(32)
    assert ear.signals == []


def test_an_onset_begins_anew_after_a_click():
    ear = Ear(onset_ms=64)
    ear.speech(32)
    ear.silence(32)
    assert ear.speech(64) == [Started(2 * WINDOW)]


def test_a_short_dip_is_no_pause():
    ear = Ear(speculate_after_ms=192)
    ear.speech(320)
    assert ear.silence(160) == []
    assert not ear.endpointer.is_speaking
    assert ear.speech(32) == []
    assert ear.endpointer.is_speaking


def test_what_the_detector_holds_on_to_after_the_voice_has_gone_is_not_speech():
    ear = Ear(min_silence_ms=320, speculate_after_ms=192)
    ear.speech(320)
    ear.hear([SPEECH] * 3, loudness=0.005)  # 36 dB softer
    assert ear.silence(32) == []
    paused = ear.silence(64)  # 192 ms since the voice
    assert [type(signal) for signal in paused] == [Paused]
    assert paused[0].speech_end == 10 * WINDOW
    stopped = ear.silence(128)
    assert [(type(s), s.speech_end, s.audio_end) for s in stopped] == [(Stopped, 10 * WINDOW, 20 * WINDOW)]


def test_a_soft_ending_is_speech():
    ear = Ear(min_silence_ms=320)
    ear.speech(320)
    ear.hear([SPEECH] * 3, loudness=0.015)  # 26 dB softer
    assert ear.silence(320)[-1].speech_end == 13 * WINDOW


def test_only_the_newest_windows_can_be_faint():
    ear = Ear(min_silence_ms=320)
    ear.speech(640)
    ear.hear([SPEECH] * 9, loudness=0.001)
    assert ear.silence(320)[-1].speech_end == (29 - 5) * WINDOW


def test_a_pause_is_told_once_with_the_true_end_of_speech():
    ear = Ear(speculate_after_ms=192, min_silence_ms=480)
    ear.speech(320)
    [paused] = ear.silence(448)
    assert isinstance(paused, Paused)
    assert paused.speech_end == 10 * WINDOW
    assert ear.signals[-1][0] == 10 + 6  # after 192 ms


def test_speech_after_a_pause_resumes_and_may_pause_again():
    ear = Ear(speculate_after_ms=192, min_silence_ms=480)
    ear.speech(320)
    ear.silence(192)
    assert ear.speech(32) == [Resumed()]
    [again] = ear.silence(192)
    assert isinstance(again, Paused)
    assert again.speech_end == 17 * WINDOW


def test_speech_stops_after_the_hangover_and_owns_it():
    ear = Ear(speculate_after_ms=192, min_silence_ms=480)
    ear.speech(320)
    *_, stopped = ear.silence(480)
    assert stopped == Stopped(10 * WINDOW, 25 * WINDOW, stopped.evidence)
    assert not ear.endpointer.in_utterance
    assert ear.silence(5_000) == []


def test_the_pause_comes_before_the_stop_even_where_both_are_due_at_once():
    ear = Ear(speculate_after_ms=480, min_silence_ms=480)
    ear.speech(320)
    kinds = [type(s) for s in ear.silence(640)]
    assert kinds in ([Stopped], [Paused, Stopped])
    assert kinds[-1] is Stopped


def test_hysteresis_a_window_between_the_thresholds_keeps_speech_but_does_not_start_it():
    ear = Ear(start_threshold=0.5, stay_threshold=0.35)
    ear.hear([0.45] * 20)
    assert ear.signals == []
    ear.hear([0.5] * 2)
    assert ear.hear([0.35] * 50) == []
    assert ear.endpointer.is_speaking


def test_after_a_dip_only_the_higher_threshold_resumes():
    ear = Ear(start_threshold=0.5, stay_threshold=0.35, speculate_after_ms=64)
    ear.speech(320)
    ear.hear([0.1] * 4)
    assert Resumed() not in ear.hear([0.45] * 3)
    assert Resumed() in ear.hear([0.5])


def test_evidence_counts_speech_windows_alone():
    ear = Ear(speculate_after_ms=320)
    ear.hear([0.9] * 5 + [0.02] * 2 + [0.7] * 5)
    [paused] = ear.silence(320)
    assert isinstance(paused, Paused)
    assert paused.evidence.speech_ms == 10 * WINDOW_MS
    assert paused.evidence.mean_probability == pytest.approx(0.8)


def test_stop_ends_an_open_utterance_where_the_audio_is():
    ear = Ear()
    ear.speech(320)
    ear.silence(64)
    stopped = ear.endpointer.stop()
    assert stopped is not None
    assert (stopped.speech_end, stopped.audio_end) == (10 * WINDOW, 12 * WINDOW)
    assert not ear.endpointer.in_utterance
    assert ear.endpointer.stop() is None


def test_stop_in_silence_and_in_an_onset_ends_nothing():
    ear = Ear(onset_ms=96)
    assert ear.endpointer.stop() is None
    ear.speech(64)
    assert ear.endpointer.stop() is None
    assert ear.speech(64) == []  # the onset began anew
    assert ear.speech(32) == [Started(2 * WINDOW)]


def test_a_long_utterance_is_cut_where_speech_dips_not_in_the_middle_of_a_word():
    ear = Ear(max_utterance_s=4)
    ear.speech(2_880)
    ear.silence(128)  # between two words: windows 90 to 93
    ear.speech(2_000)
    started, stopped, again = (s for _, s in ear.signals)
    assert isinstance(started, Started)
    assert isinstance(stopped, Stopped)
    assert 90 * WINDOW <= stopped.audio_end <= 94 * WINDOW
    assert stopped.speech_end == 90 * WINDOW
    assert again == Started(stopped.audio_end)
    assert ear.endpointer.in_utterance


def test_of_even_speech_the_softest_place_is_cut():
    ear = Ear(max_utterance_s=4)
    ear.hear([SPEECH] * 80)
    ear.hear([SPEECH] * 3, loudness=0.01)
    ear.hear([SPEECH] * 60)
    stopped = next(s for _, s in ear.signals if isinstance(s, Stopped))
    assert 80 * WINDOW <= stopped.audio_end <= 83 * WINDOW


def test_a_cut_comes_no_later_than_the_maximum_and_leaves_no_gap():
    ear = Ear(max_utterance_s=2)
    ear.speech(60_000)
    starts = [s.start for _, s in ear.signals if isinstance(s, Started)]
    ends = [s.audio_end for _, s in ear.signals if isinstance(s, Stopped)]
    assert starts == [0, *ends]
    lengths = [end - start for start, end in zip(starts, ends, strict=False)]
    assert len(lengths) >= 30
    assert all(0 < length <= ms_to_samples(2_000) + WINDOW for length in lengths)


def test_a_cut_goes_back_at_most_half_an_utterance():
    ear = Ear(max_utterance_s=4)
    ear.speech(320)
    ear.silence(64)  # the best dip, and far too early
    ear.speech(4_000)
    stopped = next(s for _, s in ear.signals if isinstance(s, Stopped))
    assert stopped.audio_end >= ms_to_samples(1_900)


def test_an_utterance_that_gets_too_long_in_a_dip_ends_there():
    ear = Ear(max_utterance_s=2, min_silence_ms=1_000, speculate_after_ms=500)
    ear.speech(1_920)
    [stopped] = ear.silence(96)
    assert isinstance(stopped, Stopped)
    assert stopped.speech_end == 60 * WINDOW
    assert not ear.endpointer.in_utterance


def test_new_options_judge_the_next_window():
    ear = Ear(min_silence_ms=2_000)
    ear.speech(320)
    ear.silence(640)
    ear.endpointer.options = Endpointing(min_silence_ms=320, speculate_after_ms=200)
    [stopped] = ear.silence(32)
    assert isinstance(stopped, Stopped)


# ── Commits ──


def test_the_quietest_place_between_two_positions_is_found():
    ear = Ear()
    ear.hear([SPEECH] * 30)
    ear.hear([SPEECH] * 5, loudness=0.03)
    ear.hear([SPEECH] * 30)
    ear.hear([SPEECH] * 3, loudness=0.0)
    ear.hear([SPEECH] * 30)
    dip = ear.endpointer.quietest(20 * WINDOW, 50 * WINDOW)
    assert dip is not None
    assert dip.position == 33 * WINDOW, "the later of those that are alike"
    assert dip.depth == pytest.approx(0.9, abs=0.01)
    even = ear.endpointer.quietest(10 * WINDOW, 20 * WINDOW)
    assert even is not None
    assert even.depth == pytest.approx(0.0, abs=0.01)
    assert dip.noise < even.noise <= 2.0


def test_there_is_no_quietest_place_where_nothing_was_heard():
    ear = Ear()
    assert ear.endpointer.quietest(0, 10 * WINDOW) is None
    ear.speech(640)
    assert ear.endpointer.quietest(30 * WINDOW, 40 * WINDOW) is None
    assert ear.endpointer.quietest(5 * WINDOW + 1, 6 * WINDOW - 1) is None


def test_a_commit_tells_the_evidence_before_it_and_the_rest_is_told_at_the_end():
    ear = Ear()
    ear.hear([0.9] * 20 + [0.7] * 10)
    before = ear.endpointer.commit(20 * WINDOW)
    assert (before.speech_ms, before.mean_probability) == (20 * WINDOW_MS, pytest.approx(0.9))
    stopped = ear.endpointer.stop()
    assert stopped is not None
    assert stopped.evidence.speech_ms == 10 * WINDOW_MS
    assert stopped.evidence.mean_probability == pytest.approx(0.7)


def test_an_utterance_ends_at_its_maximum_however_often_it_was_committed():
    ear = Ear(max_utterance_s=4)
    for _ in range(3):
        ear.speech(1_024)
        ear.endpointer.commit((ear.heard - 8) * WINDOW)
    ear.speech(1_024)
    stopped = next(s for _, s in ear.signals if isinstance(s, Stopped))
    assert ear.heard * WINDOW - stopped.audio_end <= ms_to_samples(2_000)
    assert ear.signals[1][0] == 125  # 4 s


def test_the_true_end_of_speech_is_told_where_it_was_committed_before():
    ear = Ear(max_utterance_s=2, min_silence_ms=1_000, speculate_after_ms=500)
    ear.speech(1_600)
    ear.silence(256)
    ear.endpointer.commit(54 * WINDOW)
    ear.speech(160)
    stopped = next(s for _, s in ear.signals if isinstance(s, Stopped))
    assert stopped.audio_end < 58 * WINDOW
    assert stopped.speech_end == 50 * WINDOW
