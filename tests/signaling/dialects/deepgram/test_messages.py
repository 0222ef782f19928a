"""What a client says in text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.dialects.deepgram.messages import (
    Close,
    Finalize,
    KeepAlive,
    Keyterms,
    Said,
    Wrong,
    WrongKeyterms,
    read_message,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type": "Finalize"}', Finalize()),
        ('{"type": "Finalize", "channel": 0}', Finalize()),
        ('{"type": "KeepAlive"}', KeepAlive()),
        ('{"type": "CloseStream"}', Close()),
        ('{"type": "Configure"}', Keyterms(None, None)),
        ('{"type": "Configure", "keyterms": null, "features": null}', Keyterms(None, None)),
        ('{"type": "Configure", "features": {"numerals": true, "redact": false}}', Keyterms(None, None)),
        ('{"type": "Configure", "keyterms": []}', Keyterms((), None)),
        ('{"type": "Configure", "keyterms": ["Kafka", " sea "]}', Keyterms(("Kafka", " sea "), "Kafka, sea")),
    ],
)
def test_what_is_understood(text, said):
    assert read_message(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[" * 10_000,
        "[]",
        "{}",
        '{"type": 3}',
        '{"type": ["Finalize"]}',
        '{"type": "finalize"}',
        '{"type": "Configure", "keyterms": "Kafka"}',
        '{"type": "Configure", "keyterms": [1]}',
        '{"type": "Configure", "features": ["numerals"]}',
        '{"type": "Configure", "features": {"numerals": 1}}',
        json.dumps({"type": "KeepAlive", "why": "x" * 20_000}),
    ],
)
def test_what_is_not_understood_is_not_quoted(text):
    said = read_message(text)
    assert isinstance(said, Wrong)
    assert len(said.why) < 120


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"keyterms": ["w" * 600, "v" * 600]}, "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"),
        ({"keyterms": ["\ud800"]}, "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"),
        ({"features": {"redact": True}}, "CONFIGURE_INTERNAL_ERROR"),
    ],
)
def test_what_is_understood_and_not_offered(body, code):
    said = read_message(json.dumps({"type": "Configure", **body}))
    assert isinstance(said, WrongKeyterms)
    assert said.code == code


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
BODIES = st.fixed_dictionaries(
    {"type": st.sampled_from(["Finalize", "KeepAlive", "CloseStream", "Configure"]) | VALUES},
    optional={"keyterms": VALUES, "features": VALUES},
)


@given(BODIES.map(json.dumps) | st.text(max_size=60))
def test_any_text_is_understood_or_wrong(text):
    assert isinstance(read_message(text), Said)
