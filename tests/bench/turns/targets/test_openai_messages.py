"""Messages as OpenAI's reference of the Realtime API shows them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.targets.openai_messages import OpenAIReader, append, is_updated, session_message
from rtc_stt.bench.turns.targets.reading import Unreadable
from rtc_stt.bench.turns.told import Dropped, Endpoint, Final, Partial

ITEM = "item_003"


def transcription(kind: str, item: str = ITEM, **fields: Any) -> str:
    return json.dumps(
        {
            "event_id": "event_2122",
            "type": f"conversation.item.input_audio_transcription.{kind}",
            "item_id": item,
            "content_index": 0,
            **fields,
        }
    )


def test_the_session_in_both_forms() -> None:
    ga = json.loads(session_message("ga", model="gpt-4o-transcribe", hangover_ms=300, language="en"))
    assert ga["type"] == "session.update"
    assert ga["session"]["type"] == "transcription"
    sound = ga["session"]["audio"]["input"]
    assert sound["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert sound["transcription"] == {"model": "gpt-4o-transcribe", "language": "en"}
    assert sound["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 300}

    beta = json.loads(session_message("beta", model="whisper-1", hangover_ms=500, language=None))
    assert beta["type"] == "transcription_session.update"
    assert beta["session"]["input_audio_format"] == "pcm16"
    assert beta["session"]["input_audio_transcription"] == {"model": "whisper-1"}
    assert beta["session"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 500}


def test_sound_is_base64() -> None:
    told = json.loads(append(b"\x01\x02"))
    assert told["type"] == "input_audio_buffer.append"
    assert base64.b64decode(told["audio"]) == b"\x01\x02"


def test_the_session_is_as_asked_once_the_server_says_so() -> None:
    assert not is_updated('{"type": "session.created", "session": {}}')
    assert is_updated('{"type": "session.updated", "session": {}}')
    assert is_updated('{"type": "transcription_session.updated", "session": {}}')
    refusal = {"type": "error", "error": {"code": "invalid_value", "message": "key sk-1 may not use it"}}
    with pytest.raises(Unreadable, match=r"refused \(invalid_value\)$"):
        is_updated(json.dumps(refusal))


def test_a_turn() -> None:
    reader = OpenAIReader()
    stopped = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 2000, "item_id": ITEM}
    messages = [
        '{"type": "input_audio_buffer.speech_started", "audio_start_ms": 1000, "item_id": "item_003"}',
        transcription("delta", delta="Hello,"),
        transcription("delta", delta=" how"),
        json.dumps(stopped),
        '{"type": "input_audio_buffer.committed", "item_id": "item_003"}',
        transcription("completed", transcript="Hello, how are you?"),
    ]
    assert [told for message in messages for told in reader.read(message)] == [
        Partial("Hello,", utterance=ITEM),
        Partial("Hello, how", utterance=ITEM),
        Endpoint(ITEM),
        Final("Hello, how are you?", ITEM),
    ]


def test_a_turn_that_could_not_be_transcribed_is_dropped() -> None:
    reader = OpenAIReader()
    error = {"type": "transcription_error", "code": "audio_unintelligible", "message": "…", "param": None}
    assert reader.read(transcription("failed", error=error)) == (
        Dropped("not transcribed (audio_unintelligible)", ITEM),
    )
    assert reader.read(transcription("failed")) == (Dropped("not transcribed (without a code)", ITEM),)


def test_an_error_ends_the_line() -> None:
    with pytest.raises(Unreadable, match="rate_limit_exceeded"):
        OpenAIReader().read(json.dumps({"type": "error", "error": {"type": "rate_limit_exceeded"}}))


def test_text_without_an_end_is_bounded() -> None:
    reader = OpenAIReader()
    for item in range(100):
        reader.read(transcription("delta", f"item_{item}", delta="a"))
    with pytest.raises(Unreadable, match="more text without an end"):
        reader.read(transcription("delta", "item_100", delta="a"))
    reader.read(transcription("completed", "item_5", transcript="a"))
    reader.read(transcription("delta", "item_100", delta="a"))
    reader.read(transcription("delta", "item_100", delta="b" * 19_999))
    with pytest.raises(Unreadable):
        reader.read(transcription("delta", "item_100", delta="c"))


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.text(st.characters(codec="utf-8"), max_size=5)), max_size=20)
)
def test_what_is_on_show_is_what_the_deltas_make_up(deltas: list[tuple[str, str]]) -> None:
    reader, shown = OpenAIReader(), {"a": "", "b": ""}
    for item, delta in deltas:
        shown[item] += delta
        assert reader.read(transcription("delta", item, delta=delta)) == (
            Partial(shown[item], utterance=item),
        )
