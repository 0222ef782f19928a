"""What we answer."""

from __future__ import annotations

import pytest

from signaling.telephony.sip.sdes import Crypto
from signaling.telephony.sip.sdp import parse_description
from signaling.telephony.sip.sdp_answer import Ours, accept_stream, build_description, our_own
from tests.signaling.telephony.sip.test_sdp import description, only

KEY = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a=sendrecv", "sendrecv"),
        ("a=sendonly", "recvonly"),
        ("a=recvonly", "inactive"),
        ("a=inactive", "inactive"),
        ("c=IN IP4 0.0.0.0", "recvonly"),
    ],
)
def test_directions(theirs: str, ours: str) -> None:
    accepted = accept_stream(only("m=audio 4 RTP/AVP 0", theirs))
    assert accepted
    assert accepted.direction == ours


@pytest.mark.parametrize(
    "lines",
    [
        ["m=video 4 RTP/AVP 0"],
        ["m=audio 0 RTP/AVP 0"],
        ["m=audio 4 RTP/AVP 18 3"],
        ["m=audio 4 UDP/TLS/RTP/SAVPF 0"],
        ["m=audio 4 RTP/SAVP 0"],
        ["m=audio 4 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short"],
        ["m=image 4 udptl t38"],
    ],
)
def test_lines_that_are_not_for_us(lines: list[str]) -> None:
    assert accept_stream(only(*lines)) is None


def test_the_answer_names_their_first_codec_and_the_events_of_its_clock() -> None:
    offered = parse_description(
        description(
            "m=audio 4002 RTP/AVP 18 96 0 101 102",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:102 telephone-event/48000",
            "a=ptime:30",
            "a=rtcp-mux",
            "a=mid:a",
            "m=video 4004 RTP/AVP 97",
            "a=rtpmap:97 H264/90000",
        )
    )
    accepted = accept_stream(offered.streams[0])
    assert accepted
    answer = build_description("192.0.2.5", (7, 1), offered.streams, [Ours(accepted, 20_000), None])
    assert answer.decode().split("\r\n") == [
        "v=0",
        "o=- 7 1 IN IP4 192.0.2.5",
        "s=-",
        "c=IN IP4 192.0.2.5",
        "t=0 0",
        "m=audio 20000 RTP/AVP 96 102",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 minptime=10;useinbandfec=1;stereo=0;maxplaybackrate=16000;maxaveragebitrate=24000",
        "a=rtpmap:102 telephone-event/48000",
        "a=fmtp:102 0-15",
        "a=ptime:30",
        "a=mid:a",
        "a=rtcp-mux",
        "a=sendrecv",
        "m=video 0 RTP/AVP 97",
        "",
    ]


def test_keys_in_plain_rtp_are_taken_too() -> None:
    for profile in ("RTP/AVP", "RTP/SAVP", "RTP/SAVPF"):
        stream = only(f"m=audio 4 {profile} 8", KEY)
        accepted = accept_stream(stream)
        assert accepted
        assert accepted.crypto == stream.crypto[0]
        ours = Ours(accepted, 20_000, Crypto(3, "AES_CM_128_HMAC_SHA1_80", bytes(30)))
        lines = build_description("2001:db8::5", (1, 1), [stream], [ours]).decode().split("\r\n")
        assert f"m=audio 20000 {profile} 8" in lines
        assert f"a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}" in lines
        assert "c=IN IP6 2001:db8::5" in lines


def test_an_offer_of_ours_is_one_that_we_would_take() -> None:
    own = our_own()
    offer = build_description("192.0.2.5", (1, 1), [own.stream], [Ours(own, 20_000)], is_offer=True)
    (stream,) = parse_description(offer).streams
    assert [c.name for c in stream.codecs] == ["opus", "G722", "PCMU", "PCMA"]
    assert stream.codecs == own.stream.codecs
    assert stream.events == ((101, 8_000),)
    assert stream.direction == "sendrecv"
