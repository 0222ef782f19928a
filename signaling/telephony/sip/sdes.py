"""Keys in SDP: ``a=crypto`` (SDES, RFC 4568). Pure; what is done with them is in :mod:`.srtp`.

What we decline, so that another line is chosen, or the stream refused: master key identifiers (libsrtp's
binding has none), several keys, and session parameters that take authentication or encryption away.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

__all__ = ["SUITES", "Crypto", "parse_crypto", "write_crypto"]

MAX_CRYPTO_CHARS = 512

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
"""Crypto-suites by their names (RFC 4568 §6.2, RFC 7714 §14.2): bytes of master key and salt together."""

LINE = re.compile(
    r"([0-9]{1,9}) +([A-Z0-9_]{1,40}) +inline:([A-Za-z0-9+/=]{1,88})"
    r"(?:\|(?:2\^[0-9]{1,2}|[0-9]{1,15}))?((?: +\S+)*) *"
)
"""Tag, suite, key and salt, lifetime, session parameters (§9.1). A ``|1:4`` behind it would be a master key
identifier."""

HARMLESS = re.compile(r"WSH=[0-9]{1,5}|-\S+")
"""Session parameters that change nothing for us: the window's size is a hint (§6.3.7), and what begins with
a dash may be skipped (§6.3.8)."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """A key for one direction: of whoever wrote the line."""

    tag: int
    suite: str
    """One of :data:`SUITES`."""
    key: bytes = field(repr=False)
    """Master key and salt."""


def parse_crypto(value: str) -> Crypto | None:
    """A key as an ``a=crypto`` attribute gives it; None where it is malformed or not for us."""
    match = LINE.fullmatch(value) if len(value) <= MAX_CRYPTO_CHARS else None
    if not match or match[2] not in SUITES:
        return None
    if any(not HARMLESS.fullmatch(parameter) for parameter in match[4].split()):
        return None
    try:
        key = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        return None
    return Crypto(int(match[1]), match[2], key) if len(key) == SUITES[match[2]] else None


def write_crypto(crypto: Crypto) -> str:
    """The value of the attribute."""
    return f"{crypto.tag} {crypto.suite} inline:{base64.b64encode(crypto.key).decode()}"
