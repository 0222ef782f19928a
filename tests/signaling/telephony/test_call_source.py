"""What the other side tells of a call is made fit to be told on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import EVENT_TYPES as SESSION_EVENT_TYPES
from signaling.telephony.call_source import (
    EVENT_TYPES,
    MAX_NAME_CHARS,
    MAX_PARAMETERS,
    MAX_TEXT_CHARS,
    clean_label,
    clean_parameters,
    clean_text,
)

ANYTHING = (
    st.text(alphabet=st.characters(), max_size=600) | st.integers() | st.floats() | st.none() | st.binary()
)


@given(ANYTHING)
def test_any_text_becomes_one_line_that_can_be_sent(value):
    text = clean_text(value)
    assert len(text) <= MAX_TEXT_CHARS
    text.encode()
    assert "\n" not in text
    assert clean_text(text) == text
    assert 0 < len(clean_label(value)) <= MAX_NAME_CHARS


@given(st.dictionaries(ANYTHING, ANYTHING | st.lists(st.integers()), max_size=60))
def test_any_parameters_become_texts(values):
    found = clean_parameters(values)
    assert len(found) <= MAX_PARAMETERS
    for name, value in found.items():
        assert 0 < len(name) <= MAX_NAME_CHARS
        assert len(value) <= MAX_TEXT_CHARS
        (name + value).encode()


def test_the_types_of_events_are_those_that_are_told():
    assert {"call.started", "transcript.final", "dtmf", "leg.ended", "warning"} <= EVENT_TYPES
    assert not {name for name in EVENT_TYPES if name.startswith("session.")}
    assert len(EVENT_TYPES) == len(SESSION_EVENT_TYPES) - 3 + 8
