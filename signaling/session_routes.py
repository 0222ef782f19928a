"""Which sessions there are, for operators: of this gateway, and of the others where it shares with them."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from rtc_stt.errors import BadRequest, Forbidden
from signaling import entrance
from signaling.keys import FRONT, SERVER, Gate
from signaling.reception import caller_of
from signaling.request import identify_by_header
from signaling.shared.record import Record

__all__ = ["DEFAULT_SESSIONS", "MAX_SESSIONS", "add_routes"]

DEFAULT_SESSIONS, MAX_SESSIONS = 100, 1_000
"""On one page, about."""

MAX_DIGITS = 20
"""Of a cursor: Redis' are 64 bits."""


async def get_sessions(request: web.Request) -> web.Response:
    """``GET /v1/sessions?limit=100&cursor=0``: ``{sessions, scope, next}``.

    Each of the sessions is ``{id, node, key, transport, state, age_s, audio_seconds}``. There is no order. A
    page may hold fewer than ``limit`` and not be the last: that is the one whose ``next`` is null.
    """
    front, shown = request.app[FRONT], identify_by_header(request)
    gate = front.gate
    await entrance.count(gate, caller_of(request, shown))
    is_alone_here = gate.authority.is_open and request.app[SERVER].is_loopback
    if not is_alone_here and not gate.authority.is_operator(shown.key_id):
        raise Forbidden("this needs the key of an operator: operator=yes in its line of API_KEYS_FILE")
    limit = _read(request.query.get("limit"), "limit", DEFAULT_SESSIONS, MAX_SESSIONS)
    cursor = _read(request.query.get("cursor"), "cursor", 0, 2**64)
    found, after, scope = await front.records.page(cursor, limit)
    body = {
        "sessions": [_told(record, gate) for record in found],
        "scope": scope,
        "next": str(after) if after else None,
    }
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _told(record: Record, gate: Gate) -> dict[str, Any]:
    return {
        "id": record.session_id,
        "node": record.node,
        "key": gate.usage.account(record.key_id).name,
        "transport": record.transport,
        "state": "connected" if record.connected else "waiting",
        "age_s": round(max(0.0, time.time() - record.began), 3),
        "audio_seconds": round(record.seconds, 3),
    }


def _read(text: str | None, name: str, default: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and int(text) <= most):
        raise BadRequest(f"{name} is a number up to {most}")
    return max(1, int(text)) if name == "limit" else int(text)


def add_routes(app: web.Application) -> None:
    """Add the endpoint."""
    app.router.add_get("/v1/sessions", get_sessions)
