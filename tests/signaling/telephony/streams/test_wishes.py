"""What users add to a stream: some of it means something, the rest is told on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.streams.wishes import read_language, read_wishes


def test_what_means_something_is_no_parameter():
    wishes = read_wishes(
        {
            "token": "st_x",
            "language": "en-GB",
            "hotwords": "Acme",
            "prompt": "billing",
            "from": "+1",
            "to": "2",
        },
        {"order": 17, "legs": "customer,clerk", "language": "de"},
    )
    assert wishes.token == "st_x"
    assert wishes.options == {"language": "en", "hotwords": "Acme", "prompt": "billing"}
    assert (wishes.caller, wishes.callee, wishes.legs) == ("+1", "2", ("customer", "clerk"))
    assert wishes.parameters == {"order": "17"}
    assert "st_x" not in repr(wishes)


def test_without_wishes_all_is_as_usual():
    wishes = read_wishes({}, {})
    assert (wishes.token, wishes.options, wishes.parameters) == (None, {}, {})
    assert wishes.legs == ("caller", "agent")


def test_labels_that_are_none_are_not_taken():
    usual = ("caller", "agent")
    for text in ("", "a,b,c", "a,a", "a b", "<x>,y", "x" * 33, ","):
        assert read_wishes({"legs": text}).legs == usual
    assert read_wishes({"legs": "clerk"}).legs == ("clerk", "agent")
    assert read_wishes({"legs": "agent"}).legs == ("agent", "caller")


def test_a_token_that_is_too_long_for_one_is_none():
    assert read_wishes({"token": "st_" + "x" * 300}).token is None


def test_regions_are_not_told_apart():
    assert [read_language(tag) for tag in ("en-US", "de_AT", "FR", "zh-Hans-CN")] == ["en", "de", "fr", "zh"]


@given(st.dictionaries(st.text() | st.sampled_from(["token", "legs", "language", "from"]), st.text()))
def test_whatever_is_wished_nothing_is_raised(told):
    wishes = read_wishes(told, told)
    assert "token" not in wishes.parameters
