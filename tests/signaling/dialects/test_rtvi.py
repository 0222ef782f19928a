"""RTVI: what Pipecat's clients say, and what they are told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt import testing
from rtc_stt.commands import Command, Configure, Finalize, Mute, Stop
from rtc_stt.errors import BadRequest
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SessionEnded,
    SessionError,
    SessionWarning,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.wire import decode_event
from signaling.dialects.dialect import MAX_TEXT_CHARS, Act, Ask, Beginning, Say
from signaling.dialects.rtvi import MAX_ASKED, Rtvi, read_options
from signaling.message_gate import MAX_MESSAGE_BYTES
from tests.golden.scenarios import path_of
from tests.strategies import EVENTS, JSON

BEGINNING = Beginning(now=1_763_755_200.0)  # 2025-11-21T20:00:00Z
"""When a client called."""

READY = {"label": "rtvi-ai", "type": "client-ready", "id": "r1", "data": {"version": "2.1.0", "about": {}}}


def told(acts: Sequence[Act]) -> list[dict[str, Any]]:
    """The messages among the acts."""
    return [json.loads(act.text) for act in acts if isinstance(act, Say)]


def asked(acts: Sequence[Act]) -> list[Command]:
    return [act.command for act in acts if isinstance(act, Ask)]


def say(client: Rtvi, **message: Any) -> Sequence[Act]:
    return client.receive(json.dumps({"label": "rtvi-ai", "id": "m1"} | message))


def golden(scene: str) -> list[Event]:
    return [decode_event(line) for line in path_of(scene).read_text(encoding="utf-8").splitlines()]


def heard(client: Rtvi, events: Sequence[Event]) -> list[dict[str, Any]]:
    return [message for event in events for message in told(client.tell(event))]


def brief(messages: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Type, and of transcripts whether they are final, and the text."""
    return [
        (m["type"], "final" if m["data"]["final"] else "interim", m["data"]["text"])
        if m["type"] in ("user-transcription", "user-input")
        else (m["type"],)
        for m in messages
    ]


def partial(utterance_id: int, text: str) -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=0,
        utterance_id=utterance_id,
        revision=1,
        text=text,
        stable_chars=0,
        audio_end_ms=0,
        language="en",
    )


def final(utterance_id: int, text: str) -> TranscriptFinal:
    return testing.final(text, utterance_id)


def dropped(utterance_id: int) -> UtteranceDropped:
    return UtteranceDropped(at_ms=0, utterance_id=utterance_id, reason=DropReason.NO_SPEECH)


# ── An utterance ──


def test_an_utterance_from_its_start_to_its_final():
    client = Rtvi(BEGINNING)
    messages = heard(client, golden("simple_utterance"))
    assert brief(messages) == [
        ("user-started-speaking",),
        ("user-transcription", "interim", "please"),
        ("user-transcription", "interim", "please turn"),
        ("user-transcription", "interim", "please turn on the"),
        ("user-transcription", "interim", "please turn on the lights"),
        ("user-stopped-speaking",),
        ("user-transcription", "final", "please turn on the lights"),
        ("server-message",),
        ("metrics",),
    ]
    assert all(message["label"] == "rtvi-ai" for message in messages)
    assert messages[0] == {"label": "rtvi-ai", "type": "user-started-speaking"}
    assert messages[6]["data"] == {
        "text": "please turn on the lights",
        "user_id": "",
        "timestamp": "2025-11-21T20:00:02.528+00:00",
        "final": True,
    }
    whole = golden("simple_utterance")[-1]
    assert decode_event(json.dumps(messages[7]["data"])) == whole, "all that is known of the final"
    assert messages[8]["data"] == {
        "ttfb": [{"processor": "rtc-stt", "model": "fast", "value": 0.512}],
        "processing": [{"processor": "rtc-stt", "model": "fast", "value": 0.0}],
    }


def test_a_pause_shows_the_same_text_once():
    messages = heard(Rtvi(BEGINNING), golden("pause_and_resume"))
    assert [each[-1] for each in brief(messages) if each[0] == "user-transcription"] == [
        "my", "my number", "my number is", "my number is five", "my number is five five five",
        "my number is five five five",
    ]  # fmt: skip


def test_what_was_shown_of_a_dropped_utterance_is_taken_back_and_gets_no_final():
    client = Rtvi(BEGINNING)
    events = [SpeechStarted(at_ms=0, utterance_id=1, audio_start_ms=0), partial(1, "thank you"), dropped(1)]
    assert brief(heard(client, events))[-1] == ("user-transcription", "interim", "")
    assert brief(heard(client, [partial(2, "yes")])) == [("user-transcription", "interim", "yes")]


def test_of_a_dropped_utterance_that_was_not_shown_nothing_is_told():
    assert heard(Rtvi(BEGINNING), [partial(1, ""), dropped(1)]) == []


def test_the_interims_of_an_utterance_wait_for_the_final_of_the_one_before():
    client = Rtvi(BEGINNING)
    events = [partial(1, "one"), partial(2, "two"), partial(2, "two three"), partial(1, "one!")]
    assert brief(heard(client, events)) == [
        ("user-transcription", "interim", "one"),
        ("user-transcription", "interim", "one!"),
    ]
    assert brief(heard(client, [final(1, "One.")])) == [
        ("user-transcription", "final", "One."),
        ("server-message",),
        ("metrics",),
        ("user-transcription", "interim", "two three"),
    ]
    assert brief(heard(client, [partial(1, "late"), dropped(2)])) == [("user-transcription", "interim", "")]


def test_a_dropped_utterance_gives_way_to_the_next_without_an_empty_text():
    client = Rtvi(BEGINNING)
    heard(client, [partial(1, "you"), partial(2, "two")])
    assert brief(heard(client, [dropped(1)])) == [("user-transcription", "interim", "two")]


@given(st.lists(EVENTS, max_size=40))
def test_whatever_is_told_starts_and_stops_alternate_and_each_final_is_said_once(events):
    client = Rtvi(BEGINNING)
    events = [dataclasses.replace(event, at_ms=event.at_ms % 10**12) for event in events]
    messages = heard(client, events)
    speaking = [m["type"] for m in messages if m["type"].endswith("ed-speaking")]
    assert speaking == (["user-started-speaking", "user-stopped-speaking"] * len(speaking))[: len(speaking)]
    texts = [m["data"]["text"] for m in messages if m["type"] == "user-transcription" and m["data"]["final"]]
    assert texts == [event.text for event in events if isinstance(event, TranscriptFinal)]


# ── How a session is ──


def test_the_end_of_the_session_lets_the_client_go():
    client = Rtvi(BEGINNING)
    assert told(client.tell(SessionEnded(at_ms=0, reason="stopped"))) == [
        {"type": "signalling", "message": {"type": "peerLeft"}}
    ]
    assert client.farewell("stopped") == (1000, "stopped")
    assert not client.resumes


def test_a_session_that_made_room_for_the_next_of_its_client_ends_without_a_word():
    assert Rtvi(BEGINNING).tell(SessionEnded(at_ms=0, reason="deleted")) == ()


def test_a_fatal_error_is_one():
    [message] = told(
        Rtvi(BEGINNING).tell(SessionError(at_ms=0, code="overloaded", message="no capacity", fatal=True))
    )
    assert message["type"] == "error"
    assert message["data"] == {"error": "no capacity", "message": "no capacity", "fatal": True}


@pytest.mark.parametrize(
    ("code", "kind"), [("rate_limited", "error"), ("configure", "error"), ("audio_gap", "server-message")]
)
def test_a_warning_is_an_error_where_the_client_is_at_fault(code, kind):
    [message] = told(Rtvi(BEGINNING).tell(SessionWarning(at_ms=5, code=code, message="so it is")))
    assert message["type"] == kind
    data = message["data"]
    assert data == {"error": "so it is", "message": "so it is", "fatal": False} or data == {
        "type": "warning", "seq": 0, "at_ms": 5, "code": code, "message": "so it is"
    }  # fmt: skip


# ── What the client says ──


def test_who_is_ready_is_told_which_version_is_spoken():
    [message] = told(Rtvi(BEGINNING).receive(json.dumps(READY)))
    assert (message["type"], message["id"]) == ("bot-ready", "r1")
    assert message["data"]["version"] == "2.2.0"
    assert message["data"]["about"]["library"] == "rtc-stt"
    assert message["data"]["capabilities"]["audio_in"] is True
    assert message["data"]["capabilities"]["audio_out"] is False


@pytest.mark.parametrize(
    ("data", "version", "refused"),
    [
        ({"version": "1.4.0"}, "1.4.0", False),
        ({"version": "2.9.1"}, "2.2.0", False),
        ({"version": "3.0.0"}, "2.2.0", True),
        ({"version": "0.3.0"}, "2.2.0", True),
        ({"version": "2.1"}, "2.2.0", True),
        ({"version": "٢.١.٠"}, "2.2.0", True),
        ({"version": 2}, "2.2.0", True),
        ({}, "2.2.0", True),
        (None, "2.2.0", True),
        ([], "2.2.0", True),
    ],
)
def test_versions_that_are_not_spoken_are_complained_of(data, version, refused):
    messages = told(Rtvi(BEGINNING).receive(json.dumps(READY | {"data": data})))
    assert [m["type"] for m in messages] == ["error-response"] * refused + ["bot-ready"]
    assert {m["id"] for m in messages} == {"r1"}
    assert messages[-1]["data"]["version"] == version


def test_clients_that_know_user_input_are_told_by_it_too():
    client = Rtvi(BEGINNING)
    client.receive(json.dumps(READY | {"data": {"version": "2.2.0"}}))
    messages = heard(client, [partial(1, "so")])
    assert brief(messages) == [("user-transcription", "interim", "so"), ("user-input", "interim", "so")]
    assert messages[1]["data"]["input_type"] == "transcription"


def test_pings_are_not_answered():
    assert Rtvi(BEGINNING).receive("ping: 1763755016000") == ()


def test_a_track_that_is_switched_off_mutes():
    client = Rtvi(BEGINNING)

    def switch(index: int, enabled: object) -> list[Command]:
        message = {"type": "trackStatus", "receiver_index": index, "enabled": enabled}
        return asked(client.receive(json.dumps({"type": "signalling", "message": message})))

    assert switch(0, True) == [], "as it was"
    assert switch(1, False) == [], "video"
    assert switch(0, False) == [Mute(True)]
    assert switch(0, False) == []
    assert switch(0, True) == [Mute(False)]


def test_who_lets_the_bot_go_ends_the_session():
    assert asked(say(Rtvi(BEGINNING), type="disconnect-bot", data={})) == [Stop()]


@pytest.mark.parametrize(
    "kind",
    [
        "send-text", "send-file", "dtmf", "append-to-context", "llm-function-call-result", "ui-event",
        "ui-snapshot", "raw-audio", "describe-config", "no such thing", "",
    ],
)  # fmt: skip
def test_what_is_not_offered_is_refused_by_name(kind):
    [message] = told(say(Rtvi(BEGINNING), type=kind, data={"content": "hello"}))
    assert (message["type"], message["id"]) == ("error-response", "m1")
    assert repr(kind) in message["data"]["error"]


@pytest.mark.parametrize("data", [{"t": "weather", "d": 1}, {"t": 7}, {}, None, [], "configure"])
def test_messages_of_an_application_are_refused(data):
    [message] = told(say(Rtvi(BEGINNING), type="client-message", data=data))
    assert (message["type"], message["id"]) == ("error-response", "m1")


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x01",
        "hello",
        "",
        "[" * 5_000,
        "7",
        "null",
        "[]",
        "{}",
        '{"label":"rtvi-ai"}',
        '{"label":"rtvi-ai","type":"send-text"}',
        '{"label":"rtvi-ai","type":7,"id":"x"}',
        '{"label":"rtvi-ai","type":"client-ready","id":7}',
        '{"label":"rtvi-ai","type":"client-ready","id":"\\ud800"}',
        json.dumps({"label": "rtvi-ai", "type": "client-ready", "id": "x" * 129}),
        '{"label":"other","type":"client-ready","id":"x"}',
        '{"type":"signalling"}',
        '{"type":"signalling","message":[]}',
        '{"type":"signalling","message":{"type":"renegotiate"}}',
        '{"type":"signalling","message":{"type":"trackStatus","receiver_index":true,"enabled":false}}',
        '{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":"no"}}',
    ],
)
def test_what_is_no_message_of_theirs_is_an_error_and_the_session_goes_on(message):
    acts = Rtvi(BEGINNING).receive(message)
    [answer] = told(acts)
    assert answer["type"] == "error"
    assert answer["data"]["fatal"] is False
    assert len(acts) == 1


# ── Options ──


def test_options_of_the_offer_are_asked_for_at_the_beginning():
    text = read_options({"configure": {"language": "en", "endpointing": {"min_silence_ms": 300}}, "user": 7})
    client = Rtvi(dataclasses.replace(BEGINNING, text=text))
    assert asked(client.begin()) == [Configure({"language": "en", "endpointing": {"min_silence_ms": 300}})]


@pytest.mark.parametrize("told", [None, {}, {"any": "thing"}, "text", 7, ["configure"]])
def test_the_rest_of_request_data_belongs_to_the_application(told):
    assert read_options(told) == ""
    assert Rtvi(BEGINNING).begin() == ()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (None, "object"),
        ([], "object"),
        ({"colour": "blue"}, "colour"),
        ({"language": 7}, "language"),
        ({"languages": ["en", {}]}, "languages"),
        ({"endpointing": {"min_silence_ms": "x"}}, "min_silence_ms"),
        ({"partials": 1}, "partials"),
    ],
)
def test_wrong_options_are_refused_at_the_door_and_later(changes, named):
    with pytest.raises(BadRequest, match=named):
        read_options({"configure": changes})
    client = Rtvi(BEGINNING)
    [message] = told(say(client, type="client-message", data={"t": "configure", "d": changes}))
    assert message["type"] == "error-response"
    assert named in message["data"]["error"]


def test_options_have_a_length():
    languages = ["en" * 100] * 100
    with pytest.raises(BadRequest, match=str(MAX_TEXT_CHARS)):
        read_options({"configure": {"languages": languages}})


@pytest.mark.parametrize("text", ["{", '{"type":"session.update"}', "[1]", "7", '"en"', "[" * 5_000])
def test_what_was_said_at_another_door_is_not_taken_for_options(text):
    assert Rtvi(dataclasses.replace(BEGINNING, text=text)).begin() == ()


def test_options_are_changed_by_a_message():
    client = Rtvi(BEGINNING)
    acts = say(client, type="client-message", data={"t": "configure", "d": {"language": "de"}})
    assert asked(acts) == [Configure({"language": "de"})]
    assert told(acts) == [
        {"label": "rtvi-ai", "type": "server-response", "id": "m1", "data": {"t": "configure"}}
    ]


def test_every_finalize_is_answered_with_its_own_id():
    client = Rtvi(BEGINNING)
    commands = []
    for name in ("a", "b"):
        commands += asked(say(client, type="client-message", id=name, data={"t": "finalize"}))
    first, second = commands
    assert isinstance(first, Finalize)
    assert isinstance(second, Finalize)
    assert client.tell(Finalized(at_ms=0, id="not asked for", utterance_id=None)) == ()
    answers = heard(
        client,
        [
            Finalized(at_ms=0, id=first.id, utterance_id=3),
            Finalized(at_ms=0, id=second.id, utterance_id=None),
            Finalized(at_ms=0, id=second.id, utterance_id=None),
        ],
    )
    assert [(a["type"], a["id"], a["data"]) for a in answers] == [
        ("server-response", "a", {"t": "finalize", "d": {"utterance_id": 3}}),
        ("server-response", "b", {"t": "finalize", "d": {"utterance_id": None}}),
    ]


def test_only_so_many_wait_for_an_answer():
    client = Rtvi(BEGINNING)
    acts = [say(client, type="client-message", data={"t": "finalize"}) for _ in range(MAX_ASKED + 1)]
    assert all(asked(each) for each in acts[:-1])
    assert [m["type"] for m in told(acts[-1])] == ["error-response"]


# ── Hostile ──

WORDS = st.sampled_from(
    [
        "rtvi-ai", "signalling", "client-ready", "client-message", "disconnect-bot", "trackStatus",
        "configure", "finalize", "2.1.0", "en", "\ud800", "x" * 200,
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    [
        "label", "type", "id", "data", "message", "receiver_index", "enabled", "t", "d", "version",
        "language", "languages", "endpointing", "min_silence_ms", "max_utterance_s", "prompt",
    ]
)  # fmt: skip
NEAR = st.recursive(
    WORDS | JSON,
    lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)
MESSAGES = (
    st.text()
    | st.binary()
    | (NEAR | JSON).map(json.dumps)
    | st.builds(
        lambda body, data: json.dumps({"label": "rtvi-ai", "id": "x"} | body | {"data": data}),
        st.fixed_dictionaries({"type": WORDS}),
        NEAR,
    )
    | st.builds(
        lambda changes: json.dumps(
            {
                "label": "rtvi-ai",
                "id": "x",
                "type": "client-message",
                "data": {"t": "configure", "d": changes},
            }
        ),
        st.dictionaries(NAMES, NEAR),
    )
)


@given(st.lists(MESSAGES, max_size=10))
def test_no_message_raises_and_each_answer_is_bounded_and_of_the_protocol(messages):
    client = Rtvi(BEGINNING)
    for message in messages:
        acts = client.receive(message)
        assert len(acts) <= 2
        for act in acts:
            assert isinstance(act, Say | Ask)
        for act, answer in zip([a for a in acts if isinstance(a, Say)], told(acts), strict=True):
            assert len(act.text.encode()) <= 2 * MAX_MESSAGE_BYTES
            assert answer["label"] == "rtvi-ai"
            assert answer["type"] in ("bot-ready", "error", "error-response", "server-response")


@given(NEAR | JSON, st.text())
def test_no_offer_raises_anything_but_what_is_told(request_data, text):
    with contextlib.suppress(BadRequest):
        assert len(read_options(request_data)) <= MAX_TEXT_CHARS
    Rtvi(dataclasses.replace(BEGINNING, text=text)).begin()
