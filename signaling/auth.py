"""Who may come in: API keys, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from rtc_stt.errors import Unauthorized

__all__ = ["check_key"]


def check_key(authorization: str | None, keys: Sequence[str]) -> None:
    """Check the ``Authorization`` header against the keys; with none configured everyone may come in.

    Raises:
        Unauthorized: no bearer key, or none of ours.
    """
    if not keys:
        return
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Unauthorized("this server needs a key: send the header Authorization: Bearer KEY")
    # Every key is compared, and each in constant time, so that timing tells neither key nor number.
    # A header need not be text: aiohttp hands its bytes over as surrogates.
    key = given.strip().encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(key, k.encode()) for k in keys]
    if not any(matches):
        raise Unauthorized("the key is wrong")
