"""Messages on a stream: whatever way it is cut, and whatever is wrong with it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.workers import frames
from signaling.workers.frames import BadFrame, Frame, FrameReader, encode
from tests.strategies import FINITE_JSON

HEADERS = st.dictionaries(st.text(max_size=5), FINITE_JSON, max_size=3).map(lambda d: d | {"type": "x"})


def feed(reader: FrameReader, stream: bytes, most: int) -> list[Frame]:
    """Let a stream come in pieces of at most this size."""
    told, at = list[Frame](), 0
    while at < len(stream):
        buffer = reader.get_buffer()
        piece = stream[at : at + min(most, len(buffer))]
        assert piece, "there is no room for what comes"
        buffer[: len(piece)] = piece
        told += reader.received(len(piece))
        at += len(piece)
    return told


@given(
    st.lists(st.tuples(HEADERS, st.binary(max_size=300)), max_size=5),
    st.sampled_from([1, 2, 11, 12, 13, 100, 5_000]),
)
def test_messages_come_out_as_they_went_in_however_the_stream_is_cut(
    messages: list[tuple[dict[str, object], bytes]], most: int
) -> None:
    stream = b"".join(encode(header, len(body)) + body for header, body in messages)
    told = feed(FrameReader(), stream, most)
    assert [(frame.header, bytes(frame.body)) for frame in told] == messages


def test_a_large_body_is_received_where_it_stays() -> None:
    reader = FrameReader()
    body = np.random.default_rng(1).bytes(3_000_000)
    head = encode({"type": "audio"}, len(body))
    assert feed(reader, head + body[:1_000], 4_096) == []
    place = reader.get_buffer()
    assert len(place) == len(body) - 1_000, "the rest of the body, and nothing of the next message"
    (frame,) = feed(reader, body[1_000:], 100_000)
    assert frame.body == body
    assert np.shares_memory(np.frombuffer(place, np.uint8), np.frombuffer(frame.body, np.uint8))
    (after,) = feed(reader, encode({"type": "y"}), 7)
    assert after.type == "y"


def test_figures_of_numpy_are_figures() -> None:
    (frame,) = feed(FrameReader(), encode({"type": "x", "p": np.float32(0.5), "n": np.int64(3)}), 99)
    assert frame.header == {"type": "x", "p": 0.5, "n": 3}


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        struct.pack("!4sII", b"rsw0", 2, 0) + b"{}",
        struct.pack("!4sII", frames.NAME, frames.MAX_HEADER + 1, 0),
        struct.pack("!4sII", frames.NAME, 2, frames.MAX_BODY + 1),
        struct.pack("!4sII", frames.NAME, 2, 0) + b"[]",
        struct.pack("!4sII", frames.NAME, 2, 0) + b"{}",
        struct.pack("!4sII", frames.NAME, 10, 0) + b'{"type":1}',
        struct.pack("!4sII", frames.NAME, 2, 0) + b"\xff\xfe",
        struct.pack("!4sII", frames.NAME, 100_000, 0) + b"[" * 100_000,
    ],
)
def test_what_is_no_message_ends_the_stream(stream: bytes) -> None:
    with pytest.raises(BadFrame):
        feed(FrameReader(), stream, 50_000)


def test_what_the_other_side_would_not_take_is_not_sent() -> None:
    with pytest.raises(BadFrame):
        encode({"type": "x", "text": "a" * frames.MAX_HEADER})
    with pytest.raises(BadFrame):
        encode({"type": "x"}, frames.MAX_BODY + 1)


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_on(noise: bytes) -> None:
    """And never anything worse."""
    try:
        told = feed(FrameReader(), noise, 50)
    except BadFrame:
        return
    assert told == []
