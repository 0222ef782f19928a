"""What one side writes the other one reads, to the last field; and what it refuses to read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt import errors
from rtc_stt.decoding import Answer
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency, Word
from rtc_stt.load import Step
from signaling.calls import Call, Connected, Fragment, Resume
from signaling.workers import messages
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.messages import NumberedRequest, PoolState
from tests.harness import request
from tests.strategies import NUMBER, TEXT

AUDIO = st.lists(st.floats(-1, 1, width=32), max_size=50).map(lambda samples: np.array(samples, np.float32))
LANGUAGES = st.sampled_from(["en", "de", "haw"])
REQUESTS = st.builds(
    DecodeRequest,
    stream_id=TEXT,
    utterance_id=st.integers(0),
    revision=st.integers(0),
    tier=st.sampled_from(Tier),
    urgency=st.sampled_from(Urgency),
    audio=AUDIO,
    audio_start=st.integers(0),
    language=st.none() | LANGUAGES,
    languages=st.lists(LANGUAGES, max_size=3).map(tuple),
    prompt=st.none() | TEXT,
    context=st.none() | TEXT,
    hotwords=st.none() | TEXT,
    word_timestamps=st.booleans(),
    draft=st.none() | st.builds(Draft, TEXT, LANGUAGES, NUMBER),
    request_id=TEXT,
    traceparent=TEXT,
)
ASKED = request(word_timestamps=True)
WORDS = st.lists(st.builds(Word, TEXT, st.integers(), st.integers(), NUMBER), max_size=3).map(tuple)
ANSWERS = st.builds(DecodeFailure, st.just(ASKED), TEXT, st.booleans()) | st.builds(
    Hypothesis, request=st.just(ASKED), words=WORDS, avg_logprob=st.floats(allow_nan=False)
)


def over_the_wire(header: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(header))


def sent(asked: DecodeRequest, number: int = 7) -> Frame:
    header, audio = messages.write_submit(asked, number)
    return Frame(over_the_wire(header), bytearray(audio.tobytes()))


@given(REQUESTS, st.integers(0))
def test_a_request_arrives_with_every_field(asked: DecodeRequest, number: int) -> None:
    got = messages.read_submit(sent(asked, number))
    assert isinstance(got, NumberedRequest)
    assert got.number == number
    for field in dataclasses.fields(DecodeRequest):
        if field.name == "audio":
            assert got.audio.dtype == np.float32
            assert got.audio.tobytes() == asked.audio.tobytes()
        else:
            assert getattr(got, field.name) == getattr(asked, field.name), field.name
            assert type(getattr(got, field.name)) is type(getattr(asked, field.name)), field.name


@given(ANSWERS)
def test_an_answer_arrives_with_every_field_and_the_very_request(answer: Answer) -> None:
    got = messages.read_answer(over_the_wire(messages.write_answer(answer, 7)), ASKED)
    assert got == answer
    assert got.request is ASKED


def test_audio_is_not_copied_on_its_way_out_or_in() -> None:
    asked = request(audio=np.ones(1_000, np.float32))
    header, body = messages.write_submit(asked, 1)
    assert np.shares_memory(body, asked.audio)
    frame = Frame(header | {"languages": []}, bytearray(body.tobytes()))
    assert np.shares_memory(messages.read_submit(frame).audio, np.frombuffer(frame.body, np.uint8))


def test_audio_in_pieces_is_put_together() -> None:
    every_second = np.arange(20, dtype=np.float32)[::2]
    got = messages.read_submit(sent(request(audio=every_second)))
    assert got.audio.tolist() == every_second.tolist()


@given(
    st.builds(
        PoolState,
        models=st.dictionaries(st.sampled_from(["fast", "accurate"]), st.none() | TEXT),
        languages=st.frozensets(LANGUAGES),
        has_accurate_tier=st.booleans(),
        step=st.sampled_from(Step),
        is_ready=st.booleans(),
        troubles=st.lists(TEXT, max_size=2).map(tuple),
    )
)
def test_the_state_of_a_pool_arrives(state: PoolState) -> None:
    assert messages.state_from(over_the_wire(messages.state_to(state))) == state


@given(
    st.builds(
        Call,
        TEXT,
        st.none() | st.builds(Resume, TEXT, st.integers(0)),
        ids=st.dictionaries(TEXT, TEXT, max_size=4),
    )
)
def test_a_call_arrives(call: Call) -> None:
    assert messages.call_from(over_the_wire(messages.call_to(call))) == call


@given(
    st.builds(
        Fragment,
        candidates=st.lists(TEXT, max_size=3).map(tuple),
        ufrag=st.none() | TEXT,
        end=st.booleans(),
    )
)
def test_a_fragment_arrives(fragment: Fragment) -> None:
    assert messages.fragment_from(over_the_wire(messages.fragment_to(fragment))) == fragment


def test_an_answer_to_a_call_arrives() -> None:
    connected = Connected("w1-peer", "session", "v=0\r\n")
    assert messages.connected_from(over_the_wire(messages.connected_to(connected))) == connected


@pytest.mark.parametrize(
    "error",
    [
        errors.BadRequest("no"),
        errors.Unprocessable("no video"),
        errors.NotFound("gone"),
        errors.SessionGone("begin anew"),
        errors.PreconditionFailed("old"),
        errors.TooMany("slow down", retry_after_s=9),
        errors.Unavailable("full", retry_after_s=17),
    ],
)
def test_an_error_arrives_as_what_it_was(error: errors.RtcSttError) -> None:
    got = messages.error_from(over_the_wire(messages.error_to(error)))
    assert type(got) is type(error)
    assert str(got) == str(error)
    assert vars(got) == vars(error)


@pytest.mark.parametrize("error", [ValueError("a secret"), errors.ConfigError("a secret"), KeyError("sdp")])
def test_a_mistake_arrives_without_its_words(error: Exception) -> None:
    told = messages.error_to(error)
    assert "secret" not in json.dumps(told)
    assert type(messages.error_from(told)) is RuntimeError


@pytest.mark.parametrize("name", [field for field in messages.write_submit(ASKED, 1)[0] if field != "type"])
def test_a_request_with_a_field_that_is_missing_or_of_another_type_is_refused(name: str) -> None:
    frame = sent(ASKED)
    for wrong in ({}, 1.5, [[1]]):
        with pytest.raises(BadFrame):
            messages.read_submit(Frame(frame.header | {name: wrong}, frame.body))
    del frame.header[name]
    with pytest.raises(BadFrame):
        messages.read_submit(frame)


def test_half_a_sample_is_refused() -> None:
    frame = sent(ASKED)
    with pytest.raises(BadFrame):
        messages.read_submit(Frame(frame.header, frame.body[:-1]))


@pytest.mark.parametrize("name", [field for field in messages._FIGURES if field != "type"])
def test_an_answer_that_lacks_a_figure_is_refused(name: str) -> None:
    header = messages.write_answer(Hypothesis(ASKED, "a", "en", 1.0, -0.1, 0.0, 1.0, 1, "m"), 1)
    messages.read_answer(header, ASKED)
    with pytest.raises(BadFrame):
        messages.read_answer({k: v for k, v in header.items() if k != name}, ASKED)
    with pytest.raises(BadFrame):
        messages.read_answer(header | {name: {}}, ASKED)


def test_a_call_to_resume_with_half_a_wish_is_refused() -> None:
    with pytest.raises(BadFrame):
        messages.call_from({"sdp": "v=0", "resume": ["token"]})
