"""What the messages of each protocol tell, in the words of the suite."""

from __future__ import annotations

from typing import Any

import pytest

from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SessionEnded,
    SessionError,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.testing.conformance import (
    Dropped,
    Ended,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.ways.deepgram import DeepgramReader
from rtc_stt.testing.conformance.ways.events import EventReader
from rtc_stt.testing.conformance.ways.openai import OpenAIReader
from rtc_stt.testing.conformance.ways.rtvi import RtviReader


def all_of(reader: Any, *messages: dict[str, Any]) -> list[Told]:
    return [told for message in messages for told in reader.read(message)]


# ── Ours ──


def test_utterances_of_a_session_that_begins_anew_are_others() -> None:
    at: dict[str, Any] = {"at_ms": 0, "seq": 1}
    partial = TranscriptPartial(
        **at, utterance_id=1, revision=1, text="hm", stable_chars=1, audio_end_ms=9, language="en"
    )
    session: list[Event] = [
        SessionStarted(**at, session_id="a", resume_token="b"),
        SpeechStarted(**at, utterance_id=1, audio_start_ms=0),
        partial,
        SpeechStopped(**at, utterance_id=1, audio_end_ms=9),
        UtteranceDropped(**at, utterance_id=1, reason=DropReason.NO_SPEECH),
        Finalized(**at, id="x", utterance_id=None),
    ]
    reader = EventReader()
    told = [reader.read(event) for event in [*session, *session[:2], SessionEnded(**at, reason="stopped")]]
    assert told == [
        None, Started("1.1"), Partial("hm", 1, "1.1"), Stopped("1.1"), Dropped(utterance="1.1"), Flushed(),
        None, Started("2.1"), Ended(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        SessionError(at_ms=0, seq=1, code="overloaded", message="so it is", fatal=True),
        SessionEnded(at_ms=0, seq=1, reason="overloaded"),
    ],
)
def test_an_end_that_nobody_asked_for_is_a_failure(event: Event) -> None:
    told = EventReader().read(event)
    assert isinstance(told, Failed)
    assert "overloaded" in told.reason


# ── Deepgram ──


def results(text: str, *, final: bool = False, speech: bool = False, flush: bool = False) -> dict[str, Any]:
    return {
        "type": "Results",
        "channel": {"alternatives": [{"transcript": text}]},
        "is_final": final or speech or flush,
        "speech_final": speech,
        "from_finalize": flush,
    }


def test_segments_of_a_turn_stand_and_its_end_makes_the_final() -> None:
    told = all_of(
        DeepgramReader(),
        {"type": "SpeechStarted"},
        results("the quick"),
        results("The quick", final=True),
        results("brown"),
        results("brown fox.", speech=True),
        results("jumps"),
        {"type": "UtteranceEnd"},
        {"type": "Metadata"},
    )
    assert told == [
        Started(), Partial("the quick"), Partial("The quick brown", 9), Stopped(),
        Final("The quick brown fox."), Partial("jumps"), Ended(),
    ]  # fmt: skip


def test_a_finalize_is_answered_by_the_result_that_says_so() -> None:
    reader = DeepgramReader()
    assert all_of(reader, results("so", flush=True)) == [Stopped(), Final("so"), Flushed()]
    assert all_of(reader, results("", flush=True)) == [Flushed()]
    assert all_of(reader, {"type": "Error", "variant": "X", "description": "y"}) == [Failed("X: y")]


# ── OpenAI ──

ITEM = {"item_id": "i"}
BUFFER, TEXT = "input_audio_buffer.", "conversation.item.input_audio_transcription."


def said(kind: str, item: str = "i", **more: str) -> dict[str, Any]:
    return {"type": kind, "item_id": item, **more}


def test_deltas_are_appended_and_each_item_is_an_utterance() -> None:
    reader = OpenAIReader()
    assert not reader.is_ready
    told = all_of(
        reader,
        {"type": "session.updated"},
        said(BUFFER + "speech_started"),
        said(TEXT + "delta", delta="The"),
        said(TEXT + "delta", delta=" fox"),
        said(BUFFER + "speech_stopped"),
        said(BUFFER + "committed"),
        said(TEXT + "completed", transcript="The fox."),
        said(TEXT + "completed", "j", transcript=""),
    )
    assert told == [
        Started("i"), Partial("The", 3, "i"), Partial("The fox", 7, "i"), Stopped("i"),
        Final("The fox.", "i"), Dropped(utterance="j"),
    ]  # fmt: skip
    assert reader.is_ready


def empty(event_id: str) -> dict[str, Any]:
    error = {"code": "input_audio_buffer_commit_empty", "message": "nothing", "event_id": event_id}
    return {"type": "error", "error": error}


def test_commits_are_answered_in_their_order_by_an_item_or_by_nothing() -> None:
    reader = OpenAIReader()
    reader.commit()
    second = reader.commit()
    last = reader.commit(last=True)
    assert all_of(reader, empty(second), said(BUFFER + "committed")) == []
    done = said(TEXT + "completed", transcript="so")
    assert all_of(reader, done) == [Final("so", "i"), Flushed(), Flushed()]
    assert not reader.is_over
    assert all_of(reader, empty(last)) == []
    assert reader.is_over


def test_a_commit_that_the_end_of_a_turn_has_answered_may_be_empty_too() -> None:
    reader = OpenAIReader()
    name = reader.commit()
    done = said(TEXT + "completed", transcript="so")
    assert all_of(reader, said(BUFFER + "committed"), done) == [Final("so", "i"), Flushed()]
    assert all_of(reader, empty(name)) == []


def test_every_other_error_is_a_failure() -> None:
    error = {"type": "error", "error": {"code": "bad", "message": "so", "event_id": None}}
    failed = said(TEXT + "failed") | {"error": {"code": "x"}}
    assert [type(one) for one in all_of(OpenAIReader(), error, failed)] == [Failed, Failed]


# ── RTVI ──


def rtvi(kind: str, **data: Any) -> dict[str, Any]:
    return {"label": "rtvi-ai", "type": kind, "data": data}


def test_rtvi_in_the_words_of_the_suite() -> None:
    reader = RtviReader()
    told = all_of(
        reader,
        rtvi("bot-ready"),
        rtvi("user-started-speaking"),
        rtvi("user-transcription", text="so", final=False),
        rtvi("user-stopped-speaking"),
        rtvi("user-transcription", text="So.", final=True),
        rtvi("metrics"),
        rtvi("server-response", t="configure"),
        rtvi("server-response", t="finalize"),
        rtvi("error", error="bad"),
        {"type": "signalling", "message": {"type": "peerLeft"}},
    )
    assert told == [
        Started(), Partial("so"), Stopped(), Final("So."), Flushed(), Failed("error: bad"), Ended(),
    ]  # fmt: skip
    assert reader.is_ready
    assert reader.is_over
