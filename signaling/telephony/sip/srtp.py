"""SRTP (RFC 3711) with keys of SDES: a thin shell over libsrtp, which keeps the state of a direction:
roll-over counters, and the window of what has been replayed.
"""

from __future__ import annotations

import pylibsrtp

from signaling.telephony.sip.sdes import Crypto

__all__ = ["Srtp"]

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}


class Srtp:
    """Both directions of one stream.

    Args:
        theirs, ours: keys of one suite.
    """

    def __init__(self, theirs: Crypto, ours: Crypto) -> None:
        self._inbound = _session(theirs, pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._outbound = _session(ours, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    def unprotect(self, packet: bytes) -> bytes | None:
        """RTP; None where it was not made with their key, altered, replayed, or is too long."""
        try:
            return self._inbound.unprotect(packet)
        except (pylibsrtp.Error, ValueError):
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """RTCP, likewise."""
        try:
            return self._inbound.unprotect_rtcp(packet)
        except (pylibsrtp.Error, ValueError):
            return None

    def protect(self, packet: bytes) -> bytes | None:
        """Our RTP; None where the key has been used up."""
        try:
            return self._outbound.protect(packet)
        except pylibsrtp.Error:
            return None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """Our RTCP, likewise."""
        try:
            return self._outbound.protect_rtcp(packet)
        except pylibsrtp.Error:
            return None


def _session(crypto: Crypto, direction: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(key=crypto.key, ssrc_type=direction, srtp_profile=PROFILES[crypto.suite])
    return pylibsrtp.Session(policy)
