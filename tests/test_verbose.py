"""What another rtc-stt has heard, and everything else that may come in its place."""

from __future__ import annotations

import copy
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import Decision, Route
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.service.formats import Form, render
from rtc_stt.service.transcript import Segment, Spent, Transcript
from rtc_stt.verbose import Heard, read_heard
from tests.fallback_service import verbose

BODY = verbose("turn on the light", words=[("turn", 100, 300), ("on", 300, 400)])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["segments", "text"]), inner),
    max_leaves=8,
)


def test_every_figure_is_read():
    assert read_heard(BODY) == Heard(
        text="turn on the light",
        language="en",
        language_probability=0.98,
        avg_logprob=-0.1,
        no_speech_prob=0.02,
        compression_ratio=1.1,
        model="medium",
        words=(Word("turn", 100, 300, 0.9), Word("on", 300, 400, 0.9)),
    )


def test_fields_that_a_later_version_tells_are_passed_over():
    body = copy.deepcopy(BODY)
    body["segments"][0]["mood"] = body["mood"] = {"glad": True}
    assert read_heard(body) == read_heard(BODY)


def test_a_stretch_in_which_nothing_was_heard_has_an_empty_text():
    heard = read_heard(verbose(""))
    assert (heard.text, heard.words) == ("", ())


@pytest.mark.parametrize("segments", [[], None, {}, "x", BODY["segments"] * 2, [None], [[]], [1]])
def test_other_than_one_segment_is_refused(segments):
    with pytest.raises(ValueError, match=r"expected|no "):
        read_heard(BODY | {"segments": segments})


FIELDS = [name for name in BODY["segments"][0] if name in Heard.__slots__ and name != "words"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_missing_is_named(name):
    body = copy.deepcopy(BODY)
    del body["segments"][0][name]
    with pytest.raises(ValueError, match=name):
        read_heard(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", None),
        ("text", 5),
        ("text", "half a \ud83d"),
        ("language", ""),
        ("language", "en\r\nX-Evil: 1"),
        ("language", "a language with a long name"),
        ("language_probability", 1.5),
        ("language_probability", True),
        ("language_probability", "0.5"),
        ("avg_logprob", 0.5),
        ("avg_logprob", float("nan")),
        ("avg_logprob", float("-inf")),
        ("avg_logprob", -(10**400)),
        ("no_speech_prob", -0.1),
        ("compression_ratio", float("inf")),
        ("compression_ratio", -1),
        ("model", ""),
        ("model", "me\ndium"),
        ("model", "m" * 201),
        ("words", {}),
        ("words", "words"),
        ("words", [None]),
        ("words", [{"word": "a", "start_ms": 5, "end_ms": 4, "probability": 0.5}]),
        ("words", [{"word": "a", "start_ms": -1, "end_ms": 4, "probability": 0.5}]),
        ("words", [{"word": "a", "start_ms": 1.5, "end_ms": 4, "probability": 0.5}]),
        ("words", [{"word": "a", "start_ms": 1, "end_ms": 10**30, "probability": 0.5}]),
        ("words", [{"word": "a", "start_ms": 1, "end_ms": 4, "probability": 2}]),
        ("words", [{"start_ms": 1, "end_ms": 4, "probability": 0.5}]),
    ],
)
def test_a_field_that_says_nothing_sensible_is_refused(name, value):
    body = copy.deepcopy(BODY)
    body["segments"][0][name] = value
    with pytest.raises(ValueError, match=r"\w"):
        read_heard(body)


@given(JSON)
def test_whatever_is_sent_is_read_or_refused(body):
    for body in (body, {"segments": [body]}, BODY | {"segments": [BODY["segments"][0] | {"words": body}]}):  # noqa: B020
        try:
            heard = read_heard(body)
        except ValueError:
            continue
        json.dumps(heard.text).encode()


PROBABILITY = st.floats(0, 1)
SEGMENTS = st.builds(
    Segment,
    id=st.just(0),
    start_ms=st.just(0),
    end_ms=st.integers(0, 30_000),
    text=st.text(),
    language=st.sampled_from(["en", "yue"]),
    language_probability=PROBABILITY,
    avg_logprob=st.floats(-20, 0),
    no_speech_prob=PROBABILITY,
    compression_ratio=st.floats(0, 50),
    model=st.sampled_from(["medium", "größer"]),
    tier=st.just(Tier.FAST),
    route=st.just(Route(Decision.ACCEPTED)),
    words=st.lists(st.builds(Word, st.text(), st.just(10), st.integers(10, 30_000), PROBABILITY)).map(tuple),
)


@given(SEGMENTS, st.booleans())
def test_what_a_fallback_writes_is_read_as_it_was_meant(segment, words):
    transcript = Transcript(30_000, (segment,), (), Spent(), "medium")
    written, _ = render(transcript, Form.VERBOSE_JSON, request_id="r", degraded=False, words=words)
    heard = read_heard(json.loads(written))
    for name in FIELDS:
        told = getattr(segment, name)
        assert getattr(heard, name) == (unicodedata.normalize("NFC", told) if isinstance(told, str) else told)
    assert [word.end_ms for word in heard.words] == ([word.end_ms for word in segment.words] if words else [])
