"""What every request passes: an id, the key check, limits on the body, errors in the contract's form."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from rtc_stt.errors import BadRequest, ClientError, Unavailable
from signaling.auth import check_key
from signaling.keys import SERVER

__all__ = ["error_response", "middleware", "read_text"]

log = logging.getLogger(__name__)

BODY_TIMEOUT_S = 5.0
"""aiohttp has no limit of its own for the time that a body takes."""

OPEN_PATHS = ("/web/", "/v1/health", "/v1/ready")
"""What needs no key, besides the page itself."""

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
    try:
        if request.path != "/" and not request.path.startswith(OPEN_PATHS):
            check_key(request.headers.get("Authorization"), request.app[SERVER].api_keys)
        response = await handler(request)
    except ClientError as error:
        response = error_response(error.status, error.type, str(error), request_id)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
    except Unavailable as error:
        response = error_response(error.status, error.type, str(error), request_id)
        response.headers["Retry-After"] = str(error.retry_after_s)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_response(
            error.status, error.reason.lower().replace(" ", "_"), error.reason, request_id
        )
        for name in ("Allow",):
            if name in error.headers:
                response.headers[name] = error.headers[name]
    except Exception:
        log.exception("request %s failed", request_id)
        response = error_response(
            500, "internal", "the server made a mistake; its log has the id", request_id
        )
    response.headers["X-Req-Id"] = request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


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
