"""Messages out of a stream, cut anyhow."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.framing import Framer
from signaling.telephony.sip.message import MAX_MESSAGE, read_message
from tests.signaling.telephony.sip.invites import INVITES

MESSAGES = list(INVITES.values())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends)]


@given(st.lists(st.sampled_from(MESSAGES), max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_come_whole_however_they_are_cut(messages, places):
    framer = Framer()
    found = [m for piece in cut(b"\r\n\r\n".join(messages), places) for m in framer.feed(piece)]
    assert found == messages
    assert not framer.is_within
    assert framer.was_pinged == (len(messages) > 1)


def test_one_byte_at_a_time():
    framer, data = Framer(), MESSAGES[0] * 2
    assert [m for i in range(len(data)) for m in framer.feed(data[i : i + 1])] == MESSAGES[:1] * 2


def test_a_ping_is_two_ends_of_line():
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert not framer.was_pinged
    assert framer.feed(b"\r\n") == []
    assert framer.was_pinged
    assert not framer.is_within


def test_the_compact_length_and_line_feeds():
    framer = Framer()
    assert framer.feed(b"BYE x SIP/2.0\nl : 2\n\nabMORE") == [b"BYE x SIP/2.0\nl : 2\n\nab"]
    assert framer.is_within


@pytest.mark.parametrize("data", [b"x" * (MAX_MESSAGE + 1), b"A b SIP/2.0\r\nContent-Length: 99999\r\n\r\n"])
def test_what_is_too_long_is_not_held(data):
    with pytest.raises(BadRequest, match="too long"):
        Framer().feed(data)


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"\r\n", b"\r\n\r\n", b"Content-Length: 3"]), max_size=20
    )
)
def test_nothing_else_is_raised_and_little_is_held(pieces):
    framer = Framer()
    for piece in pieces:
        for message in framer.feed(piece):
            with contextlib.suppress(BadRequest):
                assert read_message(message).headers.keys()
        assert len(framer._held) <= MAX_MESSAGE
