"""Who may open a media stream: a key, a token, or a carrier's signature."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass

from aiohttp import web

from rtc_stt.errors import Forbidden, Unauthorized
from signaling.auth import OPEN, Authority, Pass
from signaling.request import note_key
from signaling.telephony.settings import Telephony
from signaling.telephony.streams.stream_dialect import Kind
from signaling.telephony.twilio_signature import candidate_urls, is_signed

__all__ = ["MediaAccess"]

SIGNATURES = ("X-Twilio-Signature", "X-SignalWire-Signature")
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


@dataclass(frozen=True, slots=True)
class MediaAccess:
    """See above.

    Args:
        owner: the id of the key whose calls those are that come signed, without a key.
    """

    authority: Authority
    telephony: Telephony
    owner: str

    def identify(self, request: web.Request, kind: Kind) -> Pass | None:
        """Who asks, before the upgrade; None where the first message has to say so, by a token.

        Raises:
            Unauthorized: a key or a token that is wrong.
            Forbidden: a signature that is wrong, or none where one is asked for.
        """
        asks_signature = kind.is_signed and bool(self.telephony.twilio_auth_token)
        signature = next((request.headers[name] for name in SIGNATURES if name in request.headers), None)
        signed = asks_signature and signature is not None and self._is_signed(request, signature)
        if asks_signature and signature is not None and not signed:
            raise Forbidden(
                "the signature is not of this URL: PUBLIC_URL is to be what the carrier connects to, and "
                "TWILIO_AUTH_TOKEN that of its account"
            )
        shown = self._shown(request)
        if shown is None and signed:
            shown = Pass(self.owner)
        if shown is None and asks_signature:
            raise Forbidden("this needs the carrier's signature, a key or a token")
        if shown is None and self.authority.is_open:
            shown = Pass(OPEN)
        return shown

    def read_token(self, token: str | None) -> Pass:
        """Who asks, by what the first message brought.

        Raises:
            Unauthorized: no token of ours.
        """
        if token is None:
            raise Unauthorized("this needs a key, or a token of POST /v1/tokens")
        return self.authority.identify(None, token)

    def _shown(self, request: web.Request) -> Pass | None:
        """By the header ``Authorization``, or by a token in the path or the query."""
        authorization = _as_bearer(request.headers.get("Authorization"))
        token = request.match_info.get("token") or request.query.get("access_token")
        if authorization is None and token is None:
            return None
        shown = note_key(request, self.authority.identify(authorization, token))
        if shown.token:
            self.authority.tokens.check(shown.token, time.time())
        return shown

    def _is_signed(self, request: web.Request, signature: str) -> bool:
        here = self.telephony.public_url or f"https://{request.headers.get('Host', '')}"
        return is_signed(
            candidate_urls(here, request.raw_path),
            self.telephony.twilio_auth_token,
            signature,
            request.headers.get(SETTINGS, ""),
        )


def _as_bearer(authorization: str | None) -> str | None:
    """``Basic`` of anyone with a key for password (RFC 7617) is as ``Bearer`` with that key: many PBXs and
    carriers know nothing else."""
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        pair = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthorized("the header Authorization is not of the form Basic") from None
    return f"Bearer {pair.partition(':')[2]}"
