"""What a stream is asked for: within what a server takes, and only what has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.config import StreamOptions, change_stream_options
from rtc_stt.plugins.livekit.options import (
    CONTEXT,
    MAX_TEXT,
    Conversation,
    Options,
    base_language,
    joined_terms,
)


def taken(options: Options) -> list[str]:
    """What a server has to say against it."""
    _, problems = change_stream_options(
        StreamOptions(), StreamOptions(), options.configure(), frozenset(["en", "de"])
    )
    return problems


TEXT = st.text(max_size=3_000)


@given(
    st.builds(
        Options,
        language=st.sampled_from([None, "en"]),
        languages=st.sampled_from([None, (), ("en", "de")]),
        prompt=st.none() | TEXT,
        keyterms=st.lists(TEXT, max_size=5).map(tuple),
        session_keyterms=st.lists(TEXT, max_size=5).map(tuple),
        context=TEXT.map(lambda text: Conversation().add(text)),
        word_timestamps=st.booleans(),
        endpointing=st.sampled_from(
            [{}, {"min_silence_ms": 700, "max_utterance_s": 12.5}, {"min_silence_ms": None}]
        ),
    )
)
def test_a_server_takes_it_whatever_a_user_says(options):
    assert taken(options) == []


def test_only_what_has_changed_is_said_again():
    before = Options(language="en", prompt="An order.", keyterms=("Anna",))
    assert before.changes(before) == {}
    after = replace(before, language=None, session_keyterms=("Bo", "Anna"), context="Hello.")
    assert after.changes(before) == {"language": None, "hotwords": "Anna, Bo", "prompt": "An order. Hello."}
    assert replace(before, endpointing={"min_silence_ms": 900}).changes(before) == {
        "endpointing": {"min_silence_ms": 900}
    }


def test_terms_are_whole_each_once_and_as_many_as_there_is_room_for():
    assert joined_terms(["a", " b  c ", "a", ""]) == "a, b c"
    long = joined_terms(["x" * 600, "y" * 600, "z"])
    assert long == "x" * 600 + ", z"
    assert len(joined_terms(f"term{n}" for n in range(1_000))) <= MAX_TEXT


def test_a_conversation_keeps_its_end_from_a_whole_word_on():
    conversation = Conversation()
    assert conversation.add("  ") == ""
    assert conversation.add("What is your\nname?") == "What is your name?"
    assert conversation.add(None) == "What is your name?"
    text = conversation.add("word " * 200)
    assert len(text) <= CONTEXT
    assert set(text.split()) == {"word"}
    assert len(conversation.add("x" * 5_000)) <= CONTEXT


@pytest.mark.parametrize(
    ("tag", "code"),
    [("en-US", "en"), ("de", "de"), ("pt_BR", "pt"), ("multi", None), ("", None), (None, None), ("EN", "en")],
)
def test_a_tag_as_a_whisper_code(tag, code):
    assert base_language(tag) == code


def test_nothing_that_was_said_is_in_its_repr():
    shown = repr(
        Options(prompt="secret", keyterms=("secret",), session_keyterms=("secret",), context="secret")
    )
    assert "secret" not in shown
