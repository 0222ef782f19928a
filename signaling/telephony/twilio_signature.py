"""Whether a request was signed by Twilio, or by who signs as Twilio does. Pure.

The signature is the base64 of an HMAC over the exact URL that the carrier was told, with the account's auth
token as the key: SHA-1 (https://www.twilio.com/docs/usage/security#validating-requests), or SHA-256 where the
header ``X-Twilio-Webhooks-Signature-Settings`` says so. An upgrade has no body, so nothing follows the URL.
Which URL that was a server behind proxies cannot see: it is told its public one, and what carriers are known
to add or leave out (the port, a slash at the end) is tried.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import urlsplit

__all__ = ["candidate_urls", "is_signed"]

SCHEMES = {"https": ("wss", "https"), "wss": ("wss", "https"), "http": ("ws", "http"), "ws": ("ws", "http")}
PORTS = {"wss": 443, "https": 443, "ws": 80, "http": 80}

MAX_SIGNATURE_CHARS = 128


def candidate_urls(public_url: str, target: str) -> tuple[str, ...]:
    """What may have been signed.

    Args:
        public_url: of this server, with or without a path before its own.
        target: path and query of the request, as they came.
    """
    try:
        parts = urlsplit(public_url)
        told, host = parts.port, parts.hostname
    except ValueError:
        return ()
    if not host:
        return ()
    host = f"[{host}]" if ":" in host else host
    path, question, query = target.partition("?")
    path = parts.path.rstrip("/") + path
    paths = (path, path.removesuffix("/") if path.endswith("/") else path + "/")
    found = []
    for scheme in SCHEMES.get(parts.scheme, ()):
        for name in (host, f"{host}:{told or PORTS[scheme]}"):
            found += [f"{scheme}://{name}{way}{question}{query}" for way in paths]
    return tuple(found)


def is_signed(urls: tuple[str, ...], token: str, signature: str, settings: str = "") -> bool:
    """Whether one of these URLs was signed with the token.

    Every one is compared, and each in constant time.

    Args:
        signature: the header ``X-Twilio-Signature``.
        settings: the header ``X-Twilio-Webhooks-Signature-Settings``.
    """
    if not token or len(signature) > MAX_SIGNATURE_CHARS:
        return False
    digest = "sha256" if "256" in settings else "sha1"
    given = signature.encode("utf-8", "surrogateescape")
    found = False
    for url in urls:
        signed = hmac.digest(token.encode(), url.encode("utf-8", "surrogateescape"), digest)
        found |= hmac.compare_digest(base64.b64encode(signed), given)
    return found
