"""OpenAI's Realtime endpoints, for sessions that transcribe: over a WebSocket, over WebRTC, and the secrets
with which pages begin them.

A client secret is a token of ours (``POST /v1/tokens``) with the session that was asked for behind it, as
base64. That is no secret, and binds nobody: whoever begins the session may change it as any other. So nothing
is kept here, and every machine that shares ``TOKEN_SECRET`` takes the secrets of the others.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Collection
from typing import Any

from aiohttp import web

from rtc_stt.errors import BadRequest, UnsupportedMedia
from signaling.attempt import STREAMS
from signaling.dialect_socket import speak
from signaling.dialects.dialect import Beginning
from signaling.dialects.openai.errors import Refusal
from signaling.dialects.openai.reading import check_fields, integer, object_of, one_of
from signaling.dialects.openai.realtime import Realtime
from signaling.dialects.openai.settings import Form, Settings, describe, update
from signaling.keys import GATE
from signaling.multipart import Began, FormReader, read_boundary
from signaling.reception import answer_call, end_session, find_resource, identify_caller
from signaling.request import id_of, read_text
from signaling.sdp import MAX_OFFER_BYTES
from signaling.token_routes import NO_STORE, make_token
from signaling.tokens import PREFIX

__all__ = ["add_live_routes", "add_routes"]

CALLS, SECRETS, LIVE = "/v1/realtime/calls", "/v1/realtime/client_secrets", "/v1/realtime"

SDP_TYPE, FORM_TYPE, JSON_TYPE = "application/sdp", "multipart/form-data", "application/json"

KEY_PROTOCOL = "openai-insecure-api-key."
PROTOCOL, BETA_PROTOCOL = "realtime", "openai-beta.realtime-v1"
"""Subprotocols of a page, which cannot set headers: its key or token, that which is chosen, and that of a
client of the former generation."""

MAX_SESSION_BYTES = 3 * 1024
"""Of a session in JSON: as base64 it goes into a header, of which there are 8 KiB."""

PART_BYTES = 4 * 1024
"""Of a form beyond what is in it."""

NO_TRANSCRIPTION = (
    "this server transcribes and has no model that answers: ask for a session of type transcription, or for "
    "?intent=transcription"
)


# ── Who asks, and for what ────────────────────────────────────────────────────────────


class _Asking:
    """What a request says of its sender and of the session."""

    def __init__(self, request: web.Request) -> None:
        header = request.headers.get("Sec-WebSocket-Protocol", "")
        self.protocols = [name.strip() for name in header.split(",") if name.strip()]
        self._request = request
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        keys = [name.removeprefix(KEY_PROTOCOL) for name in self.protocols if name.startswith(KEY_PROTOCOL)]
        if not shown and keys:
            scheme, shown = "Bearer", keys[0]
        self._bound = ""
        if shown.startswith(PREFIX):
            shown, _, self._bound = shown.partition(".")
        self.authorization = f"{scheme} {shown}" if shown else None

    @property
    def form(self) -> Form:
        """Of which generation its client is."""
        header = self._request.headers.get("OpenAI-Beta", "")
        is_beta = "realtime=v1" in header or BETA_PROTOCOL in self.protocols
        return Form.BETA if is_beta else Form.GA

    def session(self, given: str | None = None) -> str:
        """The object ``session`` to begin with, in JSON: what was given, or what the secret brings.

        Raises:
            BadRequest: it is none, is of a session that speaks, or there is none at all.
        """
        text = given if given is not None else self._unbind()
        if text is None:
            if self._request.query.get("intent") != "transcription":
                raise BadRequest(NO_TRANSCRIPTION)
            return ""
        return _checked(_json(text, "session"), _languages(self._request))

    def _unbind(self) -> str | None:
        if not self._bound:
            return None
        try:
            return base64.urlsafe_b64decode(self._bound + "=" * (-len(self._bound) % 4)).decode()
        except (binascii.Error, ValueError):
            raise BadRequest("the client secret is broken: ask for a new one") from None


def _languages(request: web.Request) -> Collection[str] | None:
    """Those that the models know, where that is known here."""
    streams = request.app.get(STREAMS)
    return streams.pool.languages if streams is not None else None


def _checked(session: object, languages: Collection[str] | None) -> str:
    """A session that may begin, as JSON.

    Raises:
        BadRequest: it may not.
    """
    try:
        if "type" not in object_of(session, "session"):
            raise Refusal(NO_TRANSCRIPTION, param="session.type")
        update(Settings(), session, Form.GA, languages)
    except Refusal as refusal:
        raise BadRequest(str(refusal)) from None
    text = json.dumps(session, separators=(",", ":"))
    if len(text) > MAX_SESSION_BYTES:
        raise BadRequest(f"session has more than {MAX_SESSION_BYTES} bytes")
    return text


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(f"{what} is not JSON") from None


# ── Endpoints ────────────────────────────────────────────────────────────


async def get_realtime(request: web.Request) -> web.StreamResponse:
    """``GET /v1/realtime?intent=transcription``: a WebSocket."""
    asking = _Asking(request)
    shown = identify_caller(request, authorization=asking.authorization)
    if asking.protocols and PROTOCOL not in asking.protocols:
        raise BadRequest(f"this server speaks the subprotocol {PROTOCOL}; or offer none")
    beginning = Beginning(id_of(request), time.time(), asking.session())
    dialect = Realtime(beginning, form=asking.form, languages=_languages(request))
    return await speak(request, shown, dialect, protocols=(PROTOCOL,))


async def post_call(request: web.Request) -> web.Response:
    """``POST /v1/realtime/calls``: an offer, alone or in a form with the session. 201 with the answer."""
    asking = _Asking(request)
    shown = identify_caller(request, authorization=asking.authorization)
    offer, session = await _read_offer(request)
    text = asking.session(session)
    answer = await answer_call(request, shown, offer, None, reject_video=True, text=text)
    return web.Response(
        status=201,
        text=answer.sdp,
        content_type=SDP_TYPE,
        headers={"Location": f"{CALLS}/{answer.resource.peer_id}"},
    )


async def post_hangup(request: web.Request) -> web.Response:
    """``POST /v1/realtime/calls/{id}/hangup``: end it; what is open is finalised first."""
    await end_session(request, find_resource(request, request.match_info["id"]))
    return web.Response(status=200)


async def post_secret(request: web.Request) -> web.Response:
    """``POST /v1/realtime/client_secrets``: ``{session?, expires_after?}``; a secret for a page.

    How long a secret is good, ``TOKEN_SECONDS`` decides, and ``expires_at`` tells.
    """
    value = await make_token(request)
    body = await _read_secret(request)
    session = _checked(body.get("session", {"type": "transcription"}), _languages(request))
    bound = base64.urlsafe_b64encode(session.encode()).decode().rstrip("=")
    settings = update(Settings(), json.loads(session), Form.GA)
    told = {
        "value": f"{value}.{bound}",
        "expires_at": int(time.time()) + request.app[GATE].authority.tokens.seconds,
        "session": describe(settings, Form.GA, secrets.token_urlsafe(9)),
    }
    return web.json_response(told, headers=NO_STORE)


async def options(request: web.Request) -> web.Response:
    """What may be done here."""
    method = "GET" if request.path == LIVE else "POST"
    return web.Response(status=200, headers={"Allow": f"{method}, OPTIONS"})


async def _read_secret(request: web.Request) -> dict[str, Any]:
    text = await read_text(request, MAX_OFFER_BYTES)
    if text and request.content_type != JSON_TYPE:
        raise UnsupportedMedia(f"send it with Content-Type: {JSON_TYPE}")
    try:
        body = object_of(_json(text or "{}", "the body"), "the body")
        check_fields(body, "the body", ("session", "expires_after"))
        if body.get("expires_after") is not None:
            after = object_of(body["expires_after"], "expires_after")
            check_fields(after, "expires_after", ("anchor", "seconds"))
            one_of(after.get("anchor", "created_at"), "expires_after.anchor", ("created_at",))
            integer(after.get("seconds", 600), "expires_after.seconds", 10, 7_200)
    except Refusal as refusal:
        raise BadRequest(str(refusal)) from None
    return body


async def _read_offer(request: web.Request) -> tuple[str, str | None]:
    """The offer and, where there is one, the session in JSON."""
    if request.content_type == SDP_TYPE:
        return await read_text(request, MAX_OFFER_BYTES), None
    if request.content_type != FORM_TYPE:
        raise UnsupportedMedia(f"send the offer as {SDP_TYPE}, or in the field sdp of a form")
    reader = FormReader(read_boundary(request.headers["Content-Type"]))
    body = await read_text(request, MAX_OFFER_BYTES + MAX_SESSION_BYTES + PART_BYTES)
    fields: dict[str, bytearray] = {}
    name = ""
    for event in reader.feed(body.encode()):
        if isinstance(event, Began):
            name = event.name
            if name in fields or name not in ("sdp", "session"):
                raise BadRequest("the form has the fields sdp and session, each once at most")
            fields[name] = bytearray()
        elif isinstance(event, bytes):
            fields[name] += event
    reader.feed_end()
    if "sdp" not in fields:
        raise BadRequest("the field sdp is missing: the offer")
    # Pieces end where they end: each field is decoded as a whole.
    return fields["sdp"].decode(), fields["session"].decode() if "session" in fields else None


def add_routes(app: web.Application) -> None:
    """Add what works over WebRTC."""
    router = app.router
    router.add_post(CALLS, post_call)
    router.add_options(CALLS, options)
    router.add_post(f"{CALLS}/{{id}}/hangup", post_hangup)
    router.add_post(SECRETS, post_secret)
    router.add_options(SECRETS, options)


def add_live_routes(app: web.Application) -> None:
    """Add the WebSocket; whose sessions are carried, the application knows already."""
    app.router.add_get(LIVE, get_realtime, allow_head=False)
    app.router.add_options(LIVE, options)
