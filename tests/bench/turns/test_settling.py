"""When a scene is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.settling import is_over
from rtc_stt.bench.turns.told import (
    Dropped,
    Eager,
    Endpoint,
    Failed,
    Final,
    Heard,
    Partial,
    Resumed,
    Told,
)

T_OFF = 50.0


def heard(*told: tuple[float, Told]) -> list[Heard]:
    return [Heard(T_OFF + after, item) for after, item in told]


def test_a_final_after_the_end_and_a_second_of_silence():
    told = heard((0.3, Final("yes")))
    assert not is_over(told, T_OFF, T_OFF + 1.29)
    assert is_over(told, T_OFF, T_OFF + 1.31)


def test_a_final_before_the_end_settles_nothing():
    told = heard((-0.1, Final("yes")))
    assert not is_over(told, T_OFF, T_OFF + 9.9)
    assert is_over(told, T_OFF, T_OFF + 10)


@pytest.mark.parametrize(
    "told", [Final("  "), Endpoint(), Dropped("no_speech"), Partial("yes"), Eager("yes")]
)
def test_nothing_but_a_final_with_text_settles(told):
    assert not is_over(heard((0.1, told)), T_OFF, T_OFF + 5)


def test_what_is_told_after_the_final_makes_it_wait_longer():
    told = heard((0.3, Final("yes", "1")), (0.9, Endpoint("1")))
    assert not is_over(told, T_OFF, T_OFF + 1.8)
    assert is_over(told, T_OFF, T_OFF + 1.95)


def test_a_partial_that_no_final_followed_is_waited_for():
    told = heard((0.3, Final("yes", "1")), (0.5, Partial("and", utterance="2")))
    assert not is_over(told, T_OFF, T_OFF + 9)
    assert is_over([*told, *heard((0.9, Dropped(utterance="2")))], T_OFF, T_OFF + 2)
    assert is_over([*told, *heard((0.9, Final("and", "2")))], T_OFF, T_OFF + 2)


def test_fewer_finals_than_turns_are_waited_for_longer():
    told = heard((0.3, Final("yes")))
    assert not is_over(told, T_OFF, T_OFF + 3.2, turns=2)
    assert is_over(told, T_OFF, T_OFF + 3.4, turns=2)


def test_a_line_that_failed_is_not_waited_for():
    assert is_over(heard((-5.0, Failed("gone"))), T_OFF, T_OFF - 4)


ANYTHING = st.one_of(
    st.builds(Final, st.sampled_from(["", "yes"]), st.sampled_from(["", "1", "2"])),
    st.builds(Partial, st.sampled_from(["", "ye"]), utterance=st.sampled_from(["", "1", "2"])),
    st.builds(Endpoint, st.sampled_from(["", "1"])),
    st.builds(Resumed, st.sampled_from(["", "1"])),
    st.builds(Dropped, utterance=st.sampled_from(["", "1", "2"])),
)


@given(
    st.lists(st.tuples(st.floats(-5, 9), ANYTHING), max_size=12).map(
        lambda items: sorted(items, key=lambda i: i[0])
    ),
    st.floats(0, 12),
)
def test_it_is_over_only_with_a_final_or_without_patience(items, after):
    told = [item for item in heard(*items) if item.at <= T_OFF + after]
    if is_over(told, T_OFF, T_OFF + after):
        late = [h for h in told if isinstance(h.told, Final) and h.told.text and h.at > T_OFF]
        assert after >= 10 or (late and T_OFF + after >= told[-1].at + 1)
    assert is_over(told, T_OFF, T_OFF + after + 10)
