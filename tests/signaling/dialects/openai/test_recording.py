"""The form of a recording, and the answers to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtc_stt.errors import BadRequest
from rtc_stt.hypothesis import Word
from rtc_stt.service.formats import Form
from signaling.dialects.openai.languages import NAMES
from signaling.dialects.openai.recording_answer import Deltas, render_answer, render_done
from signaling.dialects.openai.recording_form import Asked, read_form
from tests.signaling.service import segment, transcript

TWO = transcript(
    segment("turn on the light", words=(Word(" turn", 100, 200, 0.5), Word(" on", 200, 300, 1.0))),
    segment("please", start_ms=1_200),
)


def read(**texts: str) -> Asked:
    lists = {name: value.split() for name, value in texts.items() if name in LISTED}
    return read_form({name: value for name, value in texts.items() if name not in lists}, lists)


LISTED = ("languages", "keywords", "include", "timestamp_granularities")


def answer(said: Any = TWO, **texts: str) -> Any:
    body, kind = render_answer(said, read(**texts), request_id="r", degraded=False)
    assert kind == "application/json"
    return json.loads(body)


def test_without_a_field_it_is_json_and_the_language_is_detected():
    asked = read()
    assert (asked.form, asked.is_streamed, asked.options.language) == (Form.JSON, False, None)
    assert not asked.options.word_timestamps


def test_names_with_and_without_brackets_are_the_same():
    asked = read_form(
        {}, {"keywords[]": ["Anna", ""], "keywords": ["Ohm", "Anna"], "languages[]": ["en-US", "de"]}
    )
    assert asked.options.hotwords == "Ohm, Anna"
    assert asked.options.languages == ("en", "de")


def test_what_others_send_without_a_thought_is_taken():
    asked = read(
        model="whisper-1", temperature="0.0", chunking_strategy="auto", stream="False", language="en-GB"
    )
    assert asked.options.language == "en"


@pytest.mark.parametrize(
    "texts",
    [
        {"temperature": "0.2"},
        {"temperature": "warm"},
        {"temperature": "0" * 17},
        {"model": "x" * 1_001},
        {"chunking_strategy": '{"type":"server_vad"}'},
        {"response_format": "diarized_json"},
        {"stream": "maybe"},
        {"stream": "true", "response_format": "srt"},
        {"stream": "true", "response_format": "verbose_json"},
        {"timestamp_granularities": "word"},
        {"timestamp_granularities": "letter", "response_format": "verbose_json"},
        {"include": "logprobs", "response_format": "text"},
        {"include": "usage"},
        {"language": "en", "languages": "en de"},
    ],
    ids=str,
)
def test_what_is_not_offered_is_refused_by_name(texts):
    with pytest.raises(BadRequest, match=next(iter(texts))):
        read(**texts)


def test_json():
    assert answer() == {
        "text": "turn on the light please",
        "usage": {"type": "duration", "seconds": 2.0},
        "degraded": False,
    }
    [first, second] = answer(include="logprobs")["logprobs"]
    assert first == {"token": " turn", "bytes": list(b" turn"), "logprob": -0.6931}
    assert second["logprob"] == 0


def test_verbose_json():
    body = answer(response_format="verbose_json")
    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "english", 2.0)
    assert "words" not in body
    assert body["segments"][1] == {
        "id": 0,
        "seek": 120,
        "start": 1.2,
        "end": 2.2,
        "text": "please",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.1,
        "no_speech_prob": 0.01,
    }
    body = answer(response_format="verbose_json", timestamp_granularities="word")
    assert body["words"][0] == {"word": "turn", "start": 0.1, "end": 0.2}
    assert "segments" not in body
    body = answer(response_format="verbose_json", timestamp_granularities="word segment")
    assert {"words", "segments"} < set(body)


def test_silence_has_the_language_that_was_asked_for():
    assert answer(transcript(), response_format="verbose_json", language="de")["language"] == "german"
    assert answer(transcript(), response_format="verbose_json")["language"] == ""


@pytest.mark.parametrize(
    ("form", "kind"), [("text", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")]
)
def test_texts_are_those_of_our_own_endpoint(form, kind):
    body, told = render_answer(TWO, read(response_format=form), request_id="r", degraded=False)
    assert told == kind
    assert "please" in body
    assert read(response_format=form).options.word_timestamps is (form != "text")


def test_pieces_of_a_stream_make_up_the_whole():
    deltas = Deltas()
    events = [deltas.take(s) for s in (*TWO.segments, segment(""))]
    assert events[2] is None
    read_back = [json.loads((event or "").removeprefix("data: ")) for event in events[:2]]
    assert all((event or "").endswith("\n\n") for event in events[:2])
    done = json.loads(render_done(TWO, read(include="logprobs"), degraded=True).removeprefix("data: "))
    assert "".join(event["delta"] for event in read_back) == done["text"] == TWO.text
    assert done["type"] == "transcript.text.done"
    assert done["degraded"] is True
    assert len(done["logprobs"]) == 2


def test_every_language_of_whisper_has_a_name():
    faster_whisper = pytest.importorskip("faster_whisper.tokenizer")
    assert set(faster_whisper._LANGUAGE_CODES) == set(NAMES)
    assert NAMES["ht"] == "haitian creole"
