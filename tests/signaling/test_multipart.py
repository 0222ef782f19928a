"""Forms in whatever pieces they come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.multipart import Began, Ended, Event, FormReader, read_boundary
from tests.signaling.forms import BOUNDARY, form, part

DELIMITER = f"\r\n--{BOUNDARY}".encode()


def parts_of(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    """Names and data of a form that comes in pieces."""
    reader, events = FormReader(BOUNDARY), list[Event]()
    for piece in pieces:
        events += reader.feed(piece)
    reader.feed_end()
    found: list[tuple[str, bytes]] = []
    is_open = False
    for event in events:
        match event:
            case Began(name):
                assert not is_open
                found.append((name, b""))
                is_open = True
            case bytes():
                assert is_open
                assert event
                found[-1] = (found[-1][0], found[-1][1] + event)
            case Ended():
                assert is_open
                is_open = False
    assert not is_open
    return found


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[a:b] for a, b in pairwise(edges)]


LIKE_BOUNDARIES = st.sampled_from(
    [b"\r", b"\n", b"-", b"--", b"\r\n", b"\r\n-", b"front", DELIMITER[:-1], b"x"]
)
DATA = st.one_of(st.binary(max_size=40), st.lists(LIKE_BOUNDARIES, max_size=12).map(b"".join))


@given(
    st.lists(st.tuples(st.sampled_from(["audio", "language", "a b", "x;y"]), DATA), max_size=4),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([b"", b"\r\n", b"a preamble\r\n"]),
    st.sampled_from([b"", b"\r\n", b"an epilogue" * 9]),
)
@example([("audio", b"")], [1], b"", b"")
def test_any_cutting_of_a_form_gives_its_parts(parts, places, preamble, epilogue):
    body = preamble + form(*(part(name, data) for name, data in parts)).removesuffix(b"\r\n") + epilogue
    assume(all(DELIMITER not in data for _, data in parts))
    assert parts_of(cut(body, places)) == parts


@given(
    st.binary(max_size=200),
    st.lists(st.integers(0, 300), max_size=4),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_anything_else_is_refused_the_same_way_however_it_is_cut(noise, where, places):
    body = form(part("language", "en"), part("audio", b"abc" * 9))
    for place in where:
        at = place % len(body)
        body = body[:at] + noise[: 1 + place % 9] + body[at + place % 5 :]
    assert outcome([body]) == outcome(cut(body, places)) == outcome([bytes([b]) for b in body])


def outcome(pieces: list[bytes]) -> object:
    try:
        return parts_of(pieces)
    except BadRequest as error:
        return str(error)


def test_no_more_is_held_back_than_a_boundary():
    reader = FormReader(BOUNDARY)
    list(reader.feed(part("audio", b"")[:-2]))
    for _ in range(20):
        data = sum(len(event) for event in reader.feed(b"\r\n--fron" * 10_000) if isinstance(event, bytes))
        assert data > 80_000 - 2 * len(DELIMITER)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('form-data; name="audio"', "audio"),
        ("form-data; name=audio", "audio"),
        ('FORM-DATA ; filename="a;b\\"; name=\\"x" ; NAME="audio"', "audio"),
        ('form-data; filename=a.wav; name="audio"', "audio"),
        ('form-data; name="a\\"b"', 'a\\"b'),
        ('form-data; name=""', ""),
    ],
)
def test_the_name_of_a_part(head, name):
    body = f"--{BOUNDARY}\r\ncontent-DISPOSITION: {head}\r\n\r\nx\r\n--{BOUNDARY}--".encode()
    assert parts_of([body]) == [(name, b"x")]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "Content-Type: text/plain\r\n",
        'Content-Disposition: attachment; name="audio"\r\n',
        'Content-Disposition: form-data; filename="audio"\r\n',
        "Content-Disposition: form-data\r\n",
        "Content-Disposition\r\n",
        'Content-Disposition: form-data; name="audio\r\n',
    ],
)
def test_a_part_without_a_name_is_none(head):
    with pytest.raises(BadRequest):
        parts_of([f"--{BOUNDARY}\r\n{head}\r\nx\r\n--{BOUNDARY}--\r\n".encode()])


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; charset=utf-8; Boundary="a b:c"', "a b:c"),
        (
            "multipart/form-data;boundary=----WebKitFormBoundary7MA4YWxk; x=y",
            "----WebKitFormBoundary7MA4YWxk",
        ),
        ("multipart/form-data; boundary=" + "x" * 70, "x" * 70),
    ],
)
def test_the_boundary(content_type, boundary):
    assert read_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "text", ["", "; boundary=", '; boundary=""', "; boundary=" + "x" * 71, '; boundary="a "', "; boundary=ä"]
)
def test_what_is_no_boundary(text):
    with pytest.raises(BadRequest, match="boundary"):
        read_boundary("multipart/form-data" + text)
