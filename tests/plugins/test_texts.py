"""Whether two texts say the same."""

from __future__ import annotations

import pytest

from rtc_stt.plugins.texts import same_words


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It's two.", "it’s two", True),
        ("It's 5 o'clock!", "it's 5 o'clock", True),
        ("Straße – ja", "STRASSE ja.", True),
        ("今日は。", "今日は", True),
        ("well-known", "well known", True),
        ("", "…", True),
        ("won't", "want", False),
        ("five percent", "five per cent", False),
        ("5%", "5", False),
        ("$5", "5", False),
        ("का", "कि", False),  # the same consonant with another vowel sign
    ],
)
def test_case_punctuation_and_spaces_make_no_difference(one: str, other: str, same: bool) -> None:
    assert same_words(one, other) is same
