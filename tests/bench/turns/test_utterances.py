"""What belongs to which final."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Heard, Partial, Resumed
from rtc_stt.bench.turns.utterances import sort


def sorted_up(*told):
    """Texts, endpoints and final of each utterance; what is told n-th is told at second n."""
    return [
        (
            [shown.text for shown in one.shown],
            one.endpoints,
            one.final.text if one.final else None,
        )
        for one in sort(Heard(float(at), what) for at, what in enumerate(told))
    ]


def test_without_names_all_up_to_a_final_is_one():
    assert sorted_up(
        Partial("a"), Partial("a b"), Endpoint(), Final("a b"), Partial("c"), Final("c d"), Partial("e")
    ) == [
        (["a", "a b", "a b"], [2.0], "a b"),
        (["c", "c d"], [], "c d"),
        (["e"], [], None),
    ]


def test_names_say_what_belongs_together():
    assert sorted_up(
        Partial("a", utterance="1"),
        Endpoint("1"),
        Partial("c", utterance="2"),
        Final("a b", "1"),
        Final("c", "2"),
    ) == [(["a", "a b"], [1.0], "a b"), (["c", "c"], [], "c")]


def test_a_name_that_comes_again_after_its_final_is_another_utterance():
    assert sorted_up(Final("a", "1"), Partial("b", utterance="1"), Final("b", "1")) == [
        (["a"], [], "a"),
        (["b", "b"], [], "b"),
    ]


@pytest.mark.parametrize(
    ("told", "endpoints"),
    [
        ([Endpoint(), Final("a"), Endpoint(), Final("b")], [[0.0], [2.0]]),
        ([Final("a"), Endpoint(), Final("b"), Endpoint()], [[1.0], [3.0]]),
        ([Partial("a"), Final("a"), Partial("b"), Endpoint(), Final("b")], [[], [3.0]]),
        ([Final("a", "1"), Endpoint("1"), Endpoint("1")], [[1.0, 2.0]]),
        ([Endpoint("2"), Final("a", "1")], [[0.0], []]),
        ([Endpoint(), Endpoint()], [[0.0, 1.0]]),
    ],
)
def test_an_endpoint_goes_with_its_final_whichever_is_told_first(told, endpoints):
    assert [ends for _, ends, _ in sorted_up(*told)] == endpoints


def test_an_eager_text_that_is_taken_back_was_never_shown():
    assert sorted_up(Partial("a"), Eager("a b"), Resumed(), Eager("a b c"), Final("a b c")) == [
        (["a", "a b c", "a b c"], [], "a b c")
    ]
    assert sorted_up(Eager("a", "1"), Resumed("2"), Resumed("1"), Final("b", "1")) == [(["b"], [], "b")]


def test_a_dropped_utterance_is_over_and_shows_nothing():
    assert sorted_up(Partial("a"), Dropped("noise"), Partial("b"), Final("b")) == [
        (["a", ""], [], None),
        (["b", "b"], [], "b"),
    ]
    assert sorted_up(Dropped("noise"), Dropped("noise", "1")) == []


def test_a_failed_line_is_not_listened_to():
    assert sorted_up(Partial("a"), Failed("gone"), Final("a")) == [(["a"], [], None)]


NAMES = st.sampled_from(["", "1", "2"])
TOLD = st.one_of(
    st.builds(Partial, st.text("ab", max_size=3), st.integers(0, 4), NAMES),
    st.builds(Endpoint, NAMES),
    st.builds(Final, st.text("ab", max_size=3), NAMES),
    st.builds(Dropped, st.just(""), NAMES),
)


@given(st.lists(TOLD, max_size=20))
def test_nothing_that_was_told_is_lost_or_told_twice(told):
    utterances = sort(Heard(float(at), what) for at, what in enumerate(told))
    assert [one.begun for one in utterances] == sorted(one.begun for one in utterances)
    texts = sorted(shown.at for one in utterances for shown in one.shown)
    ends = sorted(at for one in utterances for at in one.endpoints)
    assert ends == [float(at) for at, what in enumerate(told) if isinstance(what, Endpoint)]
    shown = {float(at) for at, what in enumerate(told) if isinstance(what, Partial | Final)}
    assert shown <= set(texts)
    assert len(texts) == len(set(texts))
    finals = [one.final for one in sorted(utterances, key=lambda one: one.final_at) if one.final]
    assert finals == [what for what in told if isinstance(what, Final)]
    for one in utterances:
        assert one.retractions() <= len(one.shown)


@given(st.lists(st.text("ab", max_size=4), min_size=1, max_size=6))
def test_without_promises_nothing_is_retracted(texts):
    (one,) = sort([*(Heard(0.0, Partial(text)) for text in texts), Heard(1.0, Final(texts[0]))])
    assert one.retractions() == 0


@given(st.text("ab ", min_size=1, max_size=12), st.data())
def test_promises_that_were_kept_are_no_retractions(text, data):
    lengths = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=1, max_size=6)))
    heard, stable = [], 0
    for length in lengths:
        stable = data.draw(st.integers(stable, length))
        shown = text[:length] + data.draw(st.text("xy", max_size=3))
        heard.append(Heard(0.0, Partial(shown, stable)))
    (one,) = sort([*heard, Heard(1.0, Final(text))])
    assert one.retractions() == 0
