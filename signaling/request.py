"""What every request passes: an id, the checks of name, origin and key, limits on the body, error form."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from rtc_stt.errors import BadRequest, ClientError, Forbidden, TooMany, Unauthorized, Unavailable, trace
from signaling.door import Redirect
from signaling.forwarding import Source, find_source
from signaling.keys import GATE, Gate
from signaling.tokens import TokenExpired, TokenReplayed, TokenWrong

__all__ = ["error_response", "middleware", "read_text", "source_of"]

log = logging.getLogger(__name__)

BODY_TIMEOUT_S = 5.0
"""aiohttp has no limit of its own for the time that a body takes."""

OPEN_PATHS = ("/web/", "/v1/health", "/v1/ready")
PAGES = ("/", "/diagnose")
"""What needs no key."""

SHARED_PATHS = ("/whip", "/api/offer", "/v1/tokens", "/v1/ice-servers", "/v1/stream")
"""What pages of other origins may use, if they are allowed. These look at keys and tokens themselves."""

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
    request_id = secrets.token_hex(8)
    request.app[GATE].connections.heard(request.transport)
    response = await _respond(request, handler, request_id)
    if response.prepared:  # a WebSocket that is over
        return response
    response.headers["X-Req-Id"] = request_id
    for name, value in (*SECURITY_HEADERS.items(), *_sharing(request).items()):
        response.headers.setdefault(name, value)
    return response


async def _respond(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    request_id: str,
) -> web.StreamResponse:
    """What the handler says, or what it raises in the contract's form."""
    gate = request.app[GATE]
    try:
        _check(request, gate)
        return await handler(request)
    except (ClientError, Unavailable) as error:
        response = error_response(error.status, error.type, str(error), request_id)
        if reason := _reason(error):
            gate.instrument.session_refused(reason)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, TooMany | Unavailable):
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    except Redirect as error:
        response = error_response(error.status, "redirect", str(error), request_id)
        response.headers["Location"] = error.url.rstrip("/") + request.path_qs
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_response(
            error.status, error.reason.lower().replace(" ", "_"), error.reason, request_id
        )
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as error:  # its message may quote the request
        log.error("request %s failed: %s", request_id, trace(error))
        return error_response(500, "internal", "the server made a mistake; its log has the id", request_id)


def _check(request: web.Request, gate: Gate) -> None:
    """Where the request thinks it is, whose page sent it, and for what is not shared: its key."""
    host = request.headers.get("Host", "")  # request.host would ask the resolver where there is none
    if host:  # every browser sends one
        gate.origins.check_host(host)
    if _is_shared(request.path):
        gate.origins.check(request.headers.get("Origin"), host)
    elif request.path not in PAGES and not request.path.startswith(OPEN_PATHS):
        shown = gate.authority.identify(request.headers.get("Authorization"))
        if shown.token:
            raise Unauthorized("this needs a key; a token begins a session, no more")


def _reason(error: Exception) -> str | None:
    """What :meth:`Instrument.session_refused` is told; of limits and offers it is told where they are."""
    if isinstance(error, TokenWrong | TokenExpired | TokenReplayed):
        return "token"
    if isinstance(error, Unauthorized):
        return "key"
    return "origin" if isinstance(error, Forbidden) else None


def _is_shared(path: str) -> bool:
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


def error_response(status: int, kind: str, message: str, request_id: str) -> web.Response:
    """An error as the contract has it."""
    body = {"error": {"type": kind, "message": message, "request_id": request_id}}
    return web.json_response(body, status=status)


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
