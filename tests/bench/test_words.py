"""Words, and the fewest edits between texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.words import Edits, align, char_errors, edits, normalise, word_error_rate, word_errors

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


def plain_distance(before, after):
    """The textbook's table."""
    table = [[i + j for j in range(len(after) + 1)] for i in range(len(before) + 1)]
    for i, one in enumerate(before, 1):
        for j, other in enumerate(after, 1):
            table[i][j] = min(table[i - 1][j - 1] + (one != other), table[i - 1][j] + 1, table[i][j - 1] + 1)
    return table[-1][-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Book a table, for TWO!", ["book", "a", "table", "for", "two"]),
        ("it's five o’clock", ["it's", "five", "o'clock"]),
        ("a well-known 'place' (snake_case)", ["a", "well", "known", "place", "snake", "case"]),
        ("Straße", ["strasse"]),
        ("cafe\u0301", ["café"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("你好 world", ["你", "好", "world"]),
        ("' - … ?", []),
        ("", []),
    ],
)
def test_words_without_case_and_punctuation(text, words):
    assert normalise(text) == words


@pytest.mark.parametrize(
    ("reference", "heard", "lost", "added", "changed"),
    [
        ("Book a table for two.", "book a table for two", 0, 0, 0),
        ("book a table for two", "book a a table for two", 0, 1, 0),
        ("book a table for two", "book a table two", 1, 0, 0),
        ("book a table for two", "cook a table for two", 0, 0, 1),
        ("one two three", "", 3, 0, 0),
        ("", "one two", 0, 2, 0),
        ("it's five o'clock", "It's five o'clock.", 0, 0, 0),
        ("one two", "two three", 0, 0, 2),  # not one lost and one added
        ("one two three four", "two tree four more", 1, 1, 1),
    ],
)
def test_edits_are_the_fewest(reference, heard, lost, added, changed):
    assert edits(reference, heard) == Edits(lost, added, changed, len(reference.split()))


@given(WORDS, WORDS)
def test_edits_add_up(before, after):
    told = edits(" ".join(before), " ".join(after))
    assert told.errors == plain_distance(before, after)
    assert len(before) - told.lost + told.added == len(after)
    assert min(told.lost, told.added, told.changed) >= 0


@given(WORDS, WORDS)
def test_errors_are_those_of_the_table(before, after):
    assert word_errors(" ".join(before), " ".join(after)) == (plain_distance(before, after), len(before))
    assert char_errors("".join(before), "".join(after)) == (plain_distance(before, after), len(before))


def test_long_texts_take_no_time():
    long = " ".join(f"word{number % 997}" for number in range(5_000))
    assert word_errors(long, long.replace("word5 ", "")) == (6, 5_000)
    assert char_errors(long, long) == (0, len(long.replace(" ", "")))


def test_character_errors_leave_spaces_out():
    assert char_errors("Good night.", "goodnight") == (0, 9)
    assert char_errors("kitten", "sitting") == (3, 6)
    assert char_errors("", "no") == (2, 0)


def test_the_rate_is_over_all_words_together():
    assert word_error_rate([("one two three", "one two"), ("four", "four")]) == 0.25
    assert word_error_rate([("", "noise")]) == 0.0


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        ("a b", "a b", [(0, 0), (1, 1)]),
        ("the", "the cat the", [(0, 0), (None, 1), (None, 2)]),  # kept as early as can be
        ("a b", "b c", [(0, None), (1, 0), (None, 1)]),  # most are kept
        ("a x", "a b c", [(0, 0), (1, 1), (None, 2)]),
        ("x the", "the cat the", [(0, 0), (None, 1), (1, 2)]),
        ("a b c", "", [(0, None), (1, None), (2, None)]),
        ("", "a", [(None, 0)]),
        ("", "", []),
    ],
)
def test_which_word_became_which(before, after, pairs):
    assert align(before.split(), after.split()) == pairs


@given(WORDS, WORDS)
def test_an_alignment_names_each_word_once_and_in_order_by_the_fewest_edits(before, after):
    pairs = align(before, after)
    assert [i for i, _ in pairs if i is not None] == list(range(len(before)))
    assert [j for _, j in pairs if j is not None] == list(range(len(after)))
    errors = sum(i is None or j is None or before[i] != after[j] for i, j in pairs)
    assert errors == plain_distance(before, after)


@given(WORDS, WORDS)
def test_what_only_grew_is_kept_where_it_was(before, more):
    pairs = align(before, before + more)
    assert pairs == [(i, i) for i in range(len(before))] + [(None, len(before) + n) for n in range(len(more))]
