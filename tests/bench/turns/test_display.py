"""What is on show, and how steady it is."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.display import Show, Standing, displays, erased, seen, standing
from rtc_stt.bench.turns.told import Eager, Endpoint, Final, Heard, Partial
from rtc_stt.bench.turns.utterances import sort


def shows(*texts):
    """The n-th text from second n on."""
    return [Show(float(at), tuple(text.split()), True) for at, text in enumerate(texts)]


def test_utterances_are_on_show_in_their_order_whenever_their_finals_come():
    utterances = sort(
        [
            Heard(1.0, Partial("one", utterance="1")),
            Heard(2.0, Endpoint("1")),
            Heard(3.0, Partial("three", utterance="2")),
            Heard(4.0, Final("one, two!", "1")),
            Heard(5.0, Eager("Three", "2")),
            Heard(6.0, Partial("", utterance="3")),
        ]
    )
    assert displays(utterances) == [
        Show(1.0, ("one",), True),
        Show(3.0, ("one", "three"), True),
        Show(4.0, ("one", "two", "three"), False),
        Show(5.0, ("one", "two", "three"), True),
        Show(6.0, ("one", "two", "three"), False),
    ]


def test_what_stood_for_a_moment_nobody_saw():
    told = [
        Show(0.0, ("a",), True),
        Show(0.0005, (), False),
        Show(0.001, ("a",), True),
        Show(1.0, ("b",), True),
    ]
    assert [show.at for show in seen(told)] == [0.001, 1.0]
    assert seen([]) == []
    assert seen(told[:1]) == told[:1]  # the last stands


def test_erased_are_all_words_behind_the_first_that_differs():
    assert erased(shows("a b c", "a x c", "a x c d", "", "a")) == 2 + 0 + 4 + 0
    assert erased([]) == erased(shows("a b")) == 0


def test_a_word_stands_since_it_was_shown_last_and_is_revised_by_another_in_its_place():
    told = shows("a", "a b", "a c", "a c d")
    assert standing(told, ["a", "c", "d"]) == [
        Standing(0.0, False),
        Standing(2.0, True),
        Standing(3.0, False),
    ]


def test_a_word_that_is_not_on_show_in_the_end_stands_nowhere():
    assert standing(shows("a b"), ["a", "x"]) == [Standing(0.0, False), Standing(None, True)]
    assert standing([], ["a"]) == [Standing(None, False)]


TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=6)


@given(TEXTS)
def test_what_is_on_show_is_what_was_shown_and_not_taken_back(texts):
    told = [Show(float(at), tuple(words), True) for at, words in enumerate(texts)]
    shown = sum(len(after.words) - same(before, after) for before, after in pairwise(told)) + len(texts[0])
    assert shown - erased(told) == len(texts[-1])


def same(before, after):
    """Words that two shows begin with alike."""
    return max(
        n for n in range(min(len(before.words), len(after.words)) + 1) if before.words[:n] == after.words[:n]
    )


@given(TEXTS)
def test_a_word_is_on_show_ever_since(texts):
    told = [Show(float(at), tuple(words), True) for at, words in enumerate(texts)]
    final = texts[-1]
    stood = standing(told, final)
    assert len(stood) == len(final)
    for word, one in zip(final, stood, strict=True):
        assert one.since is not None
        assert all(word in show.words for show in told if show.at >= one.since)
    if erased(told) == 0:
        assert not any(one.is_revised for one in stood)
        assert [one.since for one in stood] == sorted(one.since for one in stood)
