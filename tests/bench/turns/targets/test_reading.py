"""Nothing that another program says is believed as it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.targets.bridge_messages import read_line, read_ready
from rtc_stt.bench.turns.targets.deepgram_messages import DeepgramReader
from rtc_stt.bench.turns.targets.openai_messages import OpenAIReader, is_updated
from rtc_stt.bench.turns.targets.reading import (
    MAX_TEXT,
    Unreadable,
    code_of,
    flag,
    identifier,
    number,
    read_object,
    reason,
    scrub,
    text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=3,
)

TRANSCRIPTION = "conversation.item.input_audio_transcription."
KINDS = f"""Results UtteranceEnd Error error partial final dropped failed session.updated
{TRANSCRIPTION}delta {TRANSCRIPTION}completed {TRANSCRIPTION}failed input_audio_buffer.speech_stopped"""
NAMES = """text utterance stable_chars audio_end_ms reason degraded item_id delta error transcript is_final
speech_final start duration channel port facts err_code"""
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS.split())}, optional=dict.fromkeys(NAMES.split(), JSON)
)


def words_of(read: Callable[[str], object], message: str) -> str:
    """Why it could not be read; empty where it could."""
    try:
        read(message)
    except Unreadable as error:
        return str(error)
    return ""


@given((MESSAGES | JSON).map(json.dumps) | st.text())
def test_whatever_comes_it_is_read_or_unreadable(message: str) -> None:
    for read in (OpenAIReader().read, DeepgramReader().read, is_updated, lambda m: read_line(m.encode())):
        assert len(words_of(read, message)) < 200
    words = words_of(lambda m: read_ready(m.encode("utf-8", "replace")), message)
    assert words.startswith(("port", "facts")) or not words


@pytest.mark.parametrize(
    "message",
    ["", "hello", "[1]", '"text"', "{", "NaN", '{"a": Infinity}', b"\xff\xfe{}", "[" * 100_000, "1" * 5_000],
    ids=lambda message: repr(message[:8]),
)
def test_only_a_json_object_is_a_message(message: str | bytes) -> None:
    with pytest.raises(Unreadable, match=r"not (JSON|a JSON object)"):
        read_object(message)


def test_texts_are_bounded_and_can_be_written() -> None:
    assert text({}, "text") == text({"text": None}, "text") == ""
    assert text({"text": "a\ud800b"}, "text") == "a?b"
    assert len(text({"text": "x" * MAX_TEXT}, "text")) == MAX_TEXT
    for wrong in ("x" * (MAX_TEXT + 1), 1, ["x"], True):
        with pytest.raises(Unreadable, match="text is not a text"):
            text({"text": wrong}, "text")
    with pytest.raises(Unreadable):
        identifier({"id": "x" * 201}, "id")


def test_flags_and_numbers_are_such() -> None:
    assert (flag({}, "f"), flag({"f": True}, "f"), flag({"f": False}, "f")) == (False, True, False)
    with pytest.raises(Unreadable):
        flag({"f": "true"}, "f")
    assert (number({}, "n", 9), number({"n": 0}, "n", 9), number({"n": 8.5}, "n", 9)) == (None, 0, 8.5)
    for wrong in (-1, 10, "1", True, float("inf"), float("nan"), 10**400):
        with pytest.raises(Unreadable, match="n is not a number from 0 to 9"):
            number({"n": wrong}, "n", 9)


def test_of_an_error_only_its_name_is_repeated() -> None:
    assert code_of("invalid_api_key") == "invalid_api_key"
    assert code_of("NET-0001") == "NET-0001"
    for sentence in ("Incorrect API key provided: sk-1234", "sk-abcdef0123456789", 401, None, "a" * 61):
        assert code_of(sentence) == "without a code"


def test_a_reason_is_one_short_line() -> None:
    assert reason({"reason": "\x1b[31mno\nmemory" + "!" * 300}, "reason").startswith(" [31mno memory!")
    assert len(reason({"reason": "!" * 300}, "reason")) == 200


def test_the_secret_does_not_come_back() -> None:
    assert scrub("the key sk-1 is wrong", "sk-1") == "the key *** is wrong"
    assert scrub("no key", None) == "no key"
