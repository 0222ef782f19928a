"""What the other side describes: the shapes of real peers, and whatever else may come."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.sdp import MAX_SDP_BYTES, Stream, parse_description

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def description(*lines: str, head: str = HEAD) -> bytes:
    return (head + "".join(f"{line}\r\n" for line in lines)).encode()


def only(*lines: str, head: str = HEAD) -> Stream:
    (stream,) = parse_description(description(*lines, head=head)).streams
    return stream


def test_static_types_need_no_rtpmap() -> None:
    """sipp's own scenario says no more than this."""
    stream = only("m=audio 6000 RTP/AVP 0 8 9 13 18")
    assert [(c.name, c.payload_type, c.clock_rate) for c in stream.codecs] == [
        ("PCMU", 0, 8_000),
        ("PCMA", 8, 8_000),
        ("G722", 9, 8_000),
    ]
    assert stream.comfort_noise == (13,)
    assert (stream.address, stream.port, stream.direction) == ("192.0.2.1", 6000, "sendrecv")


def test_a_line_of_many_things() -> None:
    """As baresip and Asterisk write them."""
    stream = only(
        "m=audio 4002 RTP/AVP 96 9 0 101 102",
        "a=rtpmap:96 OPUS/48000/2",
        "a=fmtp:96 stereo=1;sprop-stereo=1",
        "a=rtpmap:101 telephone-event/48000",
        "a=rtpmap:102 telephone-event/8000",
        "a=fmtp:102 0-15",
        "a=ptime:30",
        "a=label:7",
        "a=mid:0",
        "a=rtcp:4444 IN IP4 192.0.2.9",
        "a=rtcp-mux",
        "a=sendonly",
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 4002 typ host",
    )
    assert [c.name for c in stream.codecs] == ["opus", "G722", "PCMU"]
    assert stream.events == ((101, 48_000), (102, 8_000))
    assert (stream.ptime, stream.label, stream.mid) == (30, "7", "0")
    assert stream.rtcp == ("192.0.2.9", 4444)
    assert stream.rtcp_mux
    assert stream.direction == "sendonly"


def test_an_rtpmap_says_more_than_a_number() -> None:
    stream = only("m=audio 4002 RTP/AVP 0 8", "a=rtpmap:0 pcma/8000", "a=rtpmap:8 L16/8000")
    assert [(c.name, c.payload_type) for c in stream.codecs] == [("PCMA", 0)]


def test_the_clock_of_g722_is_8000_whatever_is_written() -> None:
    assert only("m=audio 4 RTP/AVP 97", "a=rtpmap:97 G722/16000").codecs[0].clock_rate == 8_000


@pytest.mark.parametrize(
    ("connection", "address", "is_nowhere"),
    [
        ("IN IP4 198.51.100.7", "198.51.100.7", False),
        ("IN IP4 198.51.100.7/127", "198.51.100.7", False),
        ("IN IP6 2001:db8::1", "2001:db8::1", False),
        ("IN IP4 0.0.0.0", "", True),
        ("IN IP6 ::", "", True),
        ("IN IP4 pbx.example.org", "", False),
        ("IN IP4 224.2.36.42", "", False),
        ("IN IP4 255.255.255.255", "", False),
        ("IN IP6 fe80::1%eth0", "", False),
        ("nonsense", "", False),
    ],
)
def test_addresses(connection: str, address: str, is_nowhere: bool) -> None:
    stream = only("m=audio 4 RTP/AVP 0", f"c={connection}")
    assert (stream.address, stream.is_nowhere) == (address, is_nowhere)


def test_a_direction_of_the_session_goes_for_lines_without_one() -> None:
    body = description("a=inactive", "m=audio 4 RTP/AVP 0", "m=audio 6 RTP/AVP 0", "a=sendonly")
    assert [s.direction for s in parse_description(body).streams] == ["inactive", "sendonly"]


def test_keys() -> None:
    good = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20"
    stream = only("m=audio 4 RTP/SAVP 0", "a=crypto:2 F8_128_HMAC_SHA1_80 inline:abcd", good)
    assert [crypto.tag for crypto in stream.crypto] == [1]
    assert stream.is_secure
    assert not only("m=audio 4 RTP/AVP 0").is_secure


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"hello",
        b"v=0\r\n",
        b"v=1\r\nm=audio 4 RTP/AVP 0\r\n",
        description("m=audio 99999 RTP/AVP 0"),
        description("m=audio"),
        description(*["m=audio 4 RTP/AVP 0"] * 17),
        description("m=audio 4 RTP/AVP 0", *["a=x"] * 500),
        description("m=audio 4 RTP/AVP 0", "a=" + "x" * 2_000),
        description("m=audio 4 RTP/AVP 0\0"),
        b"v=0\r\nm=audio 4 RTP/AVP 0\r\n" + b"a=x\r\n" * MAX_SDP_BYTES,
    ],
    ids=lambda body: body[:24],
)
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_description(body)


@given(st.binary(max_size=400))
def test_any_bytes(body: bytes) -> None:
    for whole in (body, HEAD.encode() + b"m=audio 4 RTP/AVP 0\r\n" + body):
        with contextlib.suppress(BadRequest):
            parse_description(whole)


VALUES = st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=40)
NAMES = st.sampled_from(["rtpmap", "fmtp", "ptime", "rtcp", "crypto", "label", "mid", "sendonly", "rtcp-mux"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), VALUES)
def test_any_attributes(attributes: list[tuple[str, str]], connection: str) -> None:
    lines = [f"a={name}:{value}" for name, value in attributes]
    try:
        stream = only("m=audio 4 RTP/AVP 0 96 101", f"c={connection}", *lines)
    except BadRequest:
        return
    assert all(0 <= codec.payload_type < 128 for codec in stream.codecs)
    assert stream.ptime is None or 5 <= stream.ptime <= 120
