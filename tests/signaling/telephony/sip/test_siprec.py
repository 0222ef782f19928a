"""SIPREC: the parts of an INVITE, and who is who."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest, UnsupportedMedia
from signaling.telephony.sip.siprec import MAX_BODY_BYTES, Participant, Parts, read_metadata, split_body

SDP = b"v=0\r\nm=audio 4 RTP/AVP 0\r\n"
METADATA = b"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording:1' xmlns:x="urn:example:vendor">
  <datamode>complete</datamode>
  <session session_id="s1"><sipSessionID>ab30317f1a784dc48ff824d0d3715d86</sipSessionID></session>
  <participant participant_id="p1">
    <nameID aor="sip:bob@example.org"><name xml:lang="en">Bob  Smith</name></nameID>
    <x:extensiondata><x:callingParty>true</x:callingParty></x:extensiondata>
  </participant>
  <participant participant_id="p2">
    <nameID aor="tel:+15550100"><name>Paul</name></nameID>
    <x:callerOrig>FALSE</x:callerOrig>
  </participant>
  <participant participant_id="p3"><nameID aor="sip:silent@example.org"/></participant>
  <stream stream_id="t1" session_id="s1"><label>96</label></stream>
  <stream stream_id="t2" session_id="s1"><label>97</label></stream>
  <participantstreamassoc participant_id="p1"><send>t1</send><recv>t2</recv></participantstreamassoc>
  <participantstreamassoc participant_id="p2"><send>t2</send><recv>t1</recv></participantstreamassoc>
</recording>"""


def multipart(*parts: tuple[str, bytes], boundary: str = "foobar", newline: bytes = b"\r\n") -> bytes:
    pieces = []
    for kind, content in parts:
        head = b"Content-Type: " + kind.encode() + newline + b"Content-Disposition: session" + newline
        pieces.append(b"--" + boundary.encode() + newline + head + newline + content + newline)
    return b"".join(pieces) + b"--" + boundary.encode() + b"--" + newline


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_the_two_parts(newline: bytes) -> None:
    body = multipart(
        ("application/sdp", SDP), ("application/rs-metadata+xml; charset=utf-8", METADATA), newline=newline
    )
    parts = split_body(b"preamble" + newline + body, "multipart/mixed", {"boundary": "foobar"})
    assert parts == Parts(SDP, METADATA)


def test_an_older_type_and_a_part_that_nobody_knows() -> None:
    body = multipart(
        ("text/plain", b"hello"), ("APPLICATION/SDP", SDP), ("application/rs-metadata", METADATA)
    )
    assert split_body(body, "multipart/mixed", {"boundary": "foobar"}) == Parts(SDP, METADATA)


def test_bodies_of_one_part() -> None:
    assert split_body(b"", "", {}) == Parts()
    assert split_body(SDP, "application/sdp", {}) == Parts(sdp=SDP)
    assert split_body(SDP, "", {}) == Parts(sdp=SDP)
    assert split_body(METADATA, "application/rs-metadata+xml", {}) == Parts(metadata=METADATA)


@pytest.mark.parametrize(
    ("body", "kind", "parameters", "error"),
    [
        (b"hello", "text/plain", {}, UnsupportedMedia),
        (b"hello", "multipart/mixed", {}, BadRequest),
        (b"hello", "multipart/mixed", {"boundary": "foobar"}, BadRequest),
        (b"hello", "multipart/mixed", {"boundary": "é"}, BadRequest),
        (b"hello", "multipart/mixed", {"boundary": "x" * 80}, BadRequest),
        (multipart(*[("application/sdp", SDP)] * 20), "multipart/mixed", {"boundary": "foobar"}, BadRequest),
        (b"x" * (MAX_BODY_BYTES + 1), "application/sdp", {}, BadRequest),
    ],
)
def test_bodies_that_are_refused(
    body: bytes, kind: str, parameters: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        split_body(body, kind, parameters)


def test_who_is_who() -> None:
    assert read_metadata(METADATA) == {
        "96": Participant("Bob  Smith", "sip:bob@example.org", "caller"),
        "97": Participant("Paul", "tel:+15550100", "agent"),
    }


def test_a_prefix_that_was_never_declared_does_no_harm() -> None:
    document = METADATA.replace(b' xmlns:x="urn:example:vendor"', b"")
    assert set(read_metadata(document)) == {"96", "97"}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<recording><stream stream_id="s"><label>&b;</label></stream></recording>"""
OUTSIDE = b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><recording/>'


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        OUTSIDE,
        b"",
        b"hello",
        b"<recording>",
        b"<a>" * 30 + b"</a>" * 30,
        b"<r>" + b"<a/>" * 2_000 + b"</r>",
        b'<?xml version="1.0" encoding="x-unknown"?><r/>',
        b"\xff\xfe\0",
    ],
    ids=lambda document: document[:20],
)
def test_documents_that_are_refused(document: bytes) -> None:
    with pytest.raises(BadRequest):
        read_metadata(document)


def test_long_texts_are_cut() -> None:
    name = b"n" * 10_000
    (found,) = read_metadata(METADATA.replace(b"Paul", name).replace(b"96", b"", 1)).values()
    assert found.name == "n" * 256


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for document in (data, METADATA.replace(b"Paul", data), METADATA.replace(b"p1", data, 1)):
        with contextlib.suppress(BadRequest):
            read_metadata(document)
    for body in (data, b"--b\r\n" + data + b"\r\n--b--", multipart(("application/sdp", data), boundary="b")):
        with contextlib.suppress(BadRequest):
            split_body(body, "multipart/mixed", {"boundary": "b"})


@given(st.binary(max_size=200).filter(lambda data: b"--b" not in data))
def test_a_part_comes_out_as_it_went_in(data: bytes) -> None:
    body = multipart(("application/sdp", data), ("application/rs-metadata+xml", b"<r/>"), boundary="b")
    assert split_body(body, "multipart/mixed", {"boundary": "b"}) == Parts(data, b"<r/>")
