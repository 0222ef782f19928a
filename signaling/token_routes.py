"""What a browser asks for before it connects: a token in place of a key, and ICE servers."""

from __future__ import annotations

import secrets
import time

from aiohttp import web

from rtc_stt.errors import Unauthorized
from signaling import entrance
from signaling.auth import DEMO, OPEN, Pass
from signaling.keys import FRONT, GATE
from signaling.reception import caller_of, identify
from signaling.request import identify_by_header, source_of
from signaling.tokens import NONCE_BYTES

__all__ = ["NO_STORE", "add_routes", "make_token"]

NO_STORE = {"Cache-Control": "no-store"}


async def post_token(request: web.Request) -> web.Response:
    """``POST /v1/tokens``: 201 with ``{token, expires_in}``, for one session within that many seconds."""
    body = {"token": await make_token(request), "expires_in": request.app[GATE].authority.tokens.seconds}
    return web.json_response(body, status=201, headers=NO_STORE)


async def make_token(request: web.Request) -> str:
    """A token in the name of whoever asks for it, good from now on.

    Raises:
        Unauthorized: no key where one is needed, or a token in place of it.
        TooMany: they ask too often.
    """
    gate = request.app[GATE]
    shown = _owner(request)
    await entrance.count(gate, caller_of(request, shown))
    return gate.authority.issue(shown.key_id, time.time(), secrets.token_bytes(NONCE_BYTES))


async def get_ice_servers(request: web.Request) -> web.Response:
    """``GET /v1/ice-servers``: ``{iceServers, ttl_s}``, as ``RTCPeerConnection`` takes them."""
    front = request.app[FRONT]
    shown = identify(request)
    if shown.token:
        front.gate.authority.tokens.check(shown.token, time.time())
    servers = front.ice.told(shown.key_id, time.time())
    body = {"iceServers": [server.as_mapping() for server in servers], "ttl_s": front.ice.seconds}
    return web.json_response(body, headers=NO_STORE)


async def options(request: web.Request) -> web.Response:
    """What may be done here."""
    method = "POST" if request.path == "/v1/tokens" else "GET"
    return web.Response(status=200, headers={"Allow": f"{method}, OPTIONS"})


def _owner(request: web.Request) -> Pass:
    """In whose name a token is made. A token makes no tokens: it would live for ever."""
    gate = request.app[GATE]
    if "Authorization" not in request.headers:
        if gate.authority.is_open:
            return Pass(OPEN)
        # The demo's page on the machine itself. Requests of other pages were refused by their Origin, and
        # those that a proxy passes on are from who knows where.
        if gate.is_demo and source_of(request).is_local:
            return Pass(DEMO)
    shown = identify_by_header(request)
    if shown.token:
        raise Unauthorized("a token makes no tokens: send a key")
    return shown


def add_routes(app: web.Application) -> None:
    """Add the endpoints."""
    app.router.add_post("/v1/tokens", post_token)
    app.router.add_options("/v1/tokens", options)
    app.router.add_get("/v1/ice-servers", get_ice_servers)
    app.router.add_options("/v1/ice-servers", options)
