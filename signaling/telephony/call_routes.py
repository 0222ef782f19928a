"""``/v1/calls``: what calls there are, what is to come, who may hear them, and how one is ended."""

from __future__ import annotations

import asyncio
import json
import time

from aiohttp import web

from rtc_stt.errors import BadRequest, Gone, Unauthorized, UnsupportedMedia
from rtc_stt.events import PROTOCOL
from signaling import entrance
from signaling.auth import Pass
from signaling.keys import GATE
from signaling.live_socket import CLOSE_TIMEOUT_S
from signaling.reception import caller_of
from signaling.request import id_headers, identify_by_header, note_key, read_text
from signaling.telephony.announcement import MAX_BODY_BYTES, read_announcement
from signaling.telephony.call_socket import MAX_MESSAGE_BYTES, CallSocket
from signaling.telephony.hub import CallHub
from signaling.telephony.listen_token import PREFIX, make_listen_token, read_listen_token
from signaling.telephony.registrations import REGISTERED_S

__all__ = ["CALLS", "DEFAULT_LIMIT", "MAX_LIMIT", "add_routes"]

CALLS = web.AppKey("calls", CallHub)
"""All phone calls of this process."""

ID = "{call_id:[A-Za-z0-9_-]{16}}"

DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000
"""Calls that one answer tells of."""

CALLS_A_GO = 20
"""That are told of before others have their turn: a millisecond, where each has all the parameters it may."""

MAX_SEQ = 2**53
NO_STORE = {"Cache-Control": "no-store"}


# ── Calls ────────────────────────────────────────────────────────────


async def get_calls(request: web.Request) -> web.Response:
    """``GET /v1/calls?limit=100``: ``{calls, total}``, the newest first."""
    shown, limit = await _identify(request), _read_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    calls, told = request.app[CALLS].calls_of(shown), list[str]()
    for number, call in enumerate(calls[:limit], 1):
        told.append(json.dumps(call.describe()))
        if number % CALLS_A_GO == 0:
            await asyncio.sleep(0)
    body = f'{{"calls": [{", ".join(told)}], "total": {len(calls)}}}'
    return web.Response(text=body, content_type="application/json", headers=NO_STORE)


async def get_call(request: web.Request) -> web.Response:
    """``GET /v1/calls/{id}``: one that goes on, or ended within the last minutes."""
    call = request.app[CALLS].find(request.match_info["call_id"], await _identify(request))
    return web.json_response(call.describe(), headers=NO_STORE)


async def delete_call(request: web.Request) -> web.Response:
    """``DELETE /v1/calls/{id}``: hang up; or do not expect one any more. 204, also where it has ended."""
    shown, hub, call_id = await _identify(request), request.app[CALLS], request.match_info["call_id"]
    if registration := hub.find_expected(call_id, shown):
        hub.forget(registration)
    else:
        hub.hang_up(hub.find(call_id, shown))
    return web.Response(status=204)


async def post_call(request: web.Request) -> web.Response:
    """``POST /v1/calls``: expect a call. 201 with ``{call_id, uuid, events_url, expires_in}``."""
    shown, hub = await _identify(request), request.app[CALLS]
    if request.content_type != "application/json":
        raise UnsupportedMedia("the body is application/json")
    announcement = read_announcement(await read_text(request, MAX_BODY_BYTES))
    if problems := hub.check_options(announcement.options):
        raise BadRequest(f"options: {problems[0]}")
    caller = caller_of(request, shown)
    registration = hub.register(announcement.details(shown.key_id, caller.address), announcement.uuid)
    body = {
        "call_id": registration.call_id,
        "uuid": registration.uuid,
        "events_url": f"/v1/calls/{registration.call_id}/events",
        "expires_in": round(REGISTERED_S),
    }
    return web.json_response(body, status=201, headers=NO_STORE)


async def post_token(request: web.Request) -> web.Response:
    """``POST /v1/calls/{id}/tokens``: 201 with ``{token, expires_in}``, to hear this call with."""
    shown, hub, call_id = await _identify(request), request.app[CALLS], request.match_info["call_id"]
    if not hub.find_expected(call_id, shown):
        hub.find(call_id, shown)
    authority = request.app[GATE].authority
    seconds = authority.tokens.seconds
    token = make_listen_token(authority, shown.key_id, call_id, int(time.time()) + seconds)
    return web.json_response({"token": token, "expires_in": seconds}, status=201, headers=NO_STORE)


# ── Events ────────────────────────────────────────────────────────────


async def get_events(request: web.Request) -> web.StreamResponse:
    """``GET /v1/calls/{id}/events?last_seq=0``: a WebSocket that hears a call, also one that is to come."""
    call_id, hub = request.match_info["call_id"], request.app[CALLS]
    shown = await _identify_listener(request, call_id)
    if not hub.find_expected(call_id, shown):
        hub.find(call_id, shown)
    return await _listen(request, shown, call_id, _read_number(request, "last_seq", 0, 0, MAX_SEQ))


async def get_all_events(request: web.Request) -> web.StreamResponse:
    """``GET /v1/calls/events``: a WebSocket that hears all calls of the asker, from now on."""
    return await _listen(request, await _identify_listener(request, None), None, 0)


async def _listen(
    request: web.Request, shown: Pass, call_id: str | None, last_seq: int
) -> web.WebSocketResponse:
    """Upgrade, and let it hear until it leaves or is dismissed.

    Raises:
        BadRequest: it is no WebSocket.
        TooMany, Unavailable: there are too many.
    """
    hub = request.app[CALLS]
    ws = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S,
        protocols=(PROTOCOL,),
        autoping=False,
        compress=False,
        max_msg_size=MAX_MESSAGE_BYTES + 1,
    )
    if not ws.can_prepare(request):
        raise BadRequest("this is a WebSocket: connect with Upgrade: websocket, version 13")
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if offered != [""] and PROTOCOL not in offered:
        raise BadRequest(f"this server speaks the subprotocol {PROTOCOL}; or offer none")
    socket = CallSocket(ws, call_id, last_seq)
    hub.listen(socket, shown, call_id)
    try:
        ws.headers.update(id_headers(request))
        await ws.prepare(request)
        if request.transport:
            log, is_over = hub.log_of(call_id) if call_id else (None, False)
            await socket.run(request.transport, log, is_over=is_over)
    except ConnectionError as error:
        raise Gone from error
    finally:
        hub.part(socket)
    return ws


# ── Who asks ────────────────────────────────────────────────────────────


async def _identify(request: web.Request) -> Pass:
    """Whoever shows a key; that it is none of a token has been seen."""
    gate = request.app[GATE]
    shown = identify_by_header(request)
    await entrance.count(gate, caller_of(request, shown))
    return shown


async def _identify_listener(request: web.Request, call_id: str | None) -> Pass:
    """A key in the header, or for one call a token of its own, in the header or in the query.

    Raises:
        Unauthorized, TokenWrong, TokenExpired: neither.
    """
    gate = request.app[GATE]
    authorization = request.headers.get("Authorization")
    scheme, _, given = (authorization or "").partition(" ")
    token = request.query.get("access_token") if authorization is None else None
    if scheme.lower() == "bearer" and given.strip().startswith(PREFIX):
        token = given.strip()
    if call_id is not None and token is not None and token.startswith(PREFIX):
        shown = read_listen_token(gate.authority, token, call_id, time.time())
    else:
        shown = note_key(request, gate.authority.identify(authorization, token))
        if shown.token:
            raise Unauthorized(
                "a token of POST /v1/tokens begins a session; to hear a call: POST /v1/calls/{id}/tokens"
            )
    await entrance.count(gate, caller_of(request, shown))
    return shown


def _read_number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and low <= int(text) <= high):
        raise BadRequest(f"{name} is a number from {low} to {high}")
    return int(text)


def add_routes(app: web.Application, hub: CallHub) -> None:
    """Add the endpoints."""
    app[CALLS] = hub
    app.router.add_get("/v1/calls", get_calls)
    app.router.add_post("/v1/calls", post_call)
    app.router.add_get("/v1/calls/events", get_all_events, allow_head=False)
    app.router.add_get(f"/v1/calls/{ID}", get_call)
    app.router.add_delete(f"/v1/calls/{ID}", delete_call)
    app.router.add_post(f"/v1/calls/{ID}/tokens", post_token)
    app.router.add_get(f"/v1/calls/{ID}/events", get_events, allow_head=False)
