"""Whole conversations of a live stream, and what holds for any."""

from __future__ import annotations

import hashlib
import json

import pytest

from rtc_stt.commands import Configure, Ping, Stop
from rtc_stt.events import (
    SessionEnded,
    SessionError,
    SessionWarning,
    SpeechResumed,
    TranscriptEager,
)
from signaling.dialects.deepgram.conversation import Deepgram
from signaling.dialects.deepgram.query import Live
from signaling.dialects.deepgram.results import model_uuid
from signaling.dialects.dialect import Ask, Hear
from tests.signaling.dialects.deepgram.talk import (
    BEGINNING,
    ENDED,
    FINALIZE,
    FORM,
    answered,
    asked,
    audio,
    dialect,
    dropped,
    final,
    finalize,
    partial,
    pong,
    said,
    started,
    stopped,
    tell,
)

CLOSE = '{"type":"CloseStream"}'
BOTH = ("is_final", "speech_final")


# ── Golden conversations ──


def test_one_utterance_from_its_start_to_its_end():
    speaks = dialect()
    assert tell(
        speaks,
        started(1, 480),
        partial(1, "turn", 900),
        partial(1, "turn on the", 1_200, 4),
        TranscriptEager(at_ms=1_700, utterance_id=1, text="Turn on the light."),
        stopped(1, 1_500),
        final(1, "Turn on the light.", 480, 1_500),
    ) == [
        ("SpeechStarted", 0.48),
        ("turn",),
        ("turn on the",),
        ("Turn on the light.",),
        ("Turn on the light.", *BOTH),
    ]


def test_a_final_says_all_that_is_known_of_it():
    (told,) = said(dialect().tell(final(1, "Hello, you!", 500, 1_300)))
    assert told == {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 0.8,
        "start": 0.5,
        "is_final": True,
        "speech_final": True,
        "from_finalize": False,
        "channel": {
            "alternatives": [
                {
                    "transcript": "Hello, you!",
                    "confidence": 0.93,
                    "words": [
                        {
                            "word": "hello",
                            "punctuated_word": "Hello,",
                            "start": 0.5,
                            "end": 0.9,
                            "confidence": 0.9,
                        },
                        {
                            "word": "you",
                            "punctuated_word": "you!",
                            "start": 0.9,
                            "end": 1.3,
                            "confidence": 0.9,
                        },
                    ],
                }
            ]
        },
        "metadata": {
            "request_id": "f00",
            "model_info": told["metadata"]["model_info"],
            "model_uuid": model_uuid("medium"),
        },
    }
    assert told["metadata"]["model_info"]["name"] == "medium"


def test_an_interim_says_how_much_of_it_stands():
    speaks = dialect()
    speaks.tell(started(1, 480))
    (told,) = said(speaks.tell(partial(1, "turn on", 900, 4)))
    assert (told["start"], told["duration"], told["is_final"]) == (0.48, 0.42, False)
    assert told["channel"]["alternatives"] == [{"transcript": "turn on", "confidence": 0.5714, "words": []}]
    assert told["metadata"]["model_info"]["name"] == "small"


def test_interims_and_starts_come_where_they_are_asked_for():
    speaks = dialect(interim_results=False, vad_events=False)
    assert tell(speaks, started(1, 0), partial(1, "no", 500), final(1, "no", 0, 500)) == [("no", *BOTH)]


def test_an_interim_is_all_that_is_not_final():
    speaks = dialect()
    assert tell(
        speaks,
        started(1, 0),
        partial(1, "first", 500),
        stopped(1, 500),
        started(2, 1_200),
        partial(2, "second", 1_500),
        final(1, "First.", 0, 500),
        partial(2, "second one", 1_800),
        final(2, "Second one.", 1_200, 1_800),
    ) == [
        ("SpeechStarted", 0.0),
        ("first",),
        ("SpeechStarted", 1.2),
        ("first second",),
        ("First.", *BOTH),
        ("second one",),
        ("Second one.", *BOTH),
    ]


def test_what_was_taken_back_is_a_final_without_a_word():
    speaks = dialect()
    told = tell(speaks, started(1, 0), partial(1, "hm", 300), dropped(1, 900), partial(1, "hm hm", 950))
    assert told == [("SpeechStarted", 0.0), ("hm",), ("", *BOTH)]


def test_without_endpointing_no_final_is_the_end_of_speech():
    speaks = dialect(has_endpointing=False)
    assert tell(speaks, started(1, 0), final(1, "so", 0, 500)) == [("SpeechStarted", 0.0), ("so", "is_final")]


def test_languages_are_told_where_several_are_spoken():
    (told,) = said(dialect(is_multilingual=True).tell(final(1, "ja", 0, 500, language="jw")))
    assert told["channel"]["alternatives"][0]["languages"] == ["jv"]


def test_what_a_client_need_not_know_is_not_told():
    speaks = dialect()
    assert not tell(
        speaks,
        SessionWarning(at_ms=0, code="load_partials_few", message="…"),
        SpeechResumed(at_ms=0, utterance_id=1),
    )


# ── Finalize ──


def test_the_final_that_a_finalize_caused_answers_it():
    speaks = dialect()
    speaks.tell(started(1, 0))
    name = finalize(speaks)
    assert tell(speaks, stopped(1, 800), final(1, "Yes.", 0, 800)) == []
    assert tell(speaks, answered(name, 1)) == [("Yes.", *BOTH, "from_finalize")]
    assert tell(speaks, ENDED) == [("Metadata",)]


def test_so_does_one_that_had_ended_just_before_it_was_heard():
    speaks = dialect()
    speaks.tell(started(1, 0))
    name = finalize(speaks)
    assert tell(speaks, final(1, "Yes.", 0, 800), answered(name, None)) == [("Yes.", *BOTH, "from_finalize")]


def test_a_drop_answers_it_too():
    speaks = dialect()
    speaks.tell(started(1, 0))
    name = finalize(speaks)
    assert tell(speaks, dropped(1, 800), answered(name, 1)) == [("", *BOTH, "from_finalize")]


def test_with_nothing_to_say_it_is_answered_all_the_same():
    speaks = dialect()
    (told,) = said(speaks.tell(answered(finalize(speaks), None)))
    assert told["from_finalize"]
    assert told["is_final"]
    assert not told["speech_final"]
    assert (told["start"], told["duration"]) == (0.9, 0.0)
    assert told["channel"]["alternatives"] == [{"transcript": "", "confidence": 0.0, "words": []}]


def test_two_of_them_for_one_utterance_get_two_answers():
    speaks = dialect()
    speaks.tell(started(1, 0))
    first, second = finalize(speaks), finalize(speaks)
    assert first != second
    assert tell(speaks, final(1, "Yes.", 0, 800), answered(first, 1), answered(second, 1)) == [
        ("Yes.", *BOTH, "from_finalize"),
        ("", "is_final", "from_finalize"),
    ]


def test_a_final_that_it_has_not_caused_is_no_answer():
    speaks = dialect()
    speaks.tell(started(1, 0))
    name = finalize(speaks)  # while the hangover of the first runs out by itself
    assert tell(speaks, final(1, "One.", 0, 500)) == []
    assert tell(speaks, started(2, 900)) == [("One.", *BOTH), ("SpeechStarted", 0.9)]
    assert tell(speaks, final(2, "Two.", 900, 1_500), answered(name, 2)) == [
        ("Two.", *BOTH, "from_finalize"),
    ]


def test_a_final_waits_for_nobody_who_speaks_already():
    speaks = dialect()
    tell(speaks, started(1, 0), stopped(1, 500), started(2, 900))
    name = finalize(speaks)
    assert tell(speaks, final(1, "One.", 0, 500)) == [("One.", *BOTH)]
    assert tell(speaks, dropped(2, 1_000), answered(name, 2)) == [("", *BOTH, "from_finalize")]


def test_a_final_that_waits_is_told_before_the_end():
    speaks = dialect()
    speaks.tell(started(1, 0))
    finalize(speaks)
    assert tell(speaks, final(1, "One.", 0, 500), ENDED) == [("One.", *BOTH), ("Metadata",)]


# ── UtteranceEnd ──


def test_an_utterance_ends_after_silence_of_media_time():
    speaks = dialect(utterance_end_ms=1_000)
    tell(speaks, started(1, 0), final(1, "Hello there.", 0, 800))
    assert speaks.receive(audio(1.7)) == (Hear(FORM, audio(1.7)),)
    assert asked(speaks.receive(audio(0.2))) == []  # 1.7 s have been handed on
    first = speaks.receive(audio(0.02))
    assert first[0] == Ask(Ping("utterance-end"))
    assert isinstance(first[1], Hear)
    assert tell(speaks, pong(1_700)) == []  # the session has not heard so far
    assert asked(speaks.receive(audio(0.06))) == []  # nor is it asked with every message
    assert asked(speaks.receive(audio(0.02))) == []
    assert asked(speaks.receive(audio(0.02))) == [Ping("utterance-end")]
    assert tell(speaks, pong(1_920)) == [("UtteranceEnd", 0.8)]
    assert asked(speaks.receive(audio(5.0))) == []
    assert tell(speaks, pong(9_000)) == []


def test_it_does_not_while_somebody_speaks():
    speaks = dialect(utterance_end_ms=1_000)
    tell(speaks, started(1, 0), final(1, "Hello.", 0, 800), started(2, 1_500))
    speaks.receive(audio(3.0))
    assert asked(speaks.receive(audio(0.02))) == []
    assert tell(speaks, pong(3_000)) == []
    # It was a noise: the last word is still that of the first.
    assert tell(speaks, dropped(2, 3_100), pong(3_200)) == [("", *BOTH), ("UtteranceEnd", 0.8)]


def test_without_a_word_there_is_no_end_and_without_words_the_end_of_speech_counts():
    speaks = dialect(utterance_end_ms=1_000)
    tell(speaks, started(1, 0), dropped(1, 900))
    speaks.receive(audio(5.0))
    assert asked(speaks.receive(audio(0.02))) == []
    tell(speaks, started(2, 5_000), final(2, "a b", 5_000, 5_700, words=()))
    assert tell(speaks, pong(6_700)) == [("UtteranceEnd", 5.7)]


# ── The rest ──


def test_it_begins_with_what_was_asked():
    live = Live(FORM, {"language": "de", "partials": False})
    speaks = Deepgram(live, BEGINNING)
    assert speaks.begin() == (Ask(Configure({"language": "de", "partials": False})),)
    assert speaks.resumes is False
    assert speaks.tick is None
    assert speaks.farewell("stopped") == (1000, "")


@pytest.mark.parametrize("message", [CLOSE, b""])
def test_a_stream_is_closed(message):
    speaks = dialect()
    heard = audio(1.5)
    speaks.receive(heard)
    assert speaks.receive(message) == (Ask(Stop()),)
    assert not speaks.receive(FINALIZE)
    assert not speaks.receive(audio(1.0))
    (told,) = said(speaks.tell(ENDED))
    uuid = model_uuid("small")
    assert told == {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": "f00",
        "sha256": hashlib.sha256(heard).hexdigest(),
        "created": "2023-11-14T22:13:20.000Z",
        "duration": 1.5,
        "channels": 1,
        "models": [uuid],
        "model_info": {uuid: told["model_info"][uuid]},
    }


def test_an_error_is_told_and_nothing_after_it():
    speaks = dialect()
    error = SessionError(at_ms=0, code="overloaded", message="try again later", fatal=True)
    (told,) = said(speaks.tell(error))
    assert told == {"type": "Error", "variant": "overloaded", "description": "try again later"}
    assert said(speaks.tell(SessionEnded(at_ms=0, reason="overloaded"))) == []
    assert speaks.farewell("overloaded") == (1013, "overloaded")


def test_other_words_become_likely():
    speaks = dialect()
    acts = speaks.receive('{"type": "Configure", "keyterms": ["Kafka", "gRPC"]}')
    assert asked(acts) == [Configure({"hotwords": "Kafka, gRPC"})]
    assert said(acts) == [{"type": "ConfigureSuccess", "request_id": "f00", "keyterms": ["Kafka", "gRPC"]}]
    acts = speaks.receive('{"type": "Configure", "features": {"numerals": true}}')
    assert asked(acts) == []
    assert said(acts) == [{"type": "ConfigureSuccess", "request_id": "f00"}]
    (told,) = said(speaks.receive('{"type": "Configure", "features": {"redact": true}}'))
    assert told["type"] == "ConfigureFailure"


def test_what_is_wrong_is_told_and_changes_nothing():
    speaks = dialect()
    (told,) = said(speaks.receive("my secret is 4711"))
    assert (told["type"], told["variant"]) == ("Error", "SchemaError")
    assert "4711" not in json.dumps(told)
    assert not speaks.receive('{"type": "KeepAlive"}')
