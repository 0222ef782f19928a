"""What every request passes: an id, the checks of name, origin and key, limits on the body, error form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web

from rtc_stt.errors import (
    BadRequest,
    ClientError,
    DecodeFailed,
    FallbackFailed,
    Forbidden,
    Gone,
    QuotaExceeded,
    TooMany,
    Unauthorized,
    Unavailable,
    trace,
)
from rtc_stt.logs import bind
from signaling.auth import Pass
from signaling.dialects.deepgram.errors import error_body as deepgram_body
from signaling.dialects.openai.errors import error_body as openai_body
from signaling.door import Redirect
from signaling.forwarding import Source, find_source
from signaling.keys import GATE, Gate
from signaling.tokens import TokenExpired, TokenReplayed, TokenWrong
from signaling.trail import Trail, begin_trail

__all__ = [
    "COUNTED",
    "KEY_NAME",
    "broken_response",
    "error_response",
    "header_safe",
    "id_headers",
    "id_of",
    "identify_by_header",
    "middleware",
    "note_key",
    "read_text",
    "source_of",
    "told",
    "trail_of",
    "was_read",
]

log = logging.getLogger(__name__)

BODY_TIMEOUT_S = 5.0
"""aiohttp has no limit of its own for the time that a body takes."""

MAX_HEADER_CHARS = 500

OPEN_PATHS = ("/web/", "/v1/health", "/v1/ready", "/openapi.json")
PAGES = ("/", "/diagnose")
"""What needs no key."""

SHARED_PATHS = (
    *("/whip", "/api/offer", "/v1/tokens", "/v1/ice-servers", "/v1/stream"),
    *("/v1/realtime", "/v1/realtime/calls", "/v1/realtime/client_secrets", "/v1/listen"),
)
"""What pages of other origins may use, if they are allowed. These look at keys and tokens themselves."""

MEDIA_PATHS = "/v1/media/"
"""So do these, which no page uses."""

COUNTED = ("/v1/transcribe", "/v1/audio/transcriptions", "/v1/listen")
"""Endpoints that do the work: their POST requests are in the metrics."""

MODELS = "/v1/models"

BODIES: Mapping[str, Callable[[int, str, str, str], Mapping[str, object]]] = {
    "/v1/listen": deepgram_body,
    "/v1/audio/transcriptions": openai_body,
    MODELS: openai_body,
    "/v1/realtime": openai_body,
    "/v1/realtime/calls": openai_body,
    "/v1/realtime/client_secrets": openai_body,
}
"""Bodies of errors as clients of other protocols read them, by path: of status, type, message, request id."""

_TRAIL = web.RequestKey("trail", Trail)
KEY_NAME = web.RequestKey("key name", str)
"""Whose key was shown, for the access log."""
_TOLD: web.RequestKey[dict[str, str]] = web.RequestKey("told", dict)

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
"""Headers that tell of a proxy."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


@web.middleware
async def middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Around every handler."""
    trail = request[_TRAIL] = begin_trail(request, is_traced=_is_traced(request))
    status = None
    try:
        with bind(**trail.ids):
            response = await _attend(request, handler)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        trail.finish(request, status)
    if not response.prepared:  # as a WebSocket that is over is
        response.headers.update(id_headers(request) | told(request))
        for name, value in (*SECURITY_HEADERS.items(), *_sharing(request).items()):
            response.headers.setdefault(name, value)
    return response


async def _attend(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Have it answered, and count it."""
    request[_TOLD] = {}
    gate, endpoint = request.app[GATE], _counted(request)
    gate.connections.heard(request.transport)
    if endpoint:
        gate.instrument.request_begun(endpoint)
    response = await _respond(request, handler)
    if endpoint and response.status >= 400:
        gate.instrument.request_failed(endpoint, response.headers["X-Error-Type"], response.status)
    if response.status >= 400 and not request.content.is_eof():
        response.force_close()  # what is still to come of the body is of no use
    if gate.connections.answered(request.transport):
        response.force_close()
    return response


def _is_traced(request: web.Request) -> bool:
    """Whether it gets a span: what is worked on does, and not who looks whether the server is well."""
    path = request.path
    return path in COUNTED or path.startswith((MEDIA_PATHS, "/v1/calls")) or _is_shared(path)


def _counted(request: web.Request) -> str | None:
    """Its name in the metrics, if it is there."""
    return request.path if request.method == "POST" and request.path in COUNTED else None


def id_of(request: web.Request) -> str:
    """What ``X-Request-Id`` will say."""
    return request[_TRAIL].request_id


def was_read(request: web.BaseRequest) -> bool:
    """Whether it reached the application: what cannot be read is on no path, and of no client."""
    return _TOLD in request


def id_headers(request: web.Request) -> dict[str, str]:
    """For every answer: the id that the request brought or was given, by both names that it goes by."""
    return {"X-Req-Id": id_of(request), "X-Request-Id": id_of(request)}


def trail_of(request: web.BaseRequest) -> Trail | None:
    """None of a request that is none of HTTP."""
    return request.get(_TRAIL)


def identify_by_header(request: web.Request) -> Pass:
    """Who asks, by the header ``Authorization``. See :meth:`Authority.identify`."""
    return note_key(request, request.app[GATE].authority.identify(request.headers.get("Authorization")))


def note_key(request: web.Request, shown: Pass) -> Pass:
    """Remember whose key it was, for the access log."""
    account = request.app[GATE].authority.accounts.get(shown.key_id)
    request[KEY_NAME] = account.name if account else shown.key_id
    return shown


def told(request: web.Request) -> dict[str, str]:
    """Headers that the answer will carry, whatever it is: a handler adds what it knows before it may fail."""
    return request[_TOLD]


async def _respond(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What the handler says, or what it raises in the contract's form."""
    gate = request.app[GATE]
    respond = partial(error_response, request)
    try:
        _check(request, gate)
        return await handler(request)
    except Gone:  # told to the log and the metrics only
        return respond(499, "client_gone", "the client did not wait")
    except (ClientError, Unavailable, DecodeFailed, FallbackFailed) as error:
        response = respond(error.status, error.type, str(error))
        if reason := _reason(error):
            gate.instrument.session_refused(reason)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, TooMany | Unavailable):
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    except Redirect as error:
        response = respond(error.status, "redirect", str(error))
        response.headers["Location"] = error.url.rstrip("/") + request.path_qs
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = respond(error.status, error.reason.lower().replace(" ", "_"), error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:  # its message may quote the request
        log.error("request %s failed: %s", id_of(request), trace(error))
        return respond(500, "internal", "the server made a mistake; its log has the id")


def _check(request: web.Request, gate: Gate) -> None:
    """Where the request thinks it is, whose page sent it, and for what is not shared: its key."""
    host = request.headers.get("Host", "")  # request.host would ask the resolver where there is none
    if host:  # every browser sends one
        gate.origins.check_host(host)
    origin = request.headers.get("Origin")
    if request.path.startswith(MEDIA_PATHS):
        gate.origins.check(origin, host, any_port=True)
    elif _is_shared(request.path):
        gate.origins.check(origin, host)
    elif request.path not in PAGES and not request.path.startswith(OPEN_PATHS):
        shown = identify_by_header(request)
        if shown.token:
            raise Unauthorized("this needs a key; a token begins a session, no more")


def _reason(error: Exception) -> str | None:
    """What :meth:`Instrument.session_refused` is told; of limits and offers it is told where they are."""
    if isinstance(error, TokenWrong | TokenExpired | TokenReplayed):
        return "token"
    if isinstance(error, Unauthorized):
        return "key"
    if isinstance(error, QuotaExceeded):
        return "quota"
    return "origin" if isinstance(error, Forbidden) else None


def _is_shared(path: str) -> bool:
    if path.startswith("/v1/calls/"):
        return path.endswith("/events")
    return path in SHARED_PATHS or path.startswith("/whip/")


def _sharing(request: web.Request) -> Mapping[str, str]:
    """Headers of cross-origin resource sharing."""
    if not _is_shared(request.path):
        return {}
    origins = request.app[GATE].origins
    told = dict(origins.headers(request.headers.get("Origin")))
    if request.method == "OPTIONS" and "Access-Control-Allow-Origin" in told:
        told |= origins.preflight_headers("GET, POST, PATCH, DELETE, OPTIONS")
    return told


def source_of(request: web.Request) -> Source:
    """Where a request came from; ``X-Forwarded-For`` counts where ``TRUSTED_PROXIES`` says so."""
    return find_source(
        request.remote or "",
        request.headers.get("X-Forwarded-For"),
        any(name in request.headers for name in FORWARDING),
        request.app[GATE].proxies,
    )


def error_response(request: web.Request, status: int, kind: str, message: str) -> web.Response:
    """An error as the contract has it, or as clients of this path read it."""
    path = MODELS if request.path.startswith(f"{MODELS}/") else request.path
    body = BODIES.get(path, _body)(status, kind, message, id_of(request))
    headers = {"X-Error-Type": kind, "X-Error-Message": header_safe(message)}
    return web.json_response(body, status=status, headers=headers)


def broken_response(request: web.Request, status: int, kind: str, message: str) -> web.Response:
    """An error of a request that reached no handler, nor :func:`middleware`; the connection ends with it."""
    request[_TRAIL] = begin_trail(request, is_traced=False)
    response = error_response(request, status, kind, message)
    response.headers.update(id_headers(request) | SECURITY_HEADERS)
    response.force_close()
    return response


def _body(_: int, kind: str, message: str, request_id: str) -> Mapping[str, object]:
    return {"error": {"type": kind, "message": message, "request_id": request_id}}


def header_safe(text: str) -> str:
    """What of a text every client can read in a header: one line of ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:MAX_HEADER_CHARS])


async def read_text(request: web.Request, limit: int) -> str:
    """The body as text.

    Raises:
        BadRequest: not UTF-8, or too slow.
        web.HTTPRequestEntityTooLarge: over ``limit`` bytes, announced or really sent.
    """
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > limit:
                    raise web.HTTPRequestEntityTooLarge(limit, size)
                chunks.append(chunk)
    except TimeoutError:
        raise BadRequest(f"the body took more than {BODY_TIMEOUT_S:g} s") from None
    try:
        return b"".join(chunks).decode()
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
