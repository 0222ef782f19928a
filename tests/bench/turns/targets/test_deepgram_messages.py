"""Messages as Deepgram's reference of live transcription shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.targets.deepgram_messages import DeepgramReader, query
from rtc_stt.bench.turns.targets.reading import Unreadable
from rtc_stt.bench.turns.told import Endpoint, Final, Partial, Told


def results(transcript: str, *, start: float = 0.0, duration: float = 1.0, **flags: bool) -> str:
    word = {"word": "hello", "start": 0.1, "end": 0.4, "confidence": 0.99}
    return json.dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": duration,
            "start": start,
            "is_final": False,
            "speech_final": False,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": 0.98, "words": [word]}]},
            "metadata": {"request_id": "c7a8", "model_info": {"name": "nova-3"}},
            "from_finalize": False,
            **flags,
        }
    )


def told_of(messages: Sequence[str], **options: Any) -> list[Told]:
    reader = DeepgramReader(**options)
    return [told for message in messages for told in reader.read(message)]


def test_what_is_asked_for() -> None:
    asked = query(hangover_ms=300, model=None, language=None)
    assert asked["endpointing"] == "300"
    assert asked["utterance_end_ms"] == "1000"  # less is not taken
    assert (asked["encoding"], asked["sample_rate"], asked["language"]) == ("linear16", "16000", "multi")
    assert "model" not in asked
    asked = query(hangover_ms=1_200, model="nova-3", language="de")
    assert (asked["utterance_end_ms"], asked["model"], asked["language"]) == ("1200", "nova-3", "de")


TURN = [
    '{"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.1}',
    results("another", duration=1.0),
    results("another big", duration=1.5),
    results("another big problem", duration=2.0, is_final=True),
    results("in the", start=2.0, duration=1.0),
    results("in the speech", start=2.0, duration=1.8, is_final=True, speech_final=True),
    '{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 3.1}',
]


def test_a_turn_is_its_segments() -> None:
    assert told_of(TURN) == [
        Partial("another", audio_end_ms=1000),
        Partial("another big", audio_end_ms=1500),
        Partial("another big problem", stable_chars=19, audio_end_ms=2000),
        Partial("another big problem in the", stable_chars=19, audio_end_ms=3000),
        Endpoint(),
        Final("another big problem in the speech"),
    ]


def test_by_segment_each_is_a_final() -> None:
    assert told_of(TURN, by_segment=True) == [
        Partial("another", audio_end_ms=1000),
        Partial("another big", audio_end_ms=1500),
        Final("another big problem"),
        Partial("in the", audio_end_ms=3000),
        Endpoint(),
        Final("in the speech"),
    ]


def test_where_noise_hides_the_silence_the_utterance_ends_the_turn() -> None:
    end = '{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.395}'
    assert told_of([results("hello", is_final=True), end, end])[1:] == [Endpoint(), Final("hello")]


def test_silence_tells_nothing() -> None:
    assert told_of([results(""), results("", is_final=True)]) == []
    assert told_of([results("", is_final=True, speech_final=True)]) == [Endpoint()]


def test_words_that_were_shown_and_are_gone_are_taken_back() -> None:
    assert told_of([results("uh"), results("", is_final=True)]) == [
        Partial("uh", audio_end_ms=1000),
        Partial("", audio_end_ms=1000),
    ]


def test_other_messages_tell_nothing() -> None:
    assert told_of(['{"type": "Metadata", "duration": 3.1, "channels": 1}', '{"type": "Finalize"}']) == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('{"type": "Error", "variant": "NET-0001", "description": "said sk-1"}', r"an error \(NET-0001\)$"),
        ('{"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}', r"an error \(without a code\)$"),
        ('{"type": "Results"}', "without a transcript"),
        ('{"type": "Results", "channel": {"alternatives": [1]}}', "without a transcript"),
        (results("a").replace("false", '"no"'), "is_final is neither"),
        (results("a", duration=-1.0), "duration is not a number"),
        (results("a" * 20_001), "at most 20000 characters"),
    ],
)
def test_what_cannot_be_read(message: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        DeepgramReader().read(message)


def test_a_turn_without_an_end_is_bounded() -> None:
    with pytest.raises(Unreadable, match="more text without an end"):
        told_of([results("a" * 15_000, is_final=True)] * 2)


SEGMENTS = st.lists(st.tuples(st.sampled_from(["", "a", "b c"]), st.booleans(), st.booleans()), max_size=10)


@given(SEGMENTS)
def test_what_stands_is_never_taken_back(segments: list[tuple[str, bool, bool]]) -> None:
    reader, stands, expected = DeepgramReader(), "", ""
    for words, is_final, ends in segments:
        expected = f"{expected} {words}".strip() if is_final else expected
        for told in reader.read(results(words, is_final=is_final, speech_final=is_final and ends)):
            if isinstance(told, Partial):
                assert told.text.startswith(stands)
                stands = told.text[: told.stable_chars]
            elif isinstance(told, Final):
                assert told.text == expected
                assert told.text.startswith(stands)
        if is_final and ends:
            stands = expected = ""
