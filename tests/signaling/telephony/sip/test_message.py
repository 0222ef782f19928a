"""Messages taken apart: what real peers send is understood, what is none is refused in no time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.fields import uri_user
from signaling.telephony.sip.message import (
    MAX_HEADERS,
    MAX_LINE,
    MAX_MESSAGE,
    Malformed,
    Request,
    Response,
    read_message,
    read_request,
    render,
)
from tests.signaling.telephony.sip.invites import INVITES, spoiled
from tests.signaling.telephony.sip.world import Peer, message

COUNT = 3_000


def read(data: bytes) -> Request:
    request = read_message(data)
    assert isinstance(request, Request)
    read_request(request)
    return request


@pytest.mark.parametrize(
    ("name", "caller", "tag", "vias", "cseq"),
    [
        ("asterisk", "+4930123456", "0d2c8f6e-19a4-4f47-8c5d-3be1d7c0b8a9", 1, 20473),
        ("baresip", "user", "9a8b7c6d5e4f3021", 1, 4711),
        ("carrier", "+15550199300", "83250192_6772d868_2d0b6c1a", 3, 118),
        ("compact", "watson", "99asd", 1, 9),
        ("freeswitch", "1000", "ZyXw9876BcDr", 1, 131072512),
        ("sipp", "sipp", "31337SIPpTag001", 1, 1),
        ("siprec", "src", "35e195d2-947d-4585-946f-09839247", 1, 101),
    ],
)
def test_what_real_peers_send_is_understood(name, caller, tag, vias, cseq):
    request = read(INVITES[name])
    assert (uri_user(request.caller.uri), request.from_tag, len(request.vias)) == (caller, tag, vias)
    assert (request.cseq, request.to_tag, request.method) == (cseq, "", "INVITE")
    assert request.body.startswith((b"v=0", b"--boundary"))


def test_names_keep_what_is_quoted():
    assert read(INVITES["asterisk"]).caller.name == 'Zo\u00eb "Z" O\'Hara, Sales'
    assert read(INVITES["compact"]).caller.name == "Quoted \\ and , comma"


def test_a_branch_keeps_its_letters():
    assert read(INVITES["carrier"]).vias[2].endswith("branch=z9hG4bK9d1~+x!")


@pytest.mark.parametrize("name", INVITES)
def test_line_feeds_alone_are_line_ends_too(name):
    request, alone = read(INVITES[name]), INVITES[name].partition(b"\r\n\r\n")
    other = read(alone[0].replace(b"\r\n", b"\n") + b"\n\n" + alone[2])
    assert (other.caller, other.vias, other.body) == (request.caller, request.vias, request.body)


def test_what_is_behind_the_body_is_cut_off():
    data = Peer().request("INVITE", body=b"v=0")
    assert read(data + b"more").body == b"v=0"
    with pytest.raises(BadRequest, match="Content-Length"):
        read(data[:-1])


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("From: <sip:alice@192.0.2.10>;tag=from1", "From: <sip:alice@192.0.2.10>"),
        ("From: <sip:alice@192.0.2.10>;tag=from1", "From: alice"),
        ("To: <sip:stt@192.0.2.1>", "To: "),
        ("Call-ID: call-1", "X: y"),
        ("Call-ID: call-1", "Call-ID: call-1\r\nCall-ID: call-2"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: one INVITE"),
        ("z9hG4bK-call-1-1", "z9hG4bK"),
        ("z9hG4bK-call-1-1", "old"),
        ("192.0.2.10:5060;branch", "192.0.2.10:70000;branch"),
    ],
)
def test_what_every_request_has_to_have(line, instead):
    data = Peer().request("INVITE").replace(line.encode(), instead.encode())
    with pytest.raises(BadRequest) as caught:
        read(data)
    assert caught.value.status == 400


def test_another_version_has_a_status_of_its_own():
    with pytest.raises(Malformed) as caught:
        read(Peer().request("INVITE").replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))
    assert caught.value.status == 505


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        Peer().request("INVITE").replace(b"Max-Forwards", b"Max Forwards"),
        Peer().request("INVITE").replace(b"70", b"7\x000"),
        Peer().request("INVITE").replace(b"70", b"7\r0"),
        Peer().request("INVITE", *["X: y"] * MAX_HEADERS),
        Peer().request("INVITE", "X: " + "y" * MAX_LINE),
        Peer().request("INVITE", "X: " + "y" * MAX_LINE, "Y: " + "z" * MAX_MESSAGE),
        Peer().request("INVITE").replace(b"sip:stt@192.0.2.1 ", b"sip:" + b"s" * 600 + b" "),
        message("SIP/2.0 200 OK\nVia: SIP/2.0/UDP a;branch=b, SIP/2.0/UDP c;branch=d\nCSeq: 1 BYE"),
        message("SIP/2.0 200 OK\nCSeq: 1 BYE"),
        message("SIP/2.0 900 OK\nVia: SIP/2.0/UDP a;branch=b\nCSeq: 1 BYE"),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(BadRequest):
        read_message(data)


def test_one_that_is_too_long_can_still_be_answered():
    request = read_message(Peer().request("INVITE", body=b"v" * MAX_MESSAGE))
    with pytest.raises(Malformed) as caught:
        read_request(request)
    assert caught.value.status == 513
    assert request.can_be_answered


def test_an_answer_says_whose_it_is():
    response = read_message(message("SIP/2.0 200\nv: SIP/2.0/UDP a;branch=z9hG4bKx\nCSeq: 7 BYE", b"xy"))
    assert isinstance(response, Response)
    assert (response.code, response.branch, response.method, response.body) == (200, "z9hG4bKx", "BYE", b"xy")


def test_what_is_rendered_can_be_read():
    data = render("BYE sip:a@b SIP/2.0", [("Via", "SIP/2.0/UDP a;branch=z9hG4bKx"), ("From", "<sip:a>;tag=1"),
        ("To", "<sip:b>;tag=2"), ("Call-ID", "c"), ("CSeq", "3 BYE")], b"body")  # fmt: skip
    request = read(data)
    assert (request.method, request.to_tag, request.body) == ("BYE", "2", b"body")


def timed(data: bytes) -> tuple[bool, float]:
    """Whether it is understood, and the seconds of processor time that it took."""
    start = time.thread_time()
    try:
        read(data)
        understood = True
    except (BadRequest, AssertionError):
        understood = False
    return understood, time.thread_time() - start


def test_each_spoiled_one_is_understood_or_refused_in_no_time():
    count = 0
    for seed in range(COUNT):
        data = spoiled(seed)
        understood, seconds = timed(data)
        # Once more where something else came in between.
        assert seconds < 0.005 or min(timed(data)[1] for _ in range(5)) < 0.005, f"seed {seed}"
        count += understood
    assert COUNT / 10 < count < COUNT * 9 / 10, "the seeds should make both kinds"


@given(
    st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda b: b"INVITE sip:a SIP/2.0\r\n" + b + b"\r\n\r\n")
)
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused(data):
    timed(data)
