"""Finals as subtitle cues."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.hypothesis import Word
from rtc_stt.subtitles import LINE, LINES, LONGEST_MS, Cue, cues, render_cue, subtitle
from tests.test_wire import FINAL

LATE = dataclasses.replace(FINAL, audio_start_ms=3_723_004, audio_end_ms=3_725_060, text="Ça va ?")


def test_a_subrip_cue_has_a_number_and_commas():
    assert subtitle(LATE, "srt", 3) == "3\n01:02:03,004 --> 01:02:05,060\nÇa va ?\n"


def test_a_webvtt_cue_has_neither():
    assert subtitle(LATE, "vtt", 3) == "01:02:03.004 --> 01:02:05.060\nÇa va ?\n"


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_a_cue_ends_in_a_new_line_so_that_printing_it_leaves_a_blank_one(form):
    assert subtitle(FINAL, form, 1).endswith("turn on\n")


def test_a_cue_lasts_and_its_text_cannot_end_it():
    assert render_cue(Cue(5, 5, "one\n\n \ntwo"), "srt", 1) == "1\n00:00:00,005 --> 00:00:00,006\none\ntwo\n"


def test_a_text_cannot_write_webvtt():
    assert "\n1 --&gt; 2 &lt;b&gt; &amp;amp;\n" in render_cue(Cue(0, 9, "1 --> 2 <b> &amp;"), "vtt", 1)


# ── Long ones ──


def spoken(text: str, word_ms: int = 400, pauses: dict[int, int] | None = None) -> list[Word]:
    """Its words, one after the other; before some of them a pause."""
    words, at = list[Word](), 0
    for number, word in enumerate(text.split()):
        at += (pauses or {}).get(number, 0)
        words.append(Word(word, at, at + word_ms, 0.9))
        at += word_ms
    return words


LONG = (
    "The first sentence is about this long, and it goes on. The second one is shorter. Then comes a third "
    "which has no end at all and so it must be cut somewhere where nobody pauses for breath or comma"
)


def test_without_word_times_a_text_is_one_cue():
    (only,) = cues(LONG, 100, 9_000, ())
    assert (only.start_ms, only.end_ms) == (100, 9_000)
    assert " ".join(only.text.split()) == LONG
    assert max(map(len, only.text.splitlines())) <= LINE


def test_with_other_words_than_the_text_it_is_one_cue():
    assert len(cues(LONG, 100, 9_000, spoken("some other words " * 20))) == 1
    assert len(cues(LONG, 100, 9_000, spoken(LONG)[:-1])) == 1


def test_a_long_text_is_cut_behind_sentences():
    made = cues(LONG, 0, 16_000, spoken(LONG))
    assert len(made) > 2
    assert made[0].text.replace("\n", " ") == (
        "The first sentence is about this long, and it goes on. The second one is shorter."
    )
    assert (made[0].start_ms, made[0].end_ms) == (0, 16 * 400)
    assert made[1].start_ms == 16 * 400


def test_a_pause_is_a_good_place_too():
    text = "one two three four five six seven eight nine ten eleven twelve"
    made = cues(text, 0, 99, spoken(text, 600, {7: 1_000}))
    assert made[0].text.replace("\n", " ") == "one two three four five six seven"


def test_two_lines_are_about_as_long():
    first, second = cues("what is longer than a line is written in two of them", 0, 9, ())[
        0
    ].text.splitlines()
    assert abs(len(first) - len(second)) < 12


def test_characters_without_spaces_stay_together():
    words = [Word(c, i * 200, i * 200 + 200, 0.9) for i, c in enumerate("今天天气很好我们去公园散步吧" * 6)]
    made = cues("今天天气很好我们去公园散步吧" * 6, 0, 99, words)
    assert "".join(cue.text for cue in made).replace("\n", "") == "今天天气很好我们去公园散步吧" * 6
    assert " " not in "".join(cue.text for cue in made)


def test_nothing_said_is_no_cue():
    assert cues("  ", 0, 9, ()) == []


WORD = st.text(st.sampled_from("abcdefgh.,?"), min_size=1, max_size=25)


@given(st.lists(st.tuples(WORD, st.integers(0, 3_000), st.integers(1, 2_000)), max_size=60))
def test_cues_hold_each_word_once_at_its_time_and_can_be_read(script):
    words, at = list[Word](), 0
    for word, pause_ms, length_ms in script:
        words.append(Word(word, at + pause_ms, at + pause_ms + length_ms, 0.9))
        at += pause_ms + length_ms
    text = " ".join(word.word for word in words)
    made = cues(text, 0, at, words)
    assert " ".join(" ".join(cue.text.split()) for cue in made) == text
    starts = {word.start_ms for word in words}
    for cue in made:
        assert cue.start_ms in starts
        assert cue.end_ms - cue.start_ms <= LONGEST_MS
        assert len(cue.text.splitlines()) <= LINES
        assert all(len(line) <= LINE for line in cue.text.splitlines())
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(made))
