"""Ephemeral tokens: what a browser holds instead of a key. Good for one session, for a minute or two.

A token is signed, not stored: any machine that shares the secret can tell one. What it holds (the name of
the key that it was made for, when it expires, a nonce) is no secret; the signature proves who made it. The
machine that sees it used remembers the nonce until it expires.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rtc_stt.errors import TooMany, Unauthorized

__all__ = ["NONCE_BYTES", "Token", "TokenExpired", "TokenReplayed", "TokenWrong", "Tokens", "name_key"]

PREFIX = "st_"
"""So that a token is not taken for a key, nor found in a log unnoticed."""

PURPOSE = b"rtc-stt session 1"
"""Signed with it: a signature made for anything else opens no session."""

NONCE_BYTES = 16
KEY_ID_BYTES = 8
PAYLOAD = struct.Struct(f">{KEY_ID_BYTES}sQ{NONCE_BYTES}s")
SIGNATURE_BYTES = hashlib.sha256().digest_size
MAX_CHARS = 256

MAX_USED = 65_536
"""Nonces remembered at most; some MB. At the default rate one key makes 600 in the life of a token."""


class TokenWrong(Unauthorized):
    """No token of ours, or its key is no longer good."""

    type = "token_wrong"


class TokenExpired(Unauthorized):
    """It was good once."""

    type = "token_expired"


class TokenReplayed(Unauthorized):
    """It has begun its one session already."""

    type = "token_replayed"


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose signature is ours."""

    key_id: str
    """See :attr:`~signaling.calls.Caller.key_id`."""
    expires_at: int
    """Seconds of Unix time."""
    nonce: bytes


def name_key(secret: bytes, key: str) -> str:
    """The public name of an API key: tells nothing of it, and is the same wherever the secret is."""
    digest = hmac.digest(secret, b"rtc-stt key\0" + key.encode("utf-8", "surrogateescape"), "sha256")
    return digest[:KEY_ID_BYTES].hex()


class Tokens:
    """Makes tokens, tells them, and sees that each is used once. ``now`` is Unix time in seconds.

    Args:
        secret: signs; the same on every machine behind one address.
        seconds: how long a token is good.
        is_known: whether a key id is one that may be used now.
    """

    def __init__(self, secret: bytes, *, seconds: int, is_known: Callable[[str], bool]) -> None:
        self._secret = secret
        self._seconds = seconds
        self._is_known = is_known
        self._used: OrderedDict[bytes, Token] = OrderedDict()

    @property
    def seconds(self) -> int:
        """How long a token is good."""
        return self._seconds

    def issue(self, key_id: str, now: float, nonce: bytes) -> str:
        """A new token. ``nonce`` is random and used once: ``NONCE_BYTES`` of it."""
        payload = PAYLOAD.pack(bytes.fromhex(key_id), int(now) + self._seconds, nonce)
        return PREFIX + base64.urlsafe_b64encode(payload + self._sign(payload)).decode().rstrip("=")

    def read(self, text: str) -> Token:
        """Tell whether a token is ours, be it expired or used.

        Raises:
            TokenWrong: it is not, or its key has been taken out of ``API_KEYS``.
        """
        payload, signature = _take_apart(text)
        if not hmac.compare_digest(self._sign(payload), signature):
            raise TokenWrong("the token is wrong: ask for a new one at POST /v1/tokens")
        key_id, expires_at, nonce = PAYLOAD.unpack(payload)
        if not self._is_known(key_id.hex()):
            raise TokenWrong("the key that the token was made for is no longer good")
        return Token(key_id.hex(), expires_at, nonce)

    def check(self, token: Token, now: float) -> None:
        """Whether it may begin a session.

        Raises:
            TokenExpired, TokenReplayed: it may not.
        """
        if now >= token.expires_at:
            raise TokenExpired("the token has expired: ask for a new one at POST /v1/tokens")
        if token.nonce in self._used:
            raise TokenReplayed("the token has been used: each is good for one session")

    def spend(self, token: Token, now: float) -> None:
        """Use it up.

        Raises:
            TokenExpired, TokenReplayed: see :meth:`check`.
            TooMany: more tokens than can be remembered are in use.
        """
        self.check(token, now)
        if len(self._used) >= MAX_USED:
            for nonce in [nonce for nonce, used in self._used.items() if used.expires_at <= now]:
                del self._used[nonce]
        if len(self._used) >= MAX_USED:
            raise TooMany("too many tokens are in use; try again later", retry_after_s=self._seconds)
        self._used[token.nonce] = token

    def unspend(self, token: Token) -> None:
        """Its session did not come about: it may be used again."""
        self._used.pop(token.nonce, None)

    def used(self, now: float) -> list[Token]:
        """Those that were used here and have not expired."""
        return [token for token in self._used.values() if token.expires_at > now]

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, PURPOSE + b"\0" + payload, "sha256")


def _take_apart(text: str) -> tuple[bytes, bytes]:
    wrong = TokenWrong("the token is wrong: ask for a new one at POST /v1/tokens")
    if not text.startswith(PREFIX) or len(text) > MAX_CHARS:
        raise wrong
    body = text.removeprefix(PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if len(raw) != PAYLOAD.size + SIGNATURE_BYTES:
        raise wrong
    return raw[: PAYLOAD.size], raw[PAYLOAD.size :]
