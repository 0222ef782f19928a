"""Transcripts as they are asked for, and back."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import Decision, DropReason, FastResult, Reason, Route
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.service import Dropped, Form, Segment, Spent, Transcript, read_verbose, render
from tests.strategies import NFC

WORDS = (Word("Turn", 500, 700, 0.9), Word("left.", 720, 1_000, 0.8))
SEGMENT = Segment(
    id=0,
    start_ms=480,
    end_ms=1_010,
    text="Turn left.",
    language="en",
    language_probability=0.98,
    avg_logprob=-0.1054,
    no_speech_prob=0.01,
    compression_ratio=0.8,
    model="small",
    tier=Tier.FAST,
    route=Route(Decision.ACCEPTED, (), FastResult("Turn left.", 0.9)),
    words=WORDS,
)
SECOND = replace(
    SEGMENT,
    id=1,
    start_ms=3_723_004,
    end_ms=3_725_060,
    text="Then <b>stop & wait</b>",
    model="medium",
    tier=Tier.ACCURATE,
    route=Route(Decision.REDECODED, (Reason.LOW_LOGPROB,), FastResult("Then shop", 0.4)),
    words=(),
)
TRANSCRIPT = Transcript(
    duration_ms=3_726_000,
    segments=(SEGMENT, SECOND),
    dropped=(
        Dropped(2_000, 2_500, DropReason.NO_SPEECH),
        Dropped(5, 6, DropReason.DECODE_FAILED, Decision.REDECODE_FAILED),
    ),
    spent=Spent(1, 20, 300),
    model="small",
)  # fmt: skip


def body(
    form: Form, transcript: Transcript = TRANSCRIPT, *, words: bool = True, degraded: bool = False
) -> str:
    return render(transcript, form, request_id="r-1", degraded=degraded, words=words)[0]


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (Form.JSON, "application/json"),
        (Form.VERBOSE_JSON, "application/json"),
        (Form.TEXT, "text/plain"),
        (Form.SRT, "application/x-subrip"),
        (Form.VTT, "text/vtt"),
    ],
)
def test_each_form_has_its_content_type(form, kind):
    assert render(TRANSCRIPT, form, request_id="r", degraded=False, words=False)[1] == kind


def test_json_is_short():
    assert json.loads(body(Form.JSON, degraded=True)) == {
        "text": "Turn left. Then <b>stop & wait</b>",
        "language": "en",
        "duration_ms": 3_726_000,
        "model": "small+medium",
        "degraded": True,
        "request_id": "r-1",
    }


def test_verbose_json_tells_all():
    told = json.loads(body(Form.VERBOSE_JSON))
    assert told["segments"][0] == {
        "id": 0,
        "start_ms": 480,
        "end_ms": 1_010,
        "text": "Turn left.",
        "language": "en",
        "language_probability": 0.98,
        "avg_logprob": -0.1054,
        "no_speech_prob": 0.01,
        "compression_ratio": 0.8,
        "model": "small",
        "tier": "fast",
        "route": {"decision": "accepted", "reasons": [], "fast": {"text": "Turn left.", "confidence": 0.9}},
        "words": [
            {"word": "Turn", "start_ms": 500, "end_ms": 700, "probability": 0.9},
            {"word": "left.", "start_ms": 720, "end_ms": 1_000, "probability": 0.8},
        ],
        "confidence": 0.9,
    }
    assert told["dropped"] == [
        {"start_ms": 2_000, "end_ms": 2_500, "reason": "no_speech", "decision": None},
        {"start_ms": 5, "end_ms": 6, "reason": "decode_failed", "decision": "redecode_failed"},
    ]
    assert told["spent"] == {"queue_ms": 1, "primary_infer_ms": 20, "fallback_infer_ms": 300}


def test_words_are_told_only_where_they_are_asked_for():
    assert "words" not in json.loads(body(Form.VERBOSE_JSON, words=False))["segments"][0]


def test_text_is_the_text():
    assert body(Form.TEXT) == "Turn left. Then <b>stop & wait</b>\n"


def test_text_is_composed():
    apart = replace(TRANSCRIPT, segments=(replace(SEGMENT, text=unicodedata.normalize("NFD", "Ça va là")),))
    for form in Form:
        assert "Ça va là" in body(form, apart)


def test_subrip():
    assert body(Form.SRT) == (
        "1\n00:00:00,500 --> 00:00:01,000\nTurn left.\n"
        "\n2\n01:02:03,004 --> 01:02:05,060\nThen <b>stop & wait</b>\n"
    )


def test_webvtt_has_a_header_and_no_tags_of_the_speaker():
    assert body(Form.VTT) == (
        "WEBVTT\n"
        "\n00:00:00.500 --> 00:00:01.000\nTurn left.\n"
        "\n01:02:03.004 --> 01:02:05.060\nThen &lt;b&gt;stop &amp; wait&lt;/b&gt;\n"
    )


@pytest.mark.parametrize(("form", "empty"), [(Form.TEXT, "\n"), (Form.SRT, ""), (Form.VTT, "WEBVTT\n")])
def test_silence_in_each_form(form, empty):
    assert body(form, replace(TRANSCRIPT, segments=(), dropped=())) == empty


# ── And back ──

PROBABILITY = st.floats(0, 1)
SEGMENTS = st.builds(
    Segment,
    avg_logprob=st.floats(-1e6, 0),
    no_speech_prob=PROBABILITY,
    compression_ratio=st.floats(0, 1e6),
    language_probability=PROBABILITY,
    route=st.builds(Route, fast=st.none() | st.builds(FastResult)),
    words=st.lists(st.builds(Word, probability=PROBABILITY), max_size=2).map(tuple),
)
TRANSCRIPTS = st.builds(
    Transcript,
    segments=st.lists(SEGMENTS, max_size=3).map(tuple),
    dropped=st.lists(st.builds(Dropped), max_size=2).map(tuple),
    fallback_error=st.none(),
    model=NFC,
)


@given(TRANSCRIPTS)
def test_reading_is_the_inverse_of_writing(transcript):
    told = body(Form.VERBOSE_JSON, transcript)
    again = read_verbose(json.loads(told))
    assert again == replace(transcript, model=transcript.final_model)
    assert body(Form.VERBOSE_JSON, again) == told


def test_fields_of_a_later_version_are_skipped():
    told = json.loads(body(Form.VERBOSE_JSON))
    told["new"] = told["segments"][0]["new"] = {"x": 1}
    assert read_verbose(told).segments == TRANSCRIPT.segments


def changed(path: str, value: object) -> dict[str, object]:
    told = json.loads(body(Form.VERBOSE_JSON))
    at, *steps = told, *path.split(".")
    for step in steps[:-1]:
        at = at[int(step) if step.isdigit() else step]
    last = steps[-1]
    at[int(last) if last.isdigit() else last] = value
    return told


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("duration_ms", "long"),
        ("duration_ms", True),
        ("model", None),
        ("segments", None),
        ("segments", "abc"),
        ("segments", {"a": 1}),
        ("segments.0", 5),
        ("segments.0.text", 5),
        ("segments.0.tier", "best"),
        ("segments.0.avg_logprob", "0.5"),
        ("segments.0.avg_logprob", float("nan")),
        ("segments.0.avg_logprob", 1e6),
        ("segments.0.no_speech_prob", -0.5),
        ("segments.0.language_probability", float("inf")),
        ("segments.0.compression_ratio", float("inf")),
        ("segments.0.route", {}),
        ("segments.0.route.decision", "guessed"),
        ("segments.0.route.reasons", [7]),
        ("segments.0.words", [{"word": "a"}]),
        ("segments.0.words.0.probability", float("nan")),
        ("dropped.0.reason", "bored"),
        ("spent", []),
    ],
)
def test_what_is_no_transcript_is_a_value_error(path, value):
    with pytest.raises(ValueError, match=r"."):
        read_verbose(changed(path, value))


@pytest.mark.parametrize("whole", [{}, [], None, "text", {"text": "only"}])
def test_what_is_no_answer_at_all_is_one_too(whole):
    with pytest.raises(ValueError, match=r"."):
        read_verbose(whole)
