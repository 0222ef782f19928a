"""Keys in SDP, and SRTP made with them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.sip.sdes import SUITES, Crypto, parse_crypto, write_crypto
from signaling.telephony.sip.srtp import Srtp
from tests.rtp import rtp

KEY30 = base64.b64encode(bytes(range(30))).decode()
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize(
    "behind", ["", "|2^20", "|1048576", " WSH=64", "|2^31 -FANCY=1 WSH=128", " "], ids=repr
)
def test_lines_that_are_taken(behind: str) -> None:
    assert parse_crypto(f"1 {SUITE} inline:{KEY30}{behind}") == Crypto(1, SUITE, bytes(range(30)))


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"x {SUITE} inline:{KEY30}",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY30}",
        f"1 AEAD_AES_128_GCM inline:{KEY30}",
        f"1 {SUITE} inline:{KEY30[:-1]}",
        f"1 {SUITE} inline:{KEY30[:-4]}",
        f"1 {SUITE} inline:{KEY30}|2^20|1:4",
        f"1 {SUITE} inline:{KEY30}|1:4",
        f"1 {SUITE} inline:{KEY30};inline:{KEY30}",
        f"1 {SUITE} inline:{KEY30} UNENCRYPTED_SRTP",
        f"1 {SUITE} inline:{KEY30} UNAUTHENTICATED_SRTP",
        f"1 {SUITE} inline:{KEY30} KDR=1",
        f"1 {SUITE} uri:{KEY30}",
        f"1 {SUITE} inline:{KEY30} {'-X ' * 300}",
    ],
)
def test_lines_that_are_not(line: str) -> None:
    assert parse_crypto(line) is None


@given(st.text(max_size=120), st.integers(0, 10**9 - 1), st.sampled_from(sorted(SUITES)), st.data())
def test_any_text_and_every_key(text: str, tag: int, suite: str, data: st.DataObject) -> None:
    parse_crypto(text)
    parse_crypto(f"1 {SUITE} inline:{text}")
    key = data.draw(st.binary(min_size=SUITES[suite], max_size=SUITES[suite]))
    crypto = Crypto(tag, suite, key)
    assert parse_crypto(write_crypto(crypto)) == crypto


def test_a_key_is_not_shown() -> None:
    assert "key" not in repr(Crypto(1, SUITE, b"secret"))


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_both_ways(suite: str) -> None:
    size = SUITES[suite]
    a, b = Crypto(1, suite, bytes(range(size))), Crypto(1, suite, bytes(range(1, size + 1)))
    us, them = Srtp(theirs=b, ours=a), Srtp(theirs=a, ours=b)
    packet = rtp(1, 160, b"\x55" * 160)
    sealed = them.protect(packet)
    assert sealed
    assert sealed != packet
    assert us.unprotect(sealed) == packet
    assert us.unprotect(sealed) is None, "it was replayed"
    assert us.unprotect(packet) is None
    assert us.unprotect(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert us.unprotect(b"") is None
    assert us.unprotect(bytes(5_000)) is None
    report = bytes.fromhex("80c90001") + b"\0\0\0\7"
    sealed = us.protect_rtcp(report)
    assert sealed
    assert them.unprotect_rtcp(sealed) == report
    assert them.unprotect_rtcp(report) is None
