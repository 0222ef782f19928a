"""jambonz's protocol for recognizers, by golden conversations: transcripts go back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rtc_stt.events import (
    DropReason,
    SpeechStarted,
    TranscriptEager,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.testing import final
from signaling.audio_format import AudioFormat
from signaling.telephony.streams.stream_dialect import Bad, Begin, HangUp, Hear, Leave, Say
from tests.signaling.telephony.streams.golden import open_dialect, replay, say

START = {
    "type": "start",
    "language": "en-US",
    "format": "raw",
    "encoding": "LINEAR16",
    "sampleRateHz": 8000,
    "interimResults": True,
}
NARROW = AudioFormat("pcm_s16le", 8_000, 1)

PARTIAL = TranscriptPartial(
    at_ms=500, utterance_id=1, revision=1, text="turn it", stable_chars=4, audio_end_ms=480, language="en"
)
FINAL = dataclasses.replace(final("Turn it on — größer.", 1), confidence=0.87654)


def told(dialect, event):
    return [json.loads(act.message) for act in dialect.tell("caller", event) if isinstance(act, Say)]


def test_a_conversation():
    dialect = open_dialect("jambonz-stt")
    options = {"language": "en", "partials": True}
    replay(
        dialect,
        [
            (START, [Begin(("caller",), options=options)]),
            (b"\x01\x00" * 160, [Hear("caller", NARROW, b"\x01\x00" * 160)]),
        ],
    )
    assert told(dialect, SpeechStarted(at_ms=300, utterance_id=1, audio_start_ms=100)) == []
    assert told(dialect, PARTIAL) == [
        {
            "type": "transcription",
            "is_final": False,
            "alternatives": [{"transcript": "turn it", "confidence": 0.571}],
            "language": "en",
            "channel": 1,
        }
    ]
    assert told(dialect, TranscriptEager(at_ms=1_200, utterance_id=1, text="turn it on")) == []
    assert told(dialect, FINAL) == [
        {
            "type": "transcription",
            "is_final": True,
            "alternatives": [{"transcript": "Turn it on — größer.", "confidence": 0.877}],
            "language": "en",
            "channel": 1,
        }
    ]
    assert told(dialect, UtteranceDropped(at_ms=2_000, utterance_id=2, reason=DropReason.NO_SPEECH)) == []
    assert say(dialect, {"type": "stop"}) == [HangUp()]
    assert dialect.end("stopped") == ()
    assert dialect.farewell("stopped") == (1000, "stopped")


def test_who_wants_no_partials_gets_none():
    dialect = open_dialect("jambonz-stt")
    (begin,) = say(dialect, START | {"interimResults": False})
    assert begin.options["partials"] is False
    assert told(dialect, PARTIAL) == []
    assert len(told(dialect, FINAL)) == 1


@pytest.mark.parametrize(
    "wrong", [{"encoding": "FLAC"}, {"format": "wav"}, {"sampleRateHz": 4000}, {"encoding": "G722"}]
)
def test_what_is_not_decoded_here_is_refused_with_an_error(wrong):
    dialect = open_dialect("jambonz-stt")
    (leave,) = say(dialect, START | wrong)
    assert isinstance(leave, Leave)
    (error,) = dialect.end("malformed")
    assert isinstance(error, Say)
    assert json.loads(error.message) == {"type": "error", "error": leave.words}


@pytest.mark.parametrize("message", [b"\x00\x00", "hello", {"language": "en"}])
def test_what_cannot_be_understood_first_is_an_error(message):
    dialect = open_dialect("jambonz-stt")
    (bad,) = say(dialect, message)
    assert isinstance(bad, Bad)
    (error,) = dialect.end("malformed")
    assert isinstance(error, Say)
    assert json.loads(error.message)["error"] == bad.words


@pytest.mark.parametrize("reason", ["drained", "unavailable", "token_wrong", "server_error", "anything"])
def test_an_end_that_is_none_of_its_own_is_an_error(reason):
    (error,) = open_dialect("jambonz-stt").end(reason)
    assert isinstance(error, Say)
    body = json.loads(error.message)
    assert body["type"] == "error"
    assert body["error"]
