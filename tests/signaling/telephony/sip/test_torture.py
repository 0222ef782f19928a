"""Messages that are odd and right, and such that only look right, after the kinds of RFC 4475."""

from __future__ import annotations

import pytest

from signaling.telephony.sip.vocabulary import Count, Invited, Send
from tests.signaling.telephony.sip.world import OFFER, Peer, World, parse

INVITE = Peer().request("INVITE", body=OFFER).decode()
FROM, TO, URI = "From: <sip:alice@192.0.2.10>;tag=from1", "To: <sip:stt@192.0.2.1>", "sip:stt@192.0.2.1"
CONTACT = "Contact: <sip:alice@192.0.2.10:5060>"


@pytest.mark.parametrize(
    ("old", "new", "caller", "callee"),
    [
        (URI, "sip:stt;par=u%40example.net@192.0.2.1", "alice", "stt"),
        (URI, "sip:s%74t@192.0.2.1;unknown=1;lr?x=y", "alice", "stt"),
        (URI, "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too@192.0.2.1",
         "alice", "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/"),
        (URI, "tel:+1-201-555-0123", "alice", "+1-201-555-0123"),
        (URI, "SIP:stt@192.0.2.1", "alice", "stt"),
        (FROM, 'From:"J\\"R, :;<x>"   <sip:null-%00-null@192.0.2.10>  ;  TAG  =  a%b*c', "null--null", "stt"),
        (FROM, "f:sip:alice@192.0.2.10;tag=x;other", "alice", "stt"),
        (FROM, "From: A b C !#$ <sip:+1%20@192.0.2.10>;tag=1", "+1 ", "stt"),
        (TO, "TO :\r\n sip:someone@192.0.2.1;unknownparam", "alice", "stt"),
        (CONTACT, "m:<sip:\u30c6\u30b9@192.0.2.10>;+sip.instance=\"<urn:x:1>\";q=0.1", "alice", "stt"),
        ("Max-Forwards: 70", "NewFangled: a: b; c\r\n\t d,,, \"\r\nmax-forwards: 0068", "alice", "stt"),
        ("Max-Forwards: 70", "Via: SIP/2.0/TCP  x.y;branch = z9hG4bK30239 ;rport=1, SIP/2.0/SCTP [::1]:99",
         "alice", "stt"),
        ("Max-Forwards: 70", "Date: Fri, 01 Jan 2010 16:00:00 EST", "alice", "stt"),
    ],
)  # fmt: skip
def test_odd_and_right(old, new, caller, callee):
    assert old in INVITE
    world, data = World(), INVITE.replace(old, new, 1).encode()
    effects = world.hear(Peer(), data)
    (invited,) = [e for e in effects if isinstance(e, Invited)]
    assert (invited.invitation.caller, invited.invitation.callee) == (caller, callee)
    world.note(world.agent.accept(invited.dialog, OFFER, world.now))
    for sent in world.sent():
        answer = parse(sent)
        # What came is told again as it came, but for white space.
        top = next(line for line in data.decode().split("\r\n") if line.startswith("Via:"))
        assert answer.headers.getlist("Via")[0].startswith(top.removeprefix("Via: ").removesuffix(";rport"))
        assert answer.headers.get("Call-ID") == "call-1"
    assert any(b"BYE " in e.data for e in world.run(40) if isinstance(e, Send))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Content-Length: 111", "Content-Length: 9999", 400),
        ("Content-Length: 111", "Content-Length: -999", 400),
        ("CSeq: 1 INVITE", "CSeq: 36893488147419103232 INVITE", 400),
        ("CSeq: 1 INVITE", "CSeq: 1 OPTIONS", 400),
        (FROM, 'From: "J. User <sip:alice@192.0.2.10>;tag=1', 400),
        (TO, TO + "\r\n" + TO, 400),
        (CONTACT, "Contact: sip:a@b?x=y> ;q", 400),
        (CONTACT, CONTACT + "\r\n" + CONTACT, 400),
        (CONTACT, "X: y", 400),
        (CONTACT, CONTACT + "\r\nRecord-Route: x", 400),
        (CONTACT, CONTACT + "\r\nRecord-Route: " + ", ".join(["<sip:a;lr>"] * 20), 400),
        (URI, "nobodyKnowsThisScheme:totallyopaquecontent", 416),
        (URI + " SIP/2.0", URI + " SIP/7.0", 505),
        (CONTACT, CONTACT + "\r\nRequire: nothingSupportsThis,  nothingSupportsThisEither", 420),
        ("Content-Type: application/sdp", "Content-Type: application/unknownformat", 415),
        ("Content-Type: application/sdp", "Content-Type: a", 400),
        ("Content-Type: application/sdp", "X: y", 415),
        ("Content-Type: application/sdp", "Content-Type: application/sdp\r\nContent-Encoding: gzip", 415),
    ],
)  # fmt: skip
def test_what_only_looks_right_is_refused_by_its_name(old, new, code):
    assert old in INVITE
    world = World()
    effects = world.hear(Peer(), INVITE.replace(old, new, 1).encode())
    (sent,) = [e for e in effects if isinstance(e, Send)]
    assert parse(sent.data).code == code
    assert world.agent.next_deadline() is None


@pytest.mark.parametrize(
    "data",
    [
        INVITE.replace(URI + " SIP", "<" + URI + "> SIP", 1),
        INVITE.replace(URI + " SIP", URI + "; lr SIP", 1),
        INVITE.replace(" SIP/2.0\r\n", " SIP/2.0 \r\nno colon\r\n", 1),
        INVITE.replace("\r\n\r\n", "\r\n"),
        "SIP/2.0 4294967301 better not break the receiver\r\n" + INVITE.split("\r\n", 1)[1],
    ],
)
def test_what_is_no_message_at_all_is_dropped(data):
    assert World().hear(Peer(), data.encode()) == [Count("malformed")]
