"""What a page holds to hear one call: good for that call only, for minutes, as often as it has to reconnect.

A token that begins a session (:mod:`signaling.tokens`) is no such thing: whoever was given one to be heard
must not hear others. This one is signed, not stored, and goes with the key that it was made with. Pure.
"""

from __future__ import annotations

import base64
import hmac

from signaling.auth import Authority, Pass
from signaling.tokens import TokenExpired, TokenWrong

__all__ = ["PREFIX", "make_listen_token", "read_listen_token"]

PREFIX = "lt_"
PURPOSE = b"rtc-stt listen 1"
MAX_CHARS = 128
WRONG = "the token is wrong: ask for one at POST /v1/calls/{id}/tokens"


def make_listen_token(authority: Authority, key_id: str, call_id: str, expires_at: int) -> str:
    """A token for one call.

    Args:
        key_id: whose name it is made in.
        expires_at: seconds of Unix time.
    """
    return f"{PREFIX}{expires_at}.{key_id}.{_sign(authority, key_id, call_id, str(expires_at))}"


def read_listen_token(authority: Authority, text: str, call_id: str, now: float) -> Pass:
    """In whose name a token lets one hear a call. ``now``: Unix time in seconds.

    Raises:
        TokenWrong: it is none of ours, one of another call, or its key is no longer good.
        TokenExpired: it was good once.
    """
    parts = text.removeprefix(PREFIX).split(".")
    if not text.startswith(PREFIX) or len(text) > MAX_CHARS or len(parts) != 3 or not text.isascii():
        raise TokenWrong(WRONG)
    expiry, key_id, signature = parts
    if not hmac.compare_digest(_sign(authority, key_id, call_id, expiry), signature):
        raise TokenWrong(WRONG)
    if key_id not in authority.accounts:
        raise TokenWrong("the key that the token was made with is no longer good")
    if now >= int(expiry):
        raise TokenExpired("the token has expired: ask for a new one at POST /v1/calls/{id}/tokens")
    return Pass(key_id)


def _sign(authority: Authority, key_id: str, call_id: str, expiry: str) -> str:
    digest = authority.sign(PURPOSE, f"{call_id}.{key_id}.{expiry}".encode())
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
