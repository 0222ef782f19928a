"""The answer about a recording."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rtc_stt.events import Decision, Reason
from rtc_stt.hypothesis import Word
from signaling.dialects.deepgram.query import Recorded
from signaling.dialects.deepgram.recorded import write_transcript
from signaling.dialects.deepgram.results import model_uuid
from tests.signaling.service import segment, transcript

WORDS = (
    Word("Turn", 100, 300, 0.9),
    Word("it", 300, 400, 0.8),
    Word("on.", 400, 600, 0.99),
    Word("Now!", 700, 900, 0.7),
)
FIRST = segment("Turn it on. Now!", words=WORDS)
SECOND = replace(segment("Thanks", start_ms=1_500), id=1)


def told(asked: Recorded, *segments: Any) -> Any:
    return json.loads(
        write_transcript(transcript(*segments), asked, request_id="f00", sha256="abc", now=1_700_000_000.5)
    )


def test_the_least():
    body = told(Recorded(), FIRST, SECOND)
    small = model_uuid("small")
    assert body["metadata"] | {"model_info": None} == {
        "transaction_key": "deprecated",
        "request_id": "f00",
        "sha256": "abc",
        "created": "2023-11-14T22:13:20.500Z",
        "duration": 2.0,
        "channels": 1,
        "models": [small],
        "model_info": None,
    }
    assert body["metadata"]["model_info"][small]["name"] == "small"
    (channel,) = body["results"]["channels"]
    assert set(body["results"]) == {"channels"}
    assert set(channel) == {"alternatives"}
    (heard,) = channel["alternatives"]
    assert set(heard) == {"transcript", "confidence", "words"}
    assert heard["transcript"] == "Turn it on. Now! Thanks"
    assert heard["confidence"] == 0.9048
    assert heard["words"][2] == {
        "word": "on",
        "start": 0.4,
        "end": 0.6,
        "confidence": 0.99,
        "punctuated_word": "on.",
    }


def test_nothing_was_said():
    body = told(Recorded(utterances=True, paragraphs=True, detect_language=True, is_multilingual=True))
    (channel,) = body["results"]["channels"]
    assert channel["alternatives"] == [
        {
            "transcript": "",
            "confidence": 0.0,
            "words": [],
            "paragraphs": {"transcript": "", "paragraphs": []},
        }
    ]
    assert body["results"]["utterances"] == []
    assert body["metadata"]["models"] == [model_uuid("small")]


def test_utterances_and_paragraphs():
    body = told(Recorded(utterances=True, paragraphs=True), FIRST, SECOND)
    first, second = body["results"]["utterances"]
    assert (first["transcript"], first["start"], first["end"]) == ("Turn it on. Now!", 0.1, 1.1)
    assert [word["word"] for word in first["words"]] == ["turn", "it", "on", "now"]
    assert second["words"] == []
    assert first["id"] != second["id"]
    assert first["channel"] == second["channel"] == 0
    paragraphs = body["results"]["channels"][0]["alternatives"][0]["paragraphs"]
    assert paragraphs["transcript"] == "Turn it on. Now!\n\nThanks"
    one, two = paragraphs["paragraphs"]
    assert one["num_words"] == 4
    assert one["sentences"] == [
        {"text": "Turn it on.", "start": 0.1, "end": 0.6},
        {"text": "Now!", "start": 0.7, "end": 0.9},
    ]
    assert two["sentences"] == [{"text": "Thanks", "start": 1.5, "end": 2.5}]


def test_languages_are_told_where_they_are_asked_for():
    body = told(Recorded(is_multilingual=True), FIRST)
    assert body["results"]["channels"][0]["alternatives"][0]["languages"] == ["en"]
    body = told(Recorded(detect_language=True), FIRST)
    assert body["results"]["channels"][0]["detected_language"] == "en"


def test_a_degraded_text_says_so():
    doubted = segment("Mumble", Decision.REDECODE_FAILED, (Reason.LOW_LOGPROB,))
    (warning,) = told(Recorded(), FIRST, doubted)["metadata"]["warnings"]
    assert warning["type"] == "degraded"
    assert "Mumble" not in warning["message"]
