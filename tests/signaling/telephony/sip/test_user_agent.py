"""What the user agent does: calls and their ends, what comes twice, late, never, or in the wrong order."""

from __future__ import annotations

import re

import pytest

from signaling.telephony.settings import Sip
from signaling.telephony.sip import dialogs, transactions, user_agent
from signaling.telephony.sip.message import MAX_MESSAGE
from signaling.telephony.sip.transactions import LIFE_S
from signaling.telephony.sip.vocabulary import (
    Confirmed,
    Count,
    Disconnect,
    Ended,
    Flow,
    Invited,
    Pressed,
    Reoffered,
    Send,
)
from tests.signaling.telephony.sip.world import OFFER, Peer, World, message, parse

TIMER = "Supported: timer"


def codes(effects) -> list[int]:
    """The codes of what was answered."""
    return [parse(e.data).code for e in effects if isinstance(e, Send) and e.data.startswith(b"SIP/")]


def answer(request: bytes, code: int, *headers: str, body: bytes = b"") -> bytes:
    """What a peer says to a request of ours."""
    kept = [line for line in request.decode().split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
    return message("\n".join([f"SIP/2.0 {code} Whatever", *kept, *headers]), body)


def last(world: World, method: str) -> bytes:
    """Our last request of a method."""
    return next(data for data in reversed(world.sent()) if data.startswith(method.encode()))


# ── Beginning and end ──


def test_what_an_invitation_tells():
    world, peer = World(), Peer()
    data = (
        peer.request(
            "INVITE", "User-Agent: a\tb", "X-Account: 7", "X-Bad: \u202e1", "Require: siprec", body=OFFER
        )
        .replace(b"<sip:alice", b'"Al, ice" <sip:%61lice')
        .replace(b"sip:stt@192.0.2.1 SIP", b"sip:192.0.2.1 SIP")
    )
    (invited,) = [e for e in world.hear(peer, data) if isinstance(e, Invited)]
    told = invited.invitation
    assert (told.caller, told.callee, told.call_id, told.address) == ("alice", "stt", "call-1", "192.0.2.10")
    assert dict(told.parameters) == {
        "from_name": "Al, ice",
        "user_agent": "a b",
        "x-account": "7",
        "x-bad": "1",
    }
    assert told.is_recording
    assert told.body == OFFER


def test_an_ack_with_the_branch_of_its_invite_is_one():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    peer.our_tag = dialog
    effects = world.hear(peer, peer.request("ACK", cseq=1, branch="z9hG4bK-call-1-1"))
    assert effects == [Confirmed(dialog)]
    assert world.run(LIFE_S + 1) == []


def test_an_ack_of_another_dialog_is_none():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    peer.our_tag = "other"
    assert world.hear(peer, peer.request("ACK", cseq=1, branch="z9hG4bK-call-1-1")) == []
    world.run(LIFE_S)
    assert world.ends() == [(dialog, "no_ack")]


def test_who_hangs_up_before_the_ack_waits_for_it():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    assert world.note(world.agent.hang_up(dialog, "drained", world.now)) == [Ended(dialog, "drained")]
    peer.our_tag = dialog
    (bye,) = world.hear(peer, peer.request("ACK", cseq=1))
    assert bye.data.startswith(b"BYE ")
    assert world.hear(peer, answer(bye.data, 200)) == []
    assert world.agent.is_idle


def test_who_hangs_up_and_hears_no_ack_says_bye_in_the_end():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    world.note(world.agent.hang_up(dialog, "drained", world.now))
    world.run(LIFE_S + 1)
    assert last(world, "BYE")
    assert world.ends() == [(dialog, "drained")]


def test_a_bye_before_the_ack_ends_it_too():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    peer.our_tag = dialog
    assert world.hear(peer, peer.request("BYE"))[-1] == Ended(dialog, "hangup")
    assert world.run(100) == []


def test_what_the_shell_does_not_answer_is_answered():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.run(LIFE_S)
    assert "SIP/2.0 500 Server Internal Error" in world.starts()
    assert world.ends() == [(dialog, "rejected")]
    assert world.agent.accept(dialog, OFFER, world.now) == []
    assert world.agent.reject(dialog, 486, "Busy Here", world.now) == []
    assert world.agent.hang_up(dialog, "x", world.now) == []


def test_a_refusal_says_when_to_come_again_and_is_repeated_until_its_ack():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    effects = world.note(world.agent.reject(dialog, 503, "Service Unavailable", world.now, retry_after=7))
    assert parse(effects[0].data).headers.get("Retry-After") == "7"
    assert effects[1] == Ended(dialog, "rejected")
    assert codes(world.run(3.6)) == [503, 503, 503]
    world.hear(peer, peer.request("ACK", cseq=1, branch="z9hG4bK-call-1-1"))
    assert world.run(100) == []


def test_hanging_up_what_was_not_answered():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    effects = world.note(world.agent.hang_up(dialog, "drained", world.now))
    assert codes(effects) == [480]
    assert effects[-1] == Ended(dialog, "drained")


@pytest.mark.parametrize("code", [200, 408, 481, 500])
def test_any_answer_to_our_bye_is_an_end(code):
    world, peer = World(), Peer()
    dialog = world.call(peer)
    world.note(world.agent.hang_up(dialog, "closed", world.now))
    assert not world.agent.is_idle
    world.hear(peer, answer(last(world, "BYE"), 100))
    assert not world.agent.is_idle
    assert world.hear(peer, answer(last(world, "BYE"), code)) == []
    assert world.agent.is_idle
    assert world.run(100) == []
    assert world.hear(peer, answer(last(world, "BYE"), code)) == [Count("stray")]


def test_byes_that_cross():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    world.note(world.agent.hang_up(dialog, "closed", world.now))
    assert codes(world.hear(peer, peer.request("INFO"))) == [481]
    assert codes(world.hear(peer, peer.request("BYE"))) == [200]
    assert codes(world.hear(peer, peer.request("BYE"))) == [481]
    assert world.ends() == [(dialog, "closed")]


def test_a_cancel_that_is_too_late_changes_nothing():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    ours, peer.our_tag = peer.our_tag, ""
    assert codes(world.hear(peer, peer.request("CANCEL", cseq=1, branch="z9hG4bK-call-1-1"))) == [200]
    peer.our_tag = ours
    assert codes(world.hear(peer, peer.request("OPTIONS"))) == [200]
    assert world.ends() == []
    assert dialog == ours


def test_nobody_else_can_cancel():
    world, peer, other = World(), Peer(), Peer("192.0.2.99")
    world.ring(peer)
    assert codes(world.hear(other, other.request("CANCEL", cseq=1, branch="z9hG4bK-call-1-1"))) == [481]
    assert world.ends() == []


def test_a_dialog_is_known_by_all_three():
    world, peer = World(), Peer()
    world.call(peer)
    for other in (Peer(call_id="x"), Peer(tag="x"), Peer()):
        other.our_tag = peer.our_tag if other != Peer() else "x"
        other.cseq = 5
        assert codes(world.hear(other, other.request("BYE"))) == [481]


# ── Where requests of ours go ──


def test_a_strict_router_gets_what_it_wants():
    world, peer = World(), Peer()
    dialog = world.call(peer, "Record-Route: <sip:192.0.2.10>", "Record-Route: <sip:192.0.2.11;lr>")
    world.note(world.agent.hang_up(dialog, "closed", world.now))
    bye = last(world, "BYE").decode()
    assert bye.startswith("BYE sip:192.0.2.10 SIP/2.0\r\n")
    assert re.findall(r"Route: (\S+)", bye) == ["<sip:192.0.2.11;lr>", "<sip:alice@192.0.2.10:5060>"]


def test_a_bye_goes_where_they_were_last():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    peer.port = 6060
    world.hear(peer, peer.request("UPDATE"))
    (bye, _) = world.note(world.agent.hang_up(dialog, "closed", world.now))
    assert bye.flow == Flow("udp", "192.0.2.10", 6060)
    assert bye.data.startswith(b"BYE sip:alice@192.0.2.10:6060 ")


def test_a_lost_connection_ends_what_was_not_answered_and_nothing_else():
    world, peer = World(), Peer(transport="tcp")
    standing = world.call(peer)
    ringing = world.ring(Peer(transport="tcp", call_id="second"))
    effects = world.note(world.agent.connection_lost(peer.flow, world.now))
    assert effects[-1] == Ended(ringing, "connection_lost")
    again = Flow("tcp", peer.address, 40_002, 2)
    world.note(world.agent.receive(peer.request("OPTIONS"), again, world.now))
    (bye, _) = world.note(world.agent.hang_up(standing, "closed", world.now))
    assert bye.flow == again


def test_without_rport_answers_go_where_via_says():
    world, peer = World(), Peer(port=5099)
    flow = Flow("udp", peer.address, 34_567)
    data = peer.request("OPTIONS").replace(b";rport", b"")
    (sent,) = world.agent.receive(data, flow, world.now)
    assert sent.flow.port == 5099
    (sent,) = world.agent.receive(data.replace(b":5099", b""), flow, world.now)
    assert sent.flow.port == 5060
    assert b"received" not in sent.data


# ── Within a call ──


def test_a_reinvite_that_is_cancelled_leaves_the_call():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    world.hear(peer, peer.request("INVITE", body=OFFER, branch="z9hG4bKre"))
    effects = world.hear(peer, peer.request("CANCEL", cseq=2, branch="z9hG4bKre"))
    assert codes(effects) == [200, 487]
    assert world.agent.accept(dialog, OFFER, world.now) == []
    assert world.ends() == []


@pytest.mark.parametrize("end", ["BYE", "hang_up"])
def test_a_call_that_ends_answers_what_is_open(end):
    world, peer = World(), Peer()
    dialog = world.call(peer)
    world.hear(peer, peer.request("INVITE", body=OFFER))
    if end == "BYE":
        effects = world.hear(peer, peer.request("BYE"))
        assert codes(effects) == [200, 487]
    else:
        effects = world.note(world.agent.hang_up(dialog, "closed", world.now))
        assert codes(effects) == [487]
    assert sum(isinstance(e, Ended) for e in effects) == 1


def test_an_offer_in_an_update():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    effects = world.hear(peer, peer.request("UPDATE", body=OFFER))
    assert effects == [Reoffered(dialog, OFFER, "application/sdp")]
    assert codes(world.hear(peer, peer.request("UPDATE", body=OFFER))) == [500]
    assert codes(world.note(world.agent.reject(dialog, 488, "Not Acceptable Here", world.now))) == [488]
    world.hear(peer, peer.request("UPDATE", body=OFFER))
    sent = world.note(world.agent.accept(dialog, OFFER, world.now))
    assert codes(sent) == [200]
    assert parse(sent[0].data).body == OFFER
    assert codes(world.run(100)) == [], "nothing but a 200 to an INVITE is repeated"


def test_a_reinvite_before_the_ack_is_taken_and_a_third_is_not():
    world, peer = World(), Peer()
    dialog = world.ring(peer)
    world.note(world.agent.accept(dialog, OFFER, world.now))
    peer.our_tag = dialog
    assert Reoffered(dialog, OFFER, "application/sdp") in world.hear(peer, peer.request("INVITE", body=OFFER))
    world.note(world.agent.accept(dialog, OFFER, world.now))
    assert codes(world.hear(peer, peer.request("INVITE", body=OFFER))) == [500]
    assert world.hear(peer, peer.request("ACK", cseq=2)) == [Confirmed(dialog)]
    assert world.hear(peer, peer.request("ACK", cseq=1)) == []


def test_a_reinvite_whose_ack_never_comes_ends_the_call():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    world.hear(peer, peer.request("INVITE", body=OFFER))
    world.note(world.agent.accept(dialog, OFFER, world.now))
    world.run(LIFE_S)
    assert world.ends() == [(dialog, "no_ack")]


def test_a_reinvite_without_an_offer_gets_one_and_its_answer_is_told():
    world, peer = World(), Peer()
    dialog = world.call(peer)
    assert Reoffered(dialog, b"", "") in world.hear(peer, peer.request("INVITE"))
    world.note(world.agent.accept(dialog, OFFER, world.now))
    assert codes(world.hear(peer, peer.request("INVITE", body=OFFER))) == [491]
    effects = world.hear(peer, peer.request("ACK", cseq=2, body=OFFER))
    assert effects == [Confirmed(dialog, OFFER, "application/sdp")]


@pytest.mark.parametrize(
    ("kind", "body", "code", "pressed"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", 200, ("5", 160)),
        ("application/dtmf-relay", b"signal = *\nduration = 250", 200, ("*", 250)),
        ("Application/DTMF-Relay; x=y", b"Signal=11", 200, ("#", None)),
        ("application/dtmf-relay", b"Signal=d\r\nDuration=999999", 200, ("D", 60_000)),
        ("application/dtmf", b"7\r\n", 200, ("7", None)),
        ("application/dtmf-relay", b"Signal=!\r\n", 400, None),
        ("application/dtmf-relay", b"\xff\xfe", 400, None),
        ("application/media_control+xml", b"<x/>", 415, None),
        ("x", b"y", 400, None),
    ],
)
def test_keys_that_are_told_by_info(kind, body, code, pressed):
    world, peer = World(), Peer()
    dialog = world.call(peer)
    data = peer.request("INFO", f"Content-Type: {kind}", body=body)
    effects = world.hear(peer, data) + world.hear(peer, data)
    assert codes(effects) == [code, code], "it came twice"
    assert [e for e in effects if isinstance(e, Pressed)] == ([Pressed(dialog, *pressed)] if pressed else [])


def test_other_infos():
    world, peer = World(), Peer()
    world.call(peer)
    assert codes(world.hear(peer, peer.request("INFO"))) == [200]
    assert codes(world.hear(peer, peer.request("INFO", "Info-Package: x"))) == [469]
    assert codes(world.hear(peer, peer.request("NOTIFY"))) == [405]
    assert codes(world.hear(peer, peer.request("UPDATE", "Require: frob"))) == [420]
    assert codes(world.hear(peer, peer.request("UPDATE", "Contact: *"))) == [400]
    assert codes(world.hear(peer, peer.request("UPDATE", "Content-Type: text/plain", body=b"x"))) == [415]
    assert codes(world.hear(peer, peer.request("UPDATE", TIMER, "Session-Expires: 10"))) == [422]


# ── Session timers ──

WE_REFRESH = (TIMER, "Session-Expires: 120;refresher=uas", "Allow: UPDATE, BYE")


def test_a_refresh_that_is_answered_keeps_the_call():
    world, peer = World(), Peer()
    world.call(peer, *WE_REFRESH)
    for _ in range(5):
        world.run(60)
        world.hear(peer, answer(last(world, "UPDATE"), 200))
    assert world.ends() == []


@pytest.mark.parametrize("code", [408, 481])
def test_a_refresh_that_is_refused_ends_the_call(code):
    world, peer = World(), Peer()
    dialog = world.call(peer, *WE_REFRESH)
    world.run(60)
    world.hear(peer, answer(last(world, "UPDATE"), code))
    assert world.ends() == [(dialog, "session_expired")]
    assert last(world, "BYE")


@pytest.mark.parametrize("code", [491, 500])
def test_a_refresh_that_fails_is_tried_again(code):
    world, peer = World(), Peer()
    world.call(peer, *WE_REFRESH)
    world.run(60)
    first = last(world, "UPDATE")
    world.hear(peer, answer(first, code))
    world.run(3)
    assert last(world, "UPDATE") != first
    assert codes(world.hear(peer, peer.request("INVITE", body=OFFER))) == [491], "ours is under way"
    assert codes(world.hear(peer, peer.request("UPDATE"))) == [200]


def test_a_refresh_that_is_too_soon_for_them_says_more():
    world, peer = World(), Peer()
    world.call(peer, *WE_REFRESH)
    world.run(60)
    world.hear(peer, answer(last(world, "UPDATE"), 422, "Min-SE: 300"))
    world.run(3)
    assert b"Session-Expires: 300;refresher=uac" in last(world, "UPDATE")


def test_who_knows_no_timers_need_only_answer():
    world, peer = World(Sip(sip_allow=("192.0.2.0/24",), sip_session_expires=100)), Peer()
    world.call(peer)
    for _ in range(4):
        world.run(50)
        asked = last(world, "INVITE")
        assert OFFER in asked
        world.hear(peer, answer(asked, 488))
        ack = last(world, "ACK")
        assert re.search(rb"branch=(\S+?);", ack)[1] == re.search(rb"branch=(\S+?);", asked)[1]
    assert world.ends() == []


def test_what_cannot_be_read_of_their_answer_changes_nothing():
    world, peer = World(), Peer()
    world.call(peer, *WE_REFRESH)
    world.run(60)
    world.hear(peer, answer(last(world, "UPDATE"), 200, "Session-Expires: 99;refresher=uas", "Contact: <x"))
    assert world.counts() == ["malformed"]
    world.run(60)
    assert last(world, "UPDATE").startswith(b"UPDATE sip:alice@192.0.2.10:5060 ")
    assert b"Session-Expires: 120;refresher=uac" in last(world, "UPDATE")


def test_they_may_take_over_refreshing():
    world, peer = World(), Peer()
    dialog = world.call(peer, *WE_REFRESH)
    world.run(60)
    world.hear(peer, answer(last(world, "UPDATE"), 200, "Session-Expires: 120;refresher=uas"))
    before = len(world.sent())
    world.run(88.1)
    assert len(world.sent()) == before + 1, "only the BYE"
    assert world.ends() == [(dialog, "session_expired")]


# ── Bounds ──


def test_half_open_calls_are_bounded(monkeypatch):
    monkeypatch.setattr(dialogs, "MAX_HALF_OPEN", 3)
    world = World()
    peers = [Peer(call_id=f"c{n}") for n in range(5)]
    found = [codes(world.hear(p, p.request("INVITE", body=OFFER))) for p in peers]
    assert found == [[100], [100], [100], [503], [503]]
    assert world.counts() == ["full", "full"]
    world.run(LIFE_S)
    assert codes(world.hear(peers[4], peers[4].request("INVITE", body=OFFER))) == [100]


def test_transactions_are_bounded(monkeypatch):
    monkeypatch.setattr(transactions, "MAX_TRANSACTIONS", 4)
    world, peer = World(), Peer()
    world.call(peer)
    assert [codes(world.hear(peer, peer.request("INFO")))[0] for _ in range(5)] == [200, 200, 200, 503, 503]
    world.run(LIFE_S + 1)
    assert codes(world.hear(peer, peer.request("INFO"))) == [200]


def test_one_that_is_too_long_is_said_to_be():
    world, peer = World(), Peer()
    effects = world.hear(peer, peer.request("INVITE", body=b"v" * MAX_MESSAGE))
    assert effects[0] == Count("oversize")
    assert codes(effects) == [513]
    assert world.hear(peer, b"x" * 20_000) == [Count("oversize")]
    assert world.hear(peer, b"x\r\n\r\n") == [Count("malformed")]


def test_keep_alives():
    world, udp, tcp = World(), Peer(), Peer(transport="tcp")
    assert world.hear(udp, b"\r\n\r\n") == world.hear(udp, b"\0") == world.hear(udp, b"") == []
    assert world.hear(tcp, b"\r\n\r\n") == [Send(tcp.flow, b"\r\n")]
    assert world.agent.next_deadline() is None


def test_a_connection_with_something_else_is_closed():
    world, tcp = World(), Peer(transport="tcp")
    assert world.hear(tcp, b"GET / HTTP/1.1\r\n\r\n") == [Count("malformed"), Disconnect(tcp.flow)]
    assert world.hear(tcp, b"x" * (MAX_MESSAGE + 1)) == [Count("malformed"), Disconnect(tcp.flow)]


def test_a_message_that_never_gets_whole_closes_its_connection():
    world, tcp = World(), Peer(transport="tcp")
    data = tcp.request("OPTIONS")
    assert world.hear(tcp, data[:50]) == []
    assert codes(world.hear(tcp, data[50:] + data[:10])) == [200]
    assert world.run(LIFE_S) == [Count("malformed"), Disconnect(tcp.flow)]
    world.hear(tcp, data[:50])
    assert world.agent.connection_lost(tcp.flow, world.now) == []
    assert world.run(100) == []


def test_connections_are_bounded(monkeypatch):
    monkeypatch.setattr(user_agent, "MAX_CONNECTIONS", 1)
    world, first, second = World(), Peer(transport="tcp"), Peer("192.0.2.11", transport="tcp")
    assert codes(world.hear(first, first.request("OPTIONS"))) == [200]
    assert world.hear(second, second.request("OPTIONS")) == [Count("full"), Disconnect(second.flow)]


def test_an_answer_to_nothing_is_stray():
    world, peer = World(), Peer()
    stray = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnone\nCSeq: 1 BYE"
    assert world.hear(peer, message(stray)) == [Count("stray")]
