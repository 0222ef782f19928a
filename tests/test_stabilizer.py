"""Which words will stand."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.stabilizer import Stabilizer, StableText, normalise_word, split_words


def shown(*hypotheses: str) -> list[str]:
    """Each text as ``stable|rest``."""
    stabilizer = Stabilizer()
    texts = [stabilizer.update(hypothesis) for hypothesis in hypotheses]
    return [f"{t.text[: t.stable_chars]}|{t.text[t.stable_chars :]}" for t in texts]


def test_one_hypothesis_alone_is_not_stable_and_keeps_its_last_word_back():
    assert shown("book a table") == ["|book a"]


def test_a_single_word_is_shown_at_once():
    assert shown("book") == ["|book"]


def test_what_two_in_a_row_agree_on_is_stable():
    assert shown("book a table", "book a table for two")[-1] == "book a table| for"


def test_the_last_word_is_shown_but_not_stable_where_two_in_a_row_end_in_it():
    assert shown("book a tab", "book a tab")[-1] == "book a| tab"


def test_agreement_ends_at_the_first_difference():
    assert shown("book a cable for", "book a table for two")[-1] == "book a| table for"


def test_a_contradiction_keeps_the_stable_text_as_it_was_shown():
    texts = shown("I want four tickets", "I want four tickets now", "I went for tickets please now")
    assert texts[1].startswith("I want four tickets|")
    assert texts[2] == "I want four tickets| please"


def test_case_and_punctuation_do_not_stop_agreement_and_stay_as_first_stable():
    texts = shown("Yes, please", "yes please do it", "YES! Please. Do it now")
    assert texts[1] == "yes please| do"
    assert texts[2].startswith("yes please ")


def test_no_sentence_mark_is_shown_at_the_moving_end():
    assert shown("Yes please.", "Yes please.")[-1] == "Yes| please"
    assert shown("好的。", "好的。")[-1] == "好的|"


def test_a_shorter_hypothesis_takes_nothing_stable_back():
    assert shown("one two three four", "one two three four five", "one two")[-1] == "one two three four|"


def test_an_empty_hypothesis_shows_the_stable_text():
    assert shown("one two three", "one two three four", "")[-1] == "one two three|"


def test_a_dropped_word_does_not_double_the_words_behind_it():
    assert shown("a b c d e", "a b c d e f", "a c d e f g")[-1] == "a b c d e f|"


def test_chinese_is_stable_by_characters():
    assert shown("我想订一", "我想订一张票")[-1] == "我想订一|张"


def test_mixed_scripts_keep_their_spaces():
    assert shown("我用 Python 写", "我用 Python 写代码")[-1] == "我用 Python 写|代"


def test_words_do_not_run_together_where_a_new_hypothesis_has_no_space_at_the_seam():
    assert shown("a b", "a b", "私OK c", "私OK c d")[-1] == "a OK c|"


def committed(*hypotheses: str, words: int) -> Stabilizer:
    stabilizer = Stabilizer()
    for hypothesis in hypotheses:
        stabilizer.update(hypothesis)
    stabilizer.commit(words)
    return stabilizer


def test_words_are_the_stable_ones_and_then_the_others():
    stabilizer = committed("a b c", "a b c d e", words=0)
    assert (stabilizer.words, stabilizer.stable_words) == (["a", " b", " c", " d", " e"], 3)


def test_committed_words_stand_and_are_not_looked_for_any_more():
    stabilizer = committed("a b c d", "a b c d e", words=2)
    assert (stabilizer.words, stabilizer.stable_words) == ([" c", " d", " e"], 2)
    assert stabilizer.update("c d e f") == StableText("a b c d e", 9)


def test_stable_words_behind_the_commit_stand_however_they_are_told_again():
    stabilizer = committed("a b c d", "a b c d e", words=2)
    told = stabilizer.update("see d e f g")
    assert told.text[: told.stable_chars].startswith("a b c d")
    assert "see" not in told.text


def test_all_stable_words_may_be_committed():
    stabilizer = committed("a b c", "a b c d", words=3)
    assert (stabilizer.words, stabilizer.stable_words) == ([" d"], 0)
    assert stabilizer.update("d e f") == StableText("a b c d e", 7)


def test_words_that_are_committed_before_they_were_stable_stand_as_they_are():
    stabilizer = committed("a b c", "a b c d e", words=4)
    assert (stabilizer.words, stabilizer.stable_words) == ([" e"], 0)
    assert stabilizer.update("x y") == StableText("a b c d x", 7)
    assert stabilizer.commit(0) == ""


def test_a_commit_tells_the_text_that_it_took():
    stabilizer = Stabilizer()
    stabilizer.update("我想订一张")
    stabilizer.update("我想订一张票")
    assert stabilizer.commit(2) == "我想"
    assert stabilizer.update("订一张票好") == StableText("我想订一张票", 6)


def test_the_text_of_a_commit_does_not_run_into_what_follows():
    stabilizer = committed("a b", "a b c", words=2)
    assert stabilizer.update("d e").text == "a b d"


HYPOTHESES = st.lists(st.text("ab ,.A私は", max_size=12) | st.integers(0, 6), max_size=12)
"""Texts, and numbers of words to commit."""


@given(HYPOTHESES)
def test_stable_text_only_grows(hypotheses):
    stabilizer, before = Stabilizer(), ""
    for hypothesis in hypotheses:
        if isinstance(hypothesis, int):
            stabilizer.commit(min(hypothesis, len(stabilizer.words)))
            continue
        told = stabilizer.update(hypothesis)
        stable = told.text[: told.stable_chars]
        assert 0 <= told.stable_chars <= len(told.text)
        assert stable.startswith(before)
        before = stable


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=6))
def test_stable_text_stands_in_any_script_once_written_as_nfc(hypotheses):
    stabilizer, before = Stabilizer(), ""
    for hypothesis in hypotheses:
        told = stabilizer.update(hypothesis)
        stable = unicodedata.normalize("NFC", told.text)[: told.stable_chars]
        assert stable.startswith(before)
        before = stable


def test_a_mark_that_composes_across_the_seam_does_not_change_stable_text():
    stabilizer = Stabilizer()
    # か and a voiced sound mark are が in NFC; あ and the mark stay two characters.
    for hypothesis in ("かき", "かき", "あ\u3099き", "あ\u3099き"):
        told = stabilizer.update(hypothesis)
        assert unicodedata.normalize("NFC", told.text)[:1] == "か"
    assert told.stable_chars >= 1


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_splitting_loses_nothing(text):
    text = text.rstrip()
    assert "".join(split_words(text)) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("“Hello!”", "hello"), ("ﬁne", "fine"), (" I'm", "i'm"), ("１２", "12")],
)
def test_words_that_sound_alike_agree(one, other):
    assert normalise_word(one) == normalise_word(other)


def test_punctuation_alone_is_still_a_word():
    assert normalise_word("?") != normalise_word("!")


def test_white_space_around_a_hypothesis_is_not_shown():
    assert Stabilizer().update("  hello there  you  ") == StableText("hello there", 0)
