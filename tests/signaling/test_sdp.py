"""What an offer must look like, and what our answer says of Opus."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest, ClientError, Unprocessable
from signaling.sdp import MAX_OFFER_BYTES, check_offer, offers_passive_dtls, polish_answer

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
BUNDLE = "a=group:BUNDLE 0 1\r\n"
SECURITY = "a=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\na=fingerprint:sha-256 00:11\r\na=setup:actpass\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n" + SECURITY
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
OFFER = HEAD + BUNDLE + AUDIO + "a=mid:0\r\n" + DATA + "a=mid:1\r\n"


@pytest.mark.parametrize(
    "offer",
    [
        OFFER,
        HEAD + AUDIO,
        OFFER.replace("\r\n", "\n"),
        OFFER.replace("opus/48000/2", "OPUS/48000/2"),
        OFFER.replace("opus/48000/2", "PCMU/8000"),
        OFFER.replace("opus/48000/2", "G722/8000"),
        OFFER + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n" * 20,
    ],
)
def test_an_offer_of_one_audio_stream_is_fine(offer):
    check_offer(offer)


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        "\r\n" + OFFER,
        OFFER + "a=x\r\n" * 700,
        OFFER + "a=x:" + "y" * MAX_OFFER_BYTES,
        OFFER + "a=x:" + "é" * (MAX_OFFER_BYTES // 2),
        OFFER + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n" * 21,
        OFFER + "a=rtpmap:100 x/1\r\n" * 65,
        OFFER + "a=fmtp:100 x\r\n" * 65,
        OFFER + "a=rtcp-fb:100 x\r\n" * 65,
        OFFER.replace("a=fingerprint:", "a=finger:"),
        OFFER.replace("a=ice-ufrag:", "a=ice:"),
    ],
    ids=["empty", "text", "late start", "lines", "long", "bytes", "candidates", "rtpmap", "fmtp",
         "rtcp-fb", "dtls", "ice"],
)  # fmt: skip
def test_what_is_no_honest_offer_is_refused(offer):
    with pytest.raises(BadRequest):
        check_offer(offer)


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        (OFFER + VIDEO, "video"),
        (HEAD + VIDEO, "video"),
        (HEAD + DATA + SECURITY, "exactly one audio"),
        (OFFER + AUDIO, "exactly one audio"),
        (OFFER + DATA, "data channel"),
        (OFFER + "m=image 9 UDPTL t38\r\n", "data channel"),
        (OFFER.replace("opus/48000/2", "speex/8000"), "codecs"),
    ],
)
def test_an_offer_of_something_else_says_what_is_offered_here(offer, told):
    with pytest.raises(Unprocessable, match=told):
        check_offer(offer)


@given(st.lists(st.sampled_from([HEAD, AUDIO, VIDEO, DATA, SECURITY]) | st.text(max_size=20), max_size=8))
@example([HEAD, AUDIO, "a=\udcff"])
def test_no_offer_raises_anything_else(parts):
    with contextlib.suppress(ClientError):
        check_offer("".join(parts))


@pytest.mark.parametrize(
    "offer",
    [
        OFFER.replace(BUNDLE, ""),
        OFFER.replace("BUNDLE 0 1", "BUNDLE 0"),
        OFFER.replace("BUNDLE 0 1", "BUNDLE 0 1 2"),
        OFFER.replace("a=mid:1", "a=mid:0"),
        OFFER.replace("a=mid:1", "a=mid:1\r\na=mid:2"),
        OFFER.replace("a=mid:1\r\n", ""),
    ],
    ids=["no bundle", "one outside", "one too many", "same name", "two names", "no name"],
)
def test_an_offer_of_several_transports_is_refused(offer):
    with pytest.raises(BadRequest, match="BUNDLE"):
        check_offer(offer)


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
