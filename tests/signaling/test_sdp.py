"""What our answer says."""

from __future__ import annotations

import pytest

from signaling.sdp import Rejected, complete_answer, offers_passive_dtls, polish_answer, rewrite_candidates

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
OFFER = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=setup:actpass\r\n"


def test_a_client_that_waits_for_our_handshake_is_recognised():
    assert not offers_passive_dtls(OFFER)
    assert offers_passive_dtls(OFFER.replace("actpass", "passive"))


ANSWER = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 old=1\r\na=x\r\n"


def test_the_answer_asks_for_speech_with_error_correction():
    polished = polish_answer(ANSWER)
    [line] = [line for line in polished.splitlines() if line.startswith("a=fmtp:111 ")]
    assert "useinbandfec=1" in line
    assert "stereo=0" in line
    assert "old" not in polished


def test_the_format_line_follows_its_rtpmap_and_nothing_else_changes():
    lines = polish_answer(ANSWER).split("\r\n")
    at = lines.index("a=rtpmap:111 opus/48000/2")
    assert lines[at + 1].startswith("a=fmtp:111 ")
    rest = [line for line in lines if not line.startswith("a=fmtp")]
    assert rest == [line for line in ANSWER.split("\r\n") if not line.startswith("a=fmtp")]


def test_polishing_twice_changes_nothing_more():
    assert polish_answer(polish_answer(ANSWER)) == polish_answer(ANSWER)


def test_an_answer_without_opus_stays():
    answer = ANSWER.replace("opus/48000/2", "PCMU/8000")
    assert polish_answer(answer) == answer


def test_the_answer_says_that_candidates_may_trickle_and_rtcp_has_no_port_of_its_own():
    answer = ANSWER + "a=rtcp-mux\r\na=ice-pwd:x\r\na=ice-options:old\r\n"
    polished = polish_answer(answer)
    assert "a=rtcp-mux\r\na=rtcp-mux-only\r\n" in polished
    assert polished.count("a=ice-options:trickle\r\n") == 1
    assert "old" not in polished
    assert polish_answer(polished) == polished
    assert "usedtx" not in polished


def test_what_was_turned_down_stands_where_it_was_offered():
    answer = HEAD + "m=audio 9 X 0\r\na=mid:0\r\nm=application 9 Y z\r\na=mid:2\r\n"
    whole = complete_answer(answer, [Rejected(1, "m=video 0 X 96", "1"), Rejected(3, "m=video 0 X 97", None)])
    assert [line for line in whole.splitlines() if line[:2] == "m=" or line[:5] == "a=mid"] == [
        "m=audio 9 X 0",
        "a=mid:0",
        "m=video 0 X 96",
        "a=mid:1",
        "m=application 9 Y z",
        "a=mid:2",
        "m=video 0 X 97",
    ]
    assert complete_answer(answer, []) == answer


HOSTS = (
    HEAD + "m=audio 5000 X 0\r\nc=IN IP4 10.0.0.5\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:a 1 udp 2130706431 10.0.0.5 5000 typ host\r\n"
    "a=candidate:b 1 udp 2130706431 fd00::5 5001 typ host\r\n"
    "a=candidate:c 1 udp 100 198.51.100.1 5002 typ srflx raddr 10.0.0.5 rport 5000\r\n"
)


@pytest.mark.parametrize(
    ("public", "told"),
    [
        ((), ["10.0.0.5 5000", "fd00::5 5001", "198.51.100.1 5002"]),
        (("203.0.113.9",), ["203.0.113.9 5000", "fd00::5 5001", "198.51.100.1 5002"]),
        (("2001:db8::9",), ["10.0.0.5 5000", "2001:db8::9 5001", "198.51.100.1 5002"]),
        (
            ("203.0.113.9", "203.0.113.10", "2001:db8::9"),
            ["203.0.113.9 5000", "203.0.113.10 5000", "2001:db8::9 5001", "198.51.100.1 5002"],
        ),
    ],
)
def test_behind_nat_host_candidates_have_the_public_address(public, told):
    lines = rewrite_candidates(HOSTS, public).splitlines()
    candidates = [line.split() for line in lines if line.startswith("a=candidate")]
    assert [" ".join(bits[4:6]) for bits in candidates] == told
    assert len({bits[0] for bits in candidates}) == len(candidates), "each has its own foundation"
    assert "a=rtcp:9 IN IP4 0.0.0.0" in lines
    assert ("c=IN IP4 203.0.113.9" in lines) is ("203.0.113.9" in public)


def test_two_interfaces_behind_one_address_are_told_apart_by_port():
    two = HOSTS + "a=candidate:d 1 udp 5 10.0.0.6 5000 typ host\r\n"
    rewritten = rewrite_candidates(two, ("203.0.113.9",))
    assert rewritten.count("203.0.113.9 5000 typ host") == 1
