"""Batches and answers there and back, and what a stranger may send."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency, Word
from rtc_stt.replicas import replies
from rtc_stt.replicas.payload import Batch, largest_batch, read_batch, write_batch
from rtc_stt.replicas.reading import MAX_TEXT, BadPayload
from rtc_stt.replicas.replies import (
    Answers,
    GatewayAlive,
    ReplicaAlive,
    read_forget,
    read_gateway_alive,
    read_message,
    read_reply,
    write_answers,
    write_forget,
    write_gateway_alive,
    write_replica_alive,
)
from rtc_stt.testing import hypothesis
from tests.harness import request

names = st.text(max_size=20)
texts = st.none() | st.text(max_size=100)
counts = st.integers(0, 2**40)
figures = st.floats(-100, 100)
drafts = st.none() | st.builds(Draft, st.text(max_size=50), names, st.floats(0, 1))
audios = st.lists(st.integers(-32768, 32767), max_size=300).map(
    lambda samples: (np.array(samples, np.float32) / 32768).astype(np.float32)
)
requests = st.builds(
    DecodeRequest,
    stream_id=names,
    utterance_id=counts,
    revision=counts,
    tier=st.sampled_from(Tier),
    urgency=st.sampled_from(Urgency),
    audio=audios,
    audio_start=counts,
    language=st.none() | names,
    languages=st.lists(names, max_size=3).map(tuple),
    prompt=texts,
    context=texts,
    hotwords=texts,
    word_timestamps=st.booleans(),
    draft=drafts,
    request_id=names,
    traceparent=names,
)
words = st.builds(Word, names, st.integers(-5, 10**9), counts, st.floats(0, 1))


def same(one: DecodeRequest, other: DecodeRequest) -> bool:
    """Every field, the audio and those that do not count as equal too."""
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name))
        if f.name == "audio"
        else getattr(one, f.name) == getattr(other, f.name)
        for f in dataclasses.fields(DecodeRequest)
    )


@given(counts, st.lists(requests, min_size=1, max_size=4))
@pytest.mark.slow
def test_a_batch_arrives_as_it_was(number: int, asked: list[DecodeRequest]) -> None:
    read = read_batch(write_batch(Batch(number, tuple(asked))), 4)
    assert read.number == number
    assert all(same(one, other) for one, other in zip(asked, read.requests, strict=True))


@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), max_size=50))
def test_any_samples_arrive_within_half_a_step(samples: list[float]) -> None:
    audio = np.array(samples, np.float32)
    [read] = read_batch(write_batch(Batch(1, (request(audio=audio),))), 1).requests
    meant = np.clip(np.nan_to_num(audio), -1, 32767 / 32768)
    assert np.all(np.abs(read.audio - meant) <= 0.5 / 32768 + 1e-9)


def test_too_much_text_is_cut_where_it_matters_least() -> None:
    long = "a" * MAX_TEXT + "end"
    draft = Draft("x" * 5_000, "en", 1.0)
    asked = request(prompt=long, context=long, hotwords="first" + long, draft=draft)
    [read] = read_batch(write_batch(Batch(1, (asked,))), 1).requests
    assert read.prompt is not None
    assert read.prompt.endswith("end")
    assert read.context == read.prompt
    assert read.hotwords is not None
    assert read.hotwords.startswith("first")
    assert read.draft is None, "decoded anew instead"


def test_too_much_audio_is_not_sent() -> None:
    minute = np.zeros(60 * SAMPLE_RATE, np.float32)
    assert read_batch(write_batch(Batch(1, (request(audio=minute),))), 1)
    with pytest.raises(BadPayload):
        write_batch(Batch(1, (request(audio=np.append(minute, minute)),)))


def test_a_batch_that_is_larger_than_the_engine_takes_is_refused() -> None:
    data = write_batch(Batch(1, (request(), request(), request())))
    with pytest.raises(BadPayload):
        read_batch(data, 2)
    with pytest.raises(BadPayload):
        read_batch(data + bytes(largest_batch(3)), 3)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadPayload):
        read_batch(data, 8)


@given(st.data())
def test_a_batch_that_was_tampered_with_is_refused_or_read(data: st.DataObject) -> None:
    written = bytearray(write_batch(Batch(1, (request(), request()))))
    header_end = 4 + int.from_bytes(written[:4])
    for _ in range(data.draw(st.integers(1, 4))):
        written[data.draw(st.integers(0, header_end - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_batch(bytes(written), 8)
    except BadPayload:
        return
    assert 1 <= len(read.requests) <= 8
    assert sum(len(asked.audio) for asked in read.requests) <= 2 * SAMPLE_RATE


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FIELDS = ("number", "answers", "decode_s", "at_fault", "running", "is_healthy", "queued_s", "error")


@given(
    st.sampled_from(["answers", "alive", "draining", "forget", ""]),
    st.dictionaries(st.sampled_from(FIELDS), anything),
)
@pytest.mark.slow
def test_any_message_is_refused_or_read(kind: str, fields: dict[str, object]) -> None:
    message = read_message(json.dumps({"type": kind, **fields}))
    for read in (read_reply, read_gateway_alive, read_forget):
        try:
            told = read(message)
        except BadPayload:
            continue
        if isinstance(told, Answers):
            try:
                told.read([request()] * len(told.answers))
            except BadPayload:
                continue


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type": 1}', "[" * 100_000, '{"type":"a"' + " " * 5_000_000]
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(BadPayload):
        read_message(text)


# ── Answers ──


@given(counts, st.lists(words, max_size=3), st.text(max_size=50), figures, st.floats(0, 100))
@pytest.mark.slow
def test_answers_arrive_as_they_were(
    number: int, said: list[Word], text: str, logprob: float, decode_s: float
) -> None:
    asked = [request(stream="a"), request(stream="b")]
    answers = [
        hypothesis(asked[0], text, avg_logprob=logprob, words=tuple(said), verified=True),
        DecodeFailure(asked[1], "it could not"),
    ]
    told = read_reply(read_message(write_answers(number, answers, decode_s, 3, is_at_fault=False)))
    assert isinstance(told, Answers)
    assert (told.number, told.decode_s, told.load, told.is_at_fault) == (number, decode_s, 3, False)
    assert told.read(asked) == answers


def test_numbers_of_numpy_can_be_written() -> None:
    asked = request()
    answer = hypothesis(asked, "yes", avg_logprob=np.float32(-0.5))
    told = read_reply(read_message(write_answers(1, [answer], 0.1, 0, is_at_fault=False)))
    assert isinstance(told, Answers)
    [read] = told.read([asked])
    assert isinstance(read, Hypothesis)
    assert read.avg_logprob == -0.5


@pytest.mark.parametrize("change", [{"avg_logprob": float("nan")}, {"tokens": -1}, {"model": "x" * 300}])
def test_a_figure_that_is_none_is_refused(change: dict[str, object]) -> None:
    asked = request()
    told = read_reply(
        read_message(write_answers(1, [hypothesis(asked, "yes", **change)], 0.1, 0, is_at_fault=False))
    )
    assert isinstance(told, Answers)
    with pytest.raises(BadPayload):
        told.read([asked])
    with pytest.raises(BadPayload):
        told.read([asked, asked])


# ── The rest ──


def test_signs_of_life_arrive_as_they_were() -> None:
    gateway = GatewayAlive(12.5)
    assert read_gateway_alive(read_message(write_gateway_alive(gateway))) == gateway
    replica = ReplicaAlive(3, 1, True, False)
    assert read_reply(read_message(write_replica_alive(replica))) == replica
    assert read_reply(read_message(replies.DRAINING)) is None
    assert read_forget(read_message(write_forget(7))) == 7
