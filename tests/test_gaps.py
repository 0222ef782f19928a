"""The ledger of what did not come from the speaker."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import WINDOW, AudioFrame, ms_to_samples
from rtc_stt.events import SessionWarning, SpeechStopped, TranscriptFinal, UtteranceDropped
from rtc_stt.gaps import MAX_ENTRIES, Gap, Gaps
from tests.harness import SILENCE, SPEECH, TRUSTING, Line, only


def frame(number: int, concealed: int = 0, lost: int = 0) -> AudioFrame:
    return AudioFrame(number * WINDOW, np.zeros(WINDOW, np.float32), concealed, lost)


def test_a_gap_counts_concealed_speech_and_all_that_was_lost():
    gaps = Gaps()
    for number in range(10):
        gaps.add(frame(number, concealed=10, lost=1))
    heard, owned = (4 * WINDOW, 6 * WINDOW), (2 * WINDOW, 8 * WINDOW)
    assert gaps.within(heard, owned) == Gap(concealed=20, lost=6)


def test_whole_audio_leaves_no_trace():
    gaps = Gaps()
    gaps.add(frame(0))
    assert len(gaps) == 0
    assert not gaps.within((0, WINDOW), (0, WINDOW))


def test_a_gap_is_told_in_ms():
    gap = Gap(concealed=ms_to_samples(20), lost=ms_to_samples(300))
    assert (gap.concealed_ms, gap.lost_ms) == (20, 300)


@given(st.integers(0, 3 * MAX_ENTRIES), st.integers(0, 500))
def test_the_ledger_is_bounded_and_loses_nothing_of_an_open_utterance(count, start):
    gaps = Gaps()
    for number in range(start, start + count):
        gaps.add(frame(number, concealed=5, lost=7))
    assert len(gaps) <= MAX_ENTRIES
    everything = start * WINDOW, (start + count) * WINDOW
    assert gaps.within(everything, everything) == Gap(5 * count, 7 * count)
    gaps.trim(everything[1])
    assert len(gaps) == 0


# ── In the recognizer ──


class Damaged(Line):
    """A line of which some windows did not come."""

    def __init__(self, **endpointing: float) -> None:
        super().__init__(routing=TRUSTING, eager_answers=True, **endpointing)
        self.engine.text = lambda request: "word"  # type: ignore[method-assign]

    def windows(self, count: int, probability: float, concealed: int = 0, lost: int = 0) -> None:
        for _ in range(count):
            samples = np.full(WINDOW, 0.1, np.float32)
            frame = AudioFrame(self._position, samples, concealed, lost)
            self._position += WINDOW
            self.now += WINDOW / 16_000
            self.recognizer.receive_audio(frame, 0.0 if frame.is_lost else probability, self.now)
            self._collect()


@pytest.fixture
def line() -> Damaged:
    return Damaged()


def test_a_whole_utterance_has_no_gap_and_no_warning(line):
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert (final.concealed_ms, final.lost_ms) == (0, 0)
    assert only(line.told, SessionWarning) == []


def test_concealed_speech_is_told_and_concealed_silence_is_not(line):
    line.windows(10, SILENCE, concealed=WINDOW)
    line.windows(10, SPEECH)
    line.windows(2, SPEECH, concealed=320)
    line.windows(10, SPEECH)
    line.windows(30, SILENCE, concealed=WINDOW)
    [final] = only(line.told, TranscriptFinal)
    assert (final.concealed_ms, final.lost_ms) == (40, 0)
    [warning] = only(line.told, SessionWarning)
    assert warning.code == "audio_gap"
    assert "40 ms concealed" in warning.message
    assert "lost" not in warning.message
    assert line.told.index(warning) == line.told.index(final) - 1


def test_what_the_codec_alone_has_said_is_no_utterance(line):
    line.windows(10, SILENCE)
    line.windows(6, SPEECH, concealed=WINDOW)
    line.windows(60, SPEECH, lost=WINDOW)
    line.windows(30, SILENCE)
    assert not only(line.told, TranscriptFinal)
    [dropped] = only(line.told, UtteranceDropped)
    assert dropped.reason == "no_speech"


def test_a_short_hole_does_not_cut_a_sentence_in_two(line):
    line.windows(20, SPEECH)
    line.windows(28, SILENCE, lost=WINDOW)  # 0.9 s, longer than the hangover
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert final.lost_ms == 28 * 32
    assert final.audio_end_ms >= 68 * 32 - 100


def test_speech_ends_where_a_long_hole_begins(line):
    line.windows(20, SPEECH)
    line.windows(40, SILENCE, lost=WINDOW)
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    first, _second = only(line.told, TranscriptFinal)
    [stopped, _] = only(line.told, SpeechStopped)
    assert stopped.audio_end_ms == first.audio_end_ms <= 20 * 32 + 100


def test_a_hole_in_a_pause_is_a_pause(line):
    line.windows(20, SPEECH)
    line.windows(10, SILENCE)
    line.windows(10, SILENCE, lost=WINDOW)
    line.windows(5, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert final.audio_end_ms <= 20 * 32 + 100


def test_a_finalize_in_a_hole_finds_silence(line):
    line.windows(20, SPEECH)
    line.windows(10, SILENCE, lost=WINDOW)
    line.recognizer.receive_end_of_audio(line.now)
    line._collect()
    [final] = only(line.told, TranscriptFinal)
    assert final.audio_end_ms <= 20 * 32 + 100


def test_a_hole_that_cuts_a_sentence_off_is_told_on_both_sides_of_it(line):
    line.windows(20, SPEECH)
    line.windows(60, SPEECH, lost=WINDOW)  # the detector is not asked
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    first, second = only(line.told, TranscriptFinal)
    assert first.lost_ms > 0, "in its hangover"
    assert second.lost_ms > 0, "in its pre-roll"
    assert first.lost_ms + second.lost_ms <= 60 * 32
    assert [w.code for w in only(line.told, SessionWarning)] == ["audio_gap", "audio_gap"]


def test_a_short_hole_within_speech_is_bridged_and_told(line):
    line.windows(20, SPEECH)
    line.windows(3, SPEECH, lost=WINDOW)
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert (final.concealed_ms, final.lost_ms) == (0, 96)
    assert "96 ms lost" in only(line.told, SessionWarning)[0].message


def test_all_segments_of_a_long_utterance_count(line):
    for _ in range(12):  # 23 s: commits every 8 to 16 s
        line.windows(55, SPEECH)
        line.windows(4, SPEECH, concealed=160)
        line.windows(1, SPEECH, lost=512)
    line.windows(30, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert (final.concealed_ms, final.lost_ms) == (12 * 40, 12 * 32)
    assert len(line.recognizer._gaps) == 0


def test_an_utterance_that_is_cut_shares_its_gaps_out():
    line = Damaged(max_utterance_s=2.0)
    for _ in range(30):
        line.windows(5, SPEECH)
        line.windows(1, SPEECH, concealed=320)
    line.windows(30, SILENCE)
    finals = only(line.told, TranscriptFinal)
    assert len(finals) > 1
    assert sum(final.concealed_ms for final in finals) == 30 * 20


def test_what_is_muted_has_no_gap(line):
    line.mute(True)
    line.windows(40, SPEECH, lost=WINDOW)
    line.mute(False)
    line.windows(20, SPEECH)
    line.windows(30, SILENCE)
    [final] = only(line.told, TranscriptFinal)
    assert final.lost_ms == 0


def test_a_dropped_utterance_needs_no_warning(line):
    line.windows(5, SPEECH, concealed=10)
    line.engine.text = lambda request: ""
    line.windows(30, SILENCE)
    assert len(only(line.told, SpeechStopped)) == 1
    assert only(line.told, TranscriptFinal) == []
    assert only(line.told, SessionWarning) == []


def test_silence_is_forgotten(line):
    line.windows(200, SILENCE, lost=1)
    assert len(line.recognizer._gaps) < 30
