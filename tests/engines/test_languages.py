"""Detection among the languages that a session allows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.engines.languages import allowed, most_probable

KNOWN = frozenset({"en", "de", "es", "fr"})
HEARD = [("en", 0.6), ("de", 0.3), ("es", 0.1), ("fr", 0.0)]


def test_unknown_languages_are_ignored_and_order_is_kept():
    assert allowed(("xx", "fr", "de", "fr"), KNOWN) == ("fr", "de")
    assert allowed(("xx",), KNOWN) == ()


def test_the_rest_is_shared_out_among_those_allowed():
    assert most_probable(HEARD, KNOWN) == ("en", pytest.approx(0.6))
    assert most_probable(HEARD, {"de", "es"}) == ("de", pytest.approx(0.75))


def test_what_is_impossible_may_still_be_the_only_choice():
    assert most_probable(HEARD, {"fr"}) == ("fr", 1.0)


def test_there_may_be_nothing_to_choose_from():
    assert most_probable(HEARD, {"ja"}) is None
    assert most_probable([], KNOWN) is None
    assert most_probable([("en", math.nan), ("de", 0.5)], KNOWN) is None


@given(
    st.dictionaries(st.sampled_from(sorted(KNOWN)), st.floats(0, 1), min_size=1),
    st.sets(st.sampled_from(sorted(KNOWN))),
)
def test_the_answer_is_allowed_and_its_probability_is_one(heard, among):
    found = most_probable(heard.items(), among)
    if found is None:
        assert not among & set(heard)
    else:
        assert found[0] in among
        assert 0 <= found[1] <= 1
