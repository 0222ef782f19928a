"""Golden conversations: what a client hears, message by message."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import DropReason, SessionEnded, SessionError, SessionWarning
from rtc_stt.hypothesis import Word
from signaling.dialects.dialect import Beginning
from signaling.dialects.openai.realtime import OVER_CHANNEL, UPDATES, Realtime
from signaling.dialects.openai.settings import LOGPROBS, Form
from tests.signaling.dialects.openai.talk import (
    MANUAL,
    Talk,
    dropped,
    final,
    finalized,
    kinds,
    partial,
    started,
    stopped,
    update,
)

DELTA, COMPLETED = "transcription.delta", "transcription.completed"
COMMIT = ["buffer.committed", "added", "done"]


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def manual() -> Talk:
    made = Talk()
    update(made, MANUAL)
    made.append()
    return made


# ── The server finds the turns ──


def test_a_session_begins_with_what_is_in_force(talk):
    [created] = talk.said
    assert created["type"] == "session.created"
    assert created["event_id"] == "event_s_1"
    heard = created["session"].pop("audio")["input"]
    assert created["session"] == {
        "id": "sess_s",
        "object": "realtime.transcription_session",
        "type": "transcription",
        "include": None,
    }
    assert heard["turn_detection"] == {"type": "server_vad"}
    assert heard["transcription"]["model"] == "tiny"
    assert talk.configured["language"] is None


def test_an_utterance_from_its_start_to_its_transcript(talk):
    told = talk.tell(
        started(1, 480),
        partial(1, "", "Set"),
        partial(1, "Set an", " alarm"),
        partial(1, "Set an", " alarm for"),
        partial(1, "Set an alarm", ""),
        stopped(1, 2_880),
        final(1, "Set an alarm for eleven."),
    )
    assert kinds(told) == [
        "buffer.speech_started",
        DELTA,
        DELTA,
        "buffer.speech_stopped",
        *COMMIT,
        DELTA,
        COMPLETED,
    ]
    assert {m.get("item_id", "item_s_1") for m in told} == {"item_s_1"}
    assert told[0]["audio_start_ms"] == 480
    assert [m["delta"] for m in told if "delta" in m] == ["Set an", " alarm", " for eleven."]
    assert told[3]["audio_end_ms"] == 2_880
    assert told[4]["previous_item_id"] is None
    assert told[5]["item"] == {
        "id": "item_s_1",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    assert told[-1] == {
        "event_id": told[-1]["event_id"],
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "item_s_1",
        "content_index": 0,
        "transcript": "Set an alarm for eleven.",
        "usage": {"type": "duration", "seconds": 2.4},
    }
    assert len({m["event_id"] for m in talk.said}) == len(talk.said)


def test_what_the_final_changed_is_in_its_transcript_and_not_in_a_delta(talk):
    told = talk.tell(started(1), partial(1, "Set an arm"), stopped(1), final(1, "Set an alarm."))
    assert talk.deltas("item_s_1") == "Set an arm"
    assert told[-1]["transcript"] == "Set an alarm."


def test_the_next_utterance_may_begin_before_the_transcript_of_the_one_before(talk):
    talk.tell(started(1), stopped(1), started(2), partial(2, "two"))
    told = talk.tell(final(1, "one"), stopped(2))
    assert [m["item_id"] for m in told if "transcript" in m] == ["item_s_1"]
    assert next(m for m in told if m["type"].endswith("committed"))["previous_item_id"] == "item_s_1"
    assert talk.tell(final(2, "two"))[-1]["transcript"] == "two"


@pytest.mark.parametrize(
    "reason", [r for r in DropReason if r not in (DropReason.DECODE_FAILED, DropReason.CANCELLED)]
)
def test_what_was_no_speech_is_an_empty_transcript(talk, reason):
    told = talk.tell(started(1), stopped(1), dropped(1, reason))
    assert kinds(told)[-1] == COMPLETED
    assert told[-1]["transcript"] == ""


def test_what_could_not_be_decoded_has_failed(talk):
    told = talk.tell(started(1), stopped(1), dropped(1, DropReason.DECODE_FAILED))
    assert kinds(told)[-1] == "transcription.failed"
    assert told[-1]["error"]["code"] == "decode_failed"
    assert told[-1]["item_id"] == "item_s_1"


def test_a_commit_ends_the_utterance_that_is_open(talk):
    talk.append()
    talk.tell(started(1), partial(1, "so far"))
    name = talk.commit()
    told = talk.tell(stopped(1), final(1, "so far"), finalized(name, 1))
    assert kinds(told) == ["buffer.speech_stopped", *COMMIT, COMPLETED]


def test_a_commit_in_silence_is_an_empty_item(talk):
    talk.append()
    told = talk.tell(finalized(talk.commit()))
    assert kinds(told) == [*COMMIT, COMPLETED]
    assert told[-1]["transcript"] == ""


def test_what_is_cleared_is_not_told_of_any_more(talk):
    talk.append()
    talk.tell(started(1), partial(1, "never"))
    assert kinds(talk.send("input_audio_buffer.clear")) == ["buffer.cleared"]
    told = talk.tell(
        partial(1, "never mind"), stopped(1), final(1, "never mind"), finalized(talk.finalize_id, 1)
    )
    assert kinds(told) == ["buffer.speech_stopped"]
    assert kinds(talk.tell(started(2), stopped(2), final(2, "yes")))[-1] == COMPLETED


def test_clearing_does_not_take_back_what_was_committed(talk):
    talk.append()
    talk.tell(started(1), stopped(1))
    talk.send("input_audio_buffer.clear")
    assert talk.tell(final(1, "said"), finalized(talk.finalize_id, 1))[-1]["transcript"] == "said"


# ── The client finds the turns ──


def test_all_between_two_commits_is_one_item(manual):
    told = manual.tell(
        started(1), partial(1, "one"), stopped(1), final(1, "One."), started(2), partial(2, "two"), stopped(2)
    )
    assert kinds(told) == [DELTA, DELTA]  # the final of the first changed what was shown
    name = manual.commit()
    assert kinds(manual.said)[-3:] == COMMIT
    told = manual.tell(final(2, "two"), finalized(name, 2))
    assert kinds(told) == [COMPLETED]
    assert told[0]["transcript"] == "One. two"
    assert manual.deltas("item_s_1") == "one two"
    assert told[0]["usage"] == {"type": "duration", "seconds": 0.2}


def test_deltas_keep_the_order_of_speech(manual):
    assert kinds(manual.tell(started(1), partial(1, "one"), stopped(1), started(2), partial(2, "two"))) == [
        DELTA
    ]
    manual.tell(final(1, "one more"))
    assert manual.deltas("item_s_1") == "one more two"


def test_what_begins_while_a_commit_is_awaited_is_placed_by_the_answer(manual):
    manual.tell(started(1), partial(1, "one"))
    name = manual.commit()
    # The first of these was heard before the commit, the second after it.
    assert (
        manual.tell(stopped(1), started(2), partial(2, "two"), stopped(2), started(3), partial(3, "three"))
        == []
    )
    told = manual.tell(final(1, "one"), final(2, "two"), finalized(name, 2))
    assert kinds(told) == [DELTA, COMPLETED, DELTA]
    assert manual.completed("item_s_1") == ["one two"]
    assert manual.deltas("item_s_2") == "three"
    manual.append()
    name = manual.commit()
    manual.tell(stopped(3), final(3, "three."), finalized(name, 3))
    assert manual.completed("item_s_2") == ["three."]


def test_an_answer_without_an_utterance_means_all_that_was_told(manual):
    name = manual.commit()
    manual.tell(started(1), stopped(1), final(1, "quick"), finalized(name, None))
    assert manual.completed("item_s_1") == ["quick"]


def test_a_commit_with_nothing_to_say_is_answered(manual):
    name = manual.commit()
    assert manual.tell(finalized(name))[-1]["transcript"] == ""


def test_a_commit_without_audio_is_an_error(manual):
    manual.commit()
    manual.append(60)
    [error] = manual.send("input_audio_buffer.commit", event_id="mine")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    assert error["error"]["event_id"] == "mine"
    assert "60 ms" in error["error"]["message"]
    manual.append(40)
    assert kinds(manual.send("input_audio_buffer.commit")) == COMMIT


def test_two_commits_in_a_row_are_two_items(manual):
    manual.tell(started(1))
    first = manual.commit()
    manual.append()
    second = manual.commit()
    told = manual.tell(stopped(1), final(1, "all"), finalized(first, 1), finalized(second, 1))
    assert [m["transcript"] for m in told if "transcript" in m] == ["all", ""]


def test_what_was_cleared_is_in_no_item(manual):
    manual.tell(started(1), partial(1, "no"))
    manual.send("input_audio_buffer.clear")
    told = manual.tell(
        stopped(1), started(2), partial(2, "yes"), final(1, "no"), finalized(manual.finalize_id, 1)
    )
    assert [m["delta"] for m in told] == ["yes"]
    manual.append()
    name = manual.commit()
    manual.tell(stopped(2), final(2, "yes"), finalized(name, 2))
    assert manual.said[-1]["transcript"] == "yes"


def test_part_of_an_item_that_is_lost_does_not_take_the_rest_with_it(manual):
    manual.tell(started(1), stopped(1), final(1, "heard"), started(2), stopped(2))
    name = manual.commit()
    told = manual.tell(dropped(2, DropReason.DECODE_FAILED), finalized(name, 2))
    assert told[-1]["transcript"] == "heard"


def test_from_commits_to_detection_what_was_gathered_is_an_item(manual):
    manual.tell(started(1), partial(1, "before"))
    told = update(
        manual, {"type": "transcription", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    )
    assert kinds(told) == [*COMMIT, "session.updated"]
    manual.tell(stopped(1), final(1, "before"), finalized(manual.finalize_id, 1))
    assert manual.completed("item_s_1") == ["before"]
    assert kinds(manual.tell(started(2))) == ["buffer.speech_started"]


def test_from_detection_to_commits_who_speaks_ends_as_they_began(talk):
    talk.tell(started(1))
    update(talk, MANUAL)
    assert kinds(talk.tell(stopped(1), final(1, "x"))) == ["buffer.speech_stopped", *COMMIT, DELTA, COMPLETED]


# ── What is said otherwise ──


def test_the_former_generation_is_spoken_to_in_its_words():
    talk = Talk(form=Form.BETA)
    assert talk.said[0]["type"] == "transcription_session.created"
    assert talk.said[0]["session"]["input_audio_format"] == "pcm16"
    told = talk.send(
        "transcription_session.update",
        session={
            "input_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "whisper-1", "language": "de"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        },
    )
    assert told[0]["type"] == "transcription_session.updated"
    assert told[0]["session"]["input_audio_format"] == "g711_ulaw"
    assert talk.configured["language"] == "de"
    assert kinds(talk.tell(started(1), stopped(1)))[-2:] == ["buffer.committed", "created"]


def test_who_speaks_the_former_words_without_saying_so_before_is_understood(talk):
    [told] = talk.send("transcription_session.update", session={})
    assert told["type"] == "transcription_session.updated"


def test_log_probabilities_are_those_of_words(talk):
    update(talk, {"type": "transcription", "include": [LOGPROBS]})
    assert talk.configured["word_timestamps"] is True
    told = talk.tell(started(1), stopped(1), final(1, "sí", Word("sí", 0, 100, 0.5)))
    assert told[-1]["logprobs"] == [{"token": "sí", "bytes": [115, 195, 173], "logprob": -0.6931}]
    update(talk, {"type": "transcription", "include": None})
    told = talk.tell(started(2), stopped(2), final(2, "x", Word("x", 0, 1, 0.0)))
    assert "logprobs" not in told[-1]


def test_a_session_may_be_told_what_it_is_before_it_begins():
    talk = Talk(text=json.dumps(MANUAL))
    assert talk.said[0]["session"]["audio"]["input"]["turn_detection"] is None


def test_over_a_data_channel_audio_is_a_track():
    dialect = OVER_CHANNEL(Beginning())
    assert isinstance(dialect, Realtime)
    [act] = dialect.receive(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA"}))
    assert "track" in json.loads(act.text)["error"]["message"]
    assert json.loads(dialect.tick)["type"] == "rate_limits.updated"
    assert not dialect.resumes


def test_over_a_data_channel_nobody_counts_audio():
    talk = Talk(has_track=True)
    update(talk, MANUAL)
    talk.tell(started(1, 0))
    name = talk.commit()
    told = talk.tell(stopped(1, 1_500), final(1, "x"), finalized(name, 1))
    assert told[-1]["usage"]["seconds"] == 1.5


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "invalid_json"),
        ("[]", "invalid_json"),
        ("[" * 10_000, "invalid_json"),
        (b"\0\0", "invalid_json"),
        ('{"type":[' + "[]," * 6_000 + "0]}", "too_long"),
        ("{}", "unknown_event"),
        ('{"type":"response.create"}', "unknown_event"),
        ('{"type":["session.update"]}', "unknown_event"),
        ('{"type":"input_audio_buffer.append"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"not base64"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","audio":"\\ud800"}', "invalid_value"),
        ('{"type":"session.update"}', "invalid_value"),
        ('{"type":"session.update","session":{"type":"realtime"}}', "invalid_value"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_answered_and_changes_nothing(talk, message, code):
    before = len(talk.asked)
    [error] = talk.send_raw(message)
    assert error["type"] == "error"
    assert error["error"]["code"] == code
    assert error["error"]["type"] == "invalid_request_error"
    assert (len(talk.asked), talk.heard) == (before, b"")


@pytest.mark.parametrize("given", ["x" * 513, 7, "\ud800", None])
def test_an_event_id_that_cannot_be_sent_back_is_not(talk, given):
    [error] = talk.send("nonsense", event_id=given)
    assert error["error"]["event_id"] is None


def test_a_language_that_no_model_knows_is_refused_where_that_is_known():
    talk = Talk(languages=frozenset({"en", "de"}))
    session: dict[str, Any] = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"language": "xx"}}},
    }
    [error] = update(talk, session, event_id="e1")
    assert "de, en" in error["error"]["message"]
    assert error["error"]["event_id"] == "e1"
    session["audio"]["input"]["transcription"]["language"] = "de-AT"
    [updated] = update(talk, session)
    assert updated["session"]["audio"]["input"]["transcription"]["language"] == "de"


def test_and_told_by_the_session_where_it_is_not(talk):
    update(talk, {"type": "transcription"}, event_id="e7")
    [error] = talk.tell(SessionWarning(at_ms=0, code="configure", message="language must be one of en"))
    assert error["error"]["event_id"] == "e7"
    assert talk.tell(SessionWarning(at_ms=0, code="load_no_eager", message="busy")) == []


def test_the_end(talk):
    [error] = talk.tell(SessionError(at_ms=0, code="quota_exceeded", message="no more today", fatal=True))
    assert (error["error"]["type"], error["error"]["code"]) == ("server_error", "quota_exceeded")
    assert talk.tell(SessionEnded(at_ms=0, reason="quota_exceeded")) == []
    assert talk.dialect.farewell("quota_exceeded") == (4429, "quota_exceeded")
    assert talk.dialect.farewell("drained") == (1001, "drained")


def test_audio_may_be_long(talk):
    assert talk.append(15_000) == []
    assert len(talk.heard) == 15_000 * 48


# ── Anything ──

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    "type", "audio", "input", "format", "rate", "transcription", "language", "languages", "prompt",
    "keywords", "model", "noise_reduction", "turn_detection", "threshold", "silence_duration_ms",
    "prefix_padding_ms", "include", "input_audio_format", "input_audio_transcription", "session",
)  # fmt: skip
WORDS = ("transcription", "server_vad", "audio/pcm", "audio/pcma", "pcm16", "en", 24_000, 300, LOGPROBS)
VALUES = st.sampled_from(WORDS)
NEARLY = st.recursive(
    ANY_JSON | VALUES,
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=20,
)
MESSAGES = (
    st.text()
    | st.binary()
    | ANY_JSON.map(json.dumps)
    | st.builds(
        lambda kind, session: json.dumps({"type": kind, "session": session}),
        st.sampled_from(list(UPDATES)),
        NEARLY,
    )
    | st.builds(
        lambda kind, audio: json.dumps({"type": "input_audio_buffer." + kind, "audio": audio}),
        st.sampled_from(("append", "commit", "clear")),
        ANY_JSON | st.binary().map(lambda data: base64.b64encode(data).decode()),
    )
)


@given(st.lists(MESSAGES, max_size=8), st.booleans())
def test_whatever_a_client_says_it_is_answered_in_words_that_can_be_sent(messages, has_track):
    talk = Talk(has_track=has_track)
    for message in messages:
        talk.send_raw(message)
    assert talk.tell(started(1), partial(1, "still"), stopped(1), final(1, "still there")) is not None


@pytest.mark.parametrize("text", ['{"language": "de"}', '{"type": "realtime"}', "[1", '"x"', "[" * 9_000])
def test_what_was_said_at_another_door_is_not_looked_at(text: str) -> None:
    dialect = OVER_CHANNEL(Beginning(text=text))
    assert dialect.begin() == OVER_CHANNEL(Beginning()).begin()
