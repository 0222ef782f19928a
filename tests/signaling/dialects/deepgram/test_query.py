"""What may be asked of ``/v1/listen``: taken, or refused by its name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.audio_format import AudioFormat
from signaling.dialects.deepgram.query import (
    LIVE,
    RECORDED,
    REFUSED,
    Recorded,
    hotwords_of,
    language_told,
    read_live,
    read_recorded,
)

LANGUAGES = frozenset({"en", "de", "no", "jw"})
LEAST = [("encoding", "linear16"), ("sample_rate", "16000")]


def live(*more: tuple[str, str]):
    return read_live([*LEAST, *more], LANGUAGES)


def refusal(*query: tuple[str, str]) -> str:
    with pytest.raises(BadRequest) as refused:
        read_live(query, LANGUAGES)
    return str(refused.value)


# ── Live ──


def test_the_least_that_may_be_asked():
    asked = live()
    assert asked.form == AudioFormat("pcm_s16le", 16_000, 1)
    assert asked.changes == {"word_timestamps": True, "partials": False}
    assert not asked.interim_results
    assert not asked.vad_events
    assert asked.has_endpointing
    assert asked.utterance_end_ms is None


@pytest.mark.parametrize(
    ("encoding", "ours"), [("linear16", "pcm_s16le"), ("mulaw", "mulaw"), ("alaw", "alaw")]
)
def test_encodings_and_channels(encoding, ours):
    asked = read_live([("encoding", encoding), ("sample_rate", "8000"), ("channels", "2")], LANGUAGES)
    assert asked.form == AudioFormat(ours, 8_000, 2)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ([], "encoding"),
        ([("encoding", "opus"), ("sample_rate", "48000")], "encoding"),
        ([("encoding", "linear16")], "sample_rate"),
        ([("encoding", "linear16"), ("sample_rate", "96000")], "sample_rate"),
        ([("encoding", "linear16"), ("sample_rate", "9" * 5000)], "sample_rate"),
        ([("encoding", "linear16"), ("sample_rate", "٣٣٣٣٣")], "sample_rate"),
        ([*LEAST, ("sample_rate", "8000")], "sample_rate is there twice"),
        ([*LEAST, ("channels", "3")], "channels"),
        ([*LEAST, ("interim_results", "perhaps")], "interim_results"),
        ([*LEAST, ("punctuate", "maybe")], "punctuate"),
        ([*LEAST, ("endpointing", "-1")], "endpointing"),
        ([*LEAST, ("endpointing", "5001")], "endpointing"),
        ([*LEAST, ("utterance_end_ms", "999")], "utterance_end_ms"),
        ([*LEAST, ("language", "xx-XX")], "xx-XX"),
        ([*LEAST, ("language_hint", "xx")], "xx"),
        ([*LEAST, ("keyterm", "w" * 1001)], "keyterm"),
        ([*LEAST, ("keyterm", "\ud800")], "keyterm"),
        ([*LEAST, ("keywords", "never:-3")], "negative"),
        ([*LEAST, ("no_such_thing", "true")], "no_such_thing"),
        ([*LEAST, ("utterances", "true")], "utterances is offered for recordings only"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_name(query, named):
    assert named in refusal(*query)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_offered_is_refused_and_may_be_declined(name):
    assert f"{name} is not offered" in refusal(*LEAST, (name, "true"))
    assert live((name, "false")) == live()
    with pytest.raises(BadRequest, match=f"{name} is not offered"):
        read_recorded([(name, "true")])


@pytest.mark.parametrize(
    ("asked", "language"), [("en", "en"), ("en-US", "en"), ("nb-NO", "no"), ("jv", "jw")]
)
def test_a_language_is_its_base(asked, language):
    taken = live(("language", asked))
    assert taken.changes["language"] == language
    assert not taken.is_multilingual


def test_several_languages():
    asked = live(("language", "multi"), ("language_hint", "de-AT"), ("language_hint", "en"))
    assert "language" not in asked.changes
    assert asked.changes["languages"] == ["de", "en"]
    assert asked.is_multilingual
    assert language_told("jw") == "jv"


@pytest.mark.parametrize(
    ("value", "tells", "silence_ms"),
    [
        ("false", False, None),
        ("true", True, None),
        ("25", True, 300),
        ("0", True, 300),
        ("300", True, 300),
        ("1200", True, 1200),
    ],
)
def test_endpointing(value, tells, silence_ms):
    asked = live(("endpointing", value))
    assert asked.has_endpointing is tells
    told = asked.changes.get("endpointing")
    assert told == (silence_ms and {"min_silence_ms": silence_ms, "speculate_after_ms": 200})


def test_words_that_are_likely():
    asked = live(
        ("keyterm", "Kubernetes"), ("keyterm", " tide pool "), ("keywords", "gRPC:2.5"), ("keywords", "a:b")
    )
    assert asked.changes["hotwords"] == "Kubernetes, tide pool, gRPC, a:b"
    assert hotwords_of([" ", ""]) is None


def test_what_the_plugins_of_frameworks_send_is_taken():
    livekit = (
        "model=nova-3&punctuate=true&smart_format=false&no_delay=true&interim_results=true&encoding=linear16"
        "&vad_events=true&sample_rate=16000&channels=1&endpointing=25&filler_words=true"
        "&profanity_filter=false&numerals=false&mip_opt_out=false&language=en-US"
    )
    pipecat = (
        "detect_entities=false&diarize=false&dictation=false&interim_results=true&numerals=false&punctuate=true"
        "&smart_format=false&model=nova-3-general&language=en&encoding=linear16&channels=1&multichannel=false"
        "&sample_rate=16000"
    )
    for query in (livekit, pipecat):
        asked = read_live([tuple(pair.split("=")) for pair in query.split("&")], LANGUAGES)  # type: ignore[misc]
        assert asked.interim_results
        assert asked.changes["language"] == "en"


# ── Recordings ──


def test_a_recording():
    assert read_recorded([]) == Recorded()
    asked = read_recorded(
        [("model", "nova-3"), ("language", "en-GB"), ("utterances", "true"), ("paragraphs", "True")]
    )
    assert asked == Recorded(language="en", utterances=True, paragraphs=True)
    assert read_recorded([("language", "multi")]) == Recorded(is_multilingual=True)
    assert read_recorded([("detect_language", "true")]) == Recorded(detect_language=True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ([("language", "en"), ("detect_language", "true")], "exclude each other"),
        ([("encoding", "linear16")], "encoding"),
        ([("utterances", "1")], "utterances"),
    ],
)
def test_a_recording_that_is_refused(query, named):
    with pytest.raises(BadRequest, match=named):
        read_recorded(query)


# ── Anything ──

NAMES = st.sampled_from([*LIVE, *RECORDED, *REFUSED]) | st.text(max_size=20)
VALUES = st.sampled_from(["true", "false", "linear16", "16000", "en", "multi", ""]) | st.text(max_size=30)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_any_query_is_taken_or_refused_in_words(query):
    for read in (lambda: read_live([*LEAST, *query], LANGUAGES), lambda: read_recorded(query)):
        with contextlib.suppress(BadRequest):
            assert read()
