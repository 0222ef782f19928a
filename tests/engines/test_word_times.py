"""Word times: from alignments made up here, and those of the demo models against the truth."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rtc_stt import demo_models
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.engines.word_times import longest_token, sound, sound_after, time_words, token_times
from tools.decode_engine.engines import ask, load
from tools.decode_engine.word_times import NEAR_MS, offsets, true_times

EOT = 99


class Letters:
    """A tokenizer whose tokens are pieces of text, by number."""

    eot = EOT
    language_code = "en"

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    def split_to_word_tokens(self, tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        return [self.pieces[t] if t != EOT else "" for t in tokens], [[t] for t in tokens]


def aligned(*positions: int, frames: int = 200) -> SimpleNamespace:
    """Each text token and the end token from its encoder position on, to the end of the audio."""
    bounds = [*positions, frames // 2]
    pairs = [(row, p) for row in range(len(positions)) for p in range(bounds[row], bounds[row + 1])]
    return SimpleNamespace(alignments=pairs, text_token_probs=[0.9, 0.5, 0.8, 0.7][: len(positions) - 1])


def mel(*loud: tuple[int, int], frames: int = 200) -> np.ndarray:
    """Spectrogram that is loud in these frames."""
    values = np.full((80, frames), -0.5, np.float32)
    for start, end in loud:
        values[:, start:end] = 1.0
    return values


def test_tokens_begin_where_the_alignment_jumps():
    assert token_times(aligned(0, 20, 50), 2).tolist() == [0.0, 0.4, 1.0]


def test_silence_before_between_and_behind_belongs_to_no_word():
    tokenizer, quiet = Letters(" Hello", " you"), mel((30, 60), (100, 140))
    words = time_words(tokenizer, [0, 1], aligned(0, 40, 90), quiet, 1_000)
    assert [(w.word, w.start_ms, w.end_ms, w.probability) for w in words] == [
        ("Hello", pytest.approx(1_300, abs=20), pytest.approx(1_600, abs=20), 0.9),
        ("you", pytest.approx(2_000, abs=20), pytest.approx(2_400, abs=20), 0.5),
    ]


def test_a_sliver_of_the_neighbours_sound_is_left_to_it():
    words = time_words(Letters(" Hello", " you"), [0, 1], aligned(0, 28, 90), mel((30, 60), (100, 140)), 0)
    assert words[1].start_ms == pytest.approx(1_000, abs=20)


@pytest.mark.parametrize("boundary", [23, 30, 38, 47])
def test_a_boundary_near_a_gap_is_in_the_gap(boundary):
    spoken = mel((20, 60), (80, 140))
    words = time_words(Letters(" Hello", " you"), [0, 1], aligned(0, boundary, 75), spoken, 0)
    assert words[0].end_ms == pytest.approx(600, abs=20)
    assert words[1].start_ms == pytest.approx(800, abs=20)


def test_a_boundary_far_from_any_gap_stays_where_it_is():
    spoken = mel((20, 100), (120, 160))
    words = time_words(Letters(" Hello", " you", " there"), [0, 1, 2], aligned(0, 30, 55, 85), spoken, 0)
    assert words[0].end_ms == words[1].start_ms == 600


def test_words_without_any_sound_keep_the_times_of_the_alignment():
    words = time_words(Letters(" Hello", " you"), [0, 1], aligned(0, 40, 90), mel(), 0)
    assert [(w.start_ms, w.end_ms) for w in words] == [(0, 800), (800, 1_800)]


def test_punctuation_and_pieces_belong_to_their_word():
    tokenizer = Letters(" eleven", " o", "'", "clock", ".")
    alignment = aligned(0, 20, 40, 50, 70, 80)
    alignment.text_token_probs = [0.9, 0.8, 0.1, 0.7, 0.2]
    words = time_words(tokenizer, [0, 1, 2, 3, 4], alignment, mel((0, 160)), 0)
    assert [(w.word, w.end_ms, w.probability) for w in words] == [
        ("eleven", 400, 0.9),
        ("o'clock.", 1_600, 0.7),
    ]


def test_a_click_is_no_sound():
    assert not sound(mel((50, 54))).any()
    assert sound(mel((50, 90)))[52:88].all()
    assert not sound(mel((50, 90)))[:48].any()


def test_sound_behind_the_text_is_a_new_sound_or_one_that_goes_on_for_long():
    two = sound(mel((20, 60), (120, 160)))
    assert sound_after(two, 1.65) == 0
    assert sound_after(two, 0.5) == pytest.approx(1.0, abs=0.05)
    assert sound_after(two, 1.4) == 0
    assert sound_after(sound(mel((20, 160))), 0.5) == pytest.approx(0.8, abs=0.05)
    assert sound_after(sound(mel()), 0.5) == 0


def test_the_longest_token_is_the_one_with_most_sound_in_it():
    loud = sound(mel((20, 60), (100, 160)))
    assert longest_token(loud, np.array([0.0, 0.9, 1.2, 2.0])) == pytest.approx(0.4, abs=0.05)
    assert longest_token(loud, np.array([0.0])) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clean", "noisy", "digits"])
def test_the_accurate_models_words_are_where_they_were_said(name):
    """Of all clips (``python -m tools.decode_engine word_times``) three words in four are within 80 ms, and
    of spoken numbers, which have gaps between them, nine in ten."""
    engine, truth = load(demo_models.ACCURATE), true_times()
    starts, ends = [], []
    for clip in load_clips(name, limit=12):
        heard = engine.decode(ask(clip.audio(), word_timestamps=True))
        found = offsets(heard.words, truth[clip.id])
        starts += found.starts
        ends += found.ends
    assert len(starts) >= 30
    for errors in (np.abs(starts), np.abs(ends)):
        assert np.median(errors) <= 50
        assert (errors <= NEAR_MS).mean() >= (0.85 if name == "digits" else 0.6)
