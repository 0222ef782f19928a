"""Fragments of candidates."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest, ClientError
from signaling.calls import Fragment
from signaling.candidates import Reach
from signaling.trickle import MAX_VALUES, read_candidates, read_fragment

ANYWHERE = Reach()
LINE = "candidate:1 1 udp 2 192.0.2.1 5000 typ host"
CLEAN = "1 1 udp 2 192.0.2.1 5000 typ host"


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        (
            f"a=ice-ufrag:abcd\r\na=ice-pwd:x\r\nm=audio 9 X 0\r\na=mid:0\r\na={LINE}\r\n",
            ("abcd", False),
        ),
        (f"a=mid:0\r\na={LINE}\r\nm=audio 9 RTP/AVP 0\r\n", (None, False)),
        (f"a={LINE}\na=end-of-candidates\n", (None, True)),
        (f"m=audio 9 RTP/AVP 0\r\na=ice-ufrag:abcd\r\na={LINE}\r\n", ("abcd", False)),
        (f"a={LINE} generation 0 ufrag abcd network-id 1\r\n", ("abcd", False)),
    ],
)
def test_fragments_of_all_writers_are_read(body, fragment):
    ufrag, end = fragment
    assert read_fragment(body, ANYWHERE) == Fragment((CLEAN,), ufrag, end)


def test_the_end_alone_is_a_fragment():
    assert read_fragment("a=ice-ufrag:abcd\r\na=end-of-candidates\r\n", ANYWHERE) == Fragment(
        (), "abcd", True
    )


def test_what_cannot_be_used_is_left_out():
    body = f"a={LINE}\r\na=candidate:1 1 tcp 2 192.0.2.1 9 typ host tcptype active\r\n"
    assert read_fragment(body, ANYWHERE).candidates == (CLEAN,)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "a=mid:0\r\n",
        "m=audio\r\n",
        "a=candidate:1\r\n",
        "a=ice-ufrag:abcd\r\na=ice-ufrag:efgh\r\n",
        f"a={LINE} ufrag a\r\na={LINE} ufrag b\r\n",
        f"a={LINE}\r\n" * (MAX_VALUES + 1),
        "a=x\r\n" * 129,
        "a=x:" + "y" * 9_000,
        "a=x:\x01\r\n",
    ],
)
def test_what_is_no_fragment_is_refused(body):
    with pytest.raises(BadRequest):
        read_fragment(body, ANYWHERE)


def test_candidates_come_as_browsers_write_them():
    assert read_candidates([LINE, f"a={LINE}", ""], ANYWHERE) == Fragment((CLEAN,), None, True)
    assert read_candidates([], ANYWHERE) == Fragment((), None, False)
    assert read_candidates([LINE + " ufrag abcd"], ANYWHERE).ufrag == "abcd"


@pytest.mark.parametrize("values", [["hello"], [LINE] * (MAX_VALUES + 1), ["x" * 2000], ["candidate:"]])
def test_other_candidates_are_refused_or_mean_the_end(values):
    if values == ["candidate:"]:
        assert read_candidates(values, ANYWHERE).end
        return
    with pytest.raises(BadRequest):
        read_candidates(values, ANYWHERE)


@given(st.text(max_size=200))
def test_no_fragment_raises_anything_else(text):
    with contextlib.suppress(ClientError):
        read_fragment(text, ANYWHERE)
    with contextlib.suppress(ClientError):
        read_candidates([text], ANYWHERE)
