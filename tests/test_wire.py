"""The JSON form: what events look like, and what a client may get wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rtc_stt.commands import Ack, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.events import (
    EVENT_TYPES,
    Decision,
    FastResult,
    Finalized,
    Reason,
    Route,
    SessionStarted,
    SessionWarning,
    Timing,
    TranscriptFinal,
    TranscriptPartial,
)
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.wire import (
    MAX_COMMAND_CHARS,
    MAX_ID_CHARS,
    ProtocolProblem,
    decode_event,
    encode_command,
    encode_event,
    read_command,
)

FINAL = TranscriptFinal(
    at_ms=2_900,
    seq=7,
    utterance_id=1,
    text="turn on",
    words=(Word("turn", 500, 800, 0.9), Word("on", 800, 1_000, 0.8)),
    language="en",
    language_probability=0.99,
    confidence=0.9512,
    avg_logprob=-0.05,
    no_speech_prob=0.01,
    compression_ratio=1.0,
    model="small",
    tier=Tier.ACCURATE,
    route=Route(Decision.REDECODED, (Reason.LOW_LOGPROB,), FastResult("turn", 0.4)),
    audio_start_ms=500,
    audio_end_ms=1_000,
    timing=Timing(500, 1, 40, 200, 3),
)


def test_an_event_is_one_line_led_by_type_number_and_time():
    line = encode_event(Finalized(at_ms=320, seq=4, id="a", utterance_id=None))
    assert line == '{"type":"finalized","seq":4,"at_ms":320,"id":"a","utterance_id":null}'


def test_a_final_has_the_fields_of_the_contract():
    body = json.loads(encode_event(FINAL))
    assert body["words"][0] == {"word": "turn", "start_ms": 500, "end_ms": 800, "probability": 0.9}
    assert body["route"] == {
        "decision": "redecoded",
        "reasons": ["low_logprob"],
        "fast": {"text": "turn", "confidence": 0.4},
    }
    assert body["timing"] == {
        "hangover_ms": 500,
        "queue_ms": 1,
        "fast_infer_ms": 40,
        "accurate_infer_ms": 200,
        "endpoint_to_final_ms": 3,
    }
    assert body["tier"] == "accurate"


def test_a_final_comes_back_equal():
    assert decode_event(encode_event(FINAL)) == FINAL


def test_a_final_of_an_older_server_has_no_gap():
    body = json.loads(encode_event(replace(FINAL, concealed_ms=20, lost_ms=300)))
    assert (body.pop("concealed_ms"), body.pop("lost_ms")) == (20, 300)
    assert decode_event(json.dumps(body)) == FINAL


def test_text_is_written_as_nfc():
    event = SessionWarning(at_ms=0, code="x", message="Cafe\u0301")
    assert json.loads(encode_event(event))["message"] == "Café"


def test_an_id_goes_back_as_it_came():
    command, _ = read_command('{"type":"finalize","id":"cafe\\u0301"}')
    assert isinstance(command, Finalize)
    told = json.loads(encode_event(Finalized(at_ms=0, id=command.id, utterance_id=None)))
    assert told["id"] == "cafe\u0301"


def test_a_field_of_a_later_version_is_skipped():
    body = json.loads(encode_event(FINAL)) | {"colour": "red"}
    assert decode_event(json.dumps(body)) == FINAL


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        b"\xff\xfe",
        "[]",
        "null",
        "{}",
        '{"type":"nonsense"}',
        '{"type":[]}',
        '{"type":{}}',
        '{"type":"pong"}',
        '{"type":"pong","at_ms":"1","id":"x"}',
        '{"type":"pong","at_ms":true,"id":"x"}',
        '{"type":"pong","at_ms":1.5,"id":"x"}',
        '{"type":"pong","at_ms":1,"id":null}',
        '{"type":"utterance.dropped","at_ms":1,"utterance_id":1,"reason":"bored"}',
        encode_event(FINAL).replace('"words":[', '"words":7,"x":['),
        encode_event(FINAL).replace('"route":{', '"route":3,"x":{'),
        encode_event(FINAL).replace('"probability":0.9', '"probability":"high"'),
    ],
)
def test_what_is_no_event_is_a_value_error(line):
    with pytest.raises(ValueError):  # noqa: PT011 — its message is Python's or ours
        decode_event(line)


def test_every_event_type_of_the_contract_is_there():
    assert set(EVENT_TYPES) == {
        "session.started", "speech.started", "transcript.partial", "transcript.eager", "speech.resumed",
        "speech.stopped", "transcript.final", "utterance.dropped", "finalized", "warning", "error", "pong",
        "session.ended", "session.resumed",
    }  # fmt: skip


def test_stable_characters_count_what_is_written():
    partial = TranscriptPartial(
        at_ms=0, utterance_id=1, revision=1, text="Café au", stable_chars=4, audio_end_ms=0, language="fr"
    )
    body = json.loads(encode_event(partial))
    assert body["text"][: body["stable_chars"]] == "Café"


def test_a_session_tells_its_models_and_limits():
    started = SessionStarted(
        at_ms=0, session_id="s", resume_token="r", models={"fast": "a", "accurate": None}, limits={"n": 1}
    )
    assert decode_event(encode_event(started)) == started


# ── Commands ──


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ('{"type":"finalize","id":"a"}', Finalize("a")),
        ('{"type":"ping","id":""}', Ping("")),
        ('{"type":"mute","on":true}', Mute(True)),
        ('{"type":"ack","seq":0}', Ack(0)),
        ('{"type":"ack","seq":17}', Ack(17)),
        ('{"type":"stop"}', Stop()),
        (b'{"type":"stop"}', Stop()),
        ('{"type":"configure","language":"de"}', Configure({"language": "de"})),
        ('{"type":"configure","partials":null}', Configure({"partials": None})),
        ('{"type":"configure"}', Configure({})),
    ],
)  # fmt: skip
def test_a_command_is_read(message, command):
    assert read_command(message) == (command, [])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "not_json"),
        ("hello", "not_json"),
        ("[1]", "not_json"),
        ("null", "not_json"),
        (b"\xff", "not_json"),
        ("[" * 10_000, "not_json"),
        ("9" * 10_000, "not_json"),
        ("{}", "unknown_type"),
        ('{"type":"dance"}', "unknown_type"),
        ('{"type":7}', "unknown_type"),
        ('{"type":["stop"]}', "unknown_type"),
        ('{"type":"mute"}', "bad_field"),
        ('{"type":"mute","on":1}', "bad_field"),
        ('{"type":"ack"}', "bad_field"),
        ('{"type":"ack","seq":-1}', "bad_field"),
        ('{"type":"ack","seq":true}', "bad_field"),
        ('{"type":"ack","seq":1.0}', "bad_field"),
        ('{"type":"ack","seq":"7"}', "bad_field"),
        ('{"type":"ack","seq":9007199254740993}', "bad_field"),
        ('{"type":"finalize"}', "bad_field"),
        ('{"type":"finalize","id":3}', "bad_field"),
        ('{"type":"ping","id":"\\ud800"}', "bad_field"),
        (json.dumps({"type": "ping", "id": "x" * (MAX_ID_CHARS + 1)}), "bad_field"),
        (json.dumps({"type": "configure", "prompt": "x" * MAX_COMMAND_CHARS}), "message_too_long"),
    ],
)
def test_what_is_no_command_is_named(message, code):
    with pytest.raises(ProtocolProblem) as problem:
        read_command(message)
    assert problem.value.code == code
    assert str(problem.value)


def test_fields_a_command_should_not_have_are_named_and_cut_short():
    command, unknown = read_command(json.dumps({"type": "stop", "now": True, "x" * 500: 1}))
    assert command == Stop()
    assert unknown == ["now", "x" * 64]


def test_commands_come_back_equal():
    for command in (Finalize("a"), Ping("ä"), Mute(False), Ack(3), Stop(), Configure({"language": "de"})):
        assert read_command(encode_command(command)) == (command, [])
