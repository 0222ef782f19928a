"""Offers of real clients, spoiled in many ways: the same for the same seed."""

from __future__ import annotations

import random

from tests.signaling.front import OFFERS
from tests.spoiling import Spoiler

WORDS = (
    "", "0", "-1", "65536", "99999999999999999999", "1e9", "x", "*", "\u0661", "é", "a b", "%s", "a" * 300,
    "audio", "video", "application", "opus/48000/2", "opus/0/0", "H264/90000", "127.0.0.1", "::1", "IN IP4 x",
    "passive", "actpass", "holdconn", "UDP/TLS/RTP/SAVPF", "DTLS/SCTP", "host", "tcp", "x.local",
)  # fmt: skip

LINES = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 9 UDP/TLS/RTP/SAVPF 96", "m=audio",
    "m=application 9 DTLS/SCTP x",
    "a=rtpmap:111 opus/48000/2", "a=rtpmap:111", "a=rtpmap:72 x/1", "a=fmtp:111 minptime=x", "a=fmtp:99 y",
    "a=rtcp-fb:* nack", "a=rtcp-fb:1", "a=mid:0", "a=mid:9", "a=mid:", "a=group:BUNDLE", "a=group:BUNDLE 9",
    "a=group:LS 0 1", "a=candidate:1 1 udp 1 127.0.0.1 5000 typ host", "a=candidate:", "a=end-of-candidates",
    "a=candidate:1 1 udp 1 127.0.0.2 5000 typ srflx raddr x rport y", "a=ice-ufrag:x", "a=ice-pwd:y",
    "a=ice-lite",
    "a=fingerprint:sha-256 00", "a=fingerprint:x", "a=setup:active", "a=setup:x",
    "a=sctp-port:x", "a=sctp-port:1",
    "a=sctpmap:5000 x", "a=max-message-size:0", "a=ssrc:1", "a=ssrc:x y:z",
    "a=ssrc-group:FID x", "a=extmap:x",
    "a=extmap:1/2/3 urn:ietf:params:rtp-hdrext:sdes:mid", "a=rtcp:x IN IP4 y", "a=rtcp-mux", "a=inactive",
    "a=recvonly", "a=bundle-only", "c=IN IP4", "c=IN IP6 ::1", "v=x", "b=AS:1", "t=x", "a=msid:x", "a", "=",
    "a=msid-semantic:", "a=rtcp-mux-only",
)  # fmt: skip


def _character(lines: list[str], at: int, draw: random.Random) -> None:
    line = lines[at]
    cut = draw.randrange(len(line) + 1)
    lines[at] = line[:cut] + draw.choice(("\0", "\t", " ", chr(draw.randrange(32, 1000)))) + line[cut:]


def _swap(lines: list[str], at: int, draw: random.Random) -> None:
    other = draw.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


SPOILER = Spoiler(WORDS, LINES, (_character, _swap))


def spoiled_offer(seed: int) -> str:
    """An offer with one to six mistakes."""
    draw = random.Random(seed)
    # What is knocked at is this machine.
    offer = OFFERS[draw.choice(sorted(OFFERS))].replace("192.0.2.7", "127.0.0.1").replace("fd00::2", "::1")
    return SPOILER.spoil(offer, draw)
