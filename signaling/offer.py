"""The SmallWebRTC dialect (as Pipecat's browser clients speak it): a JSON offer, a JSON answer.

Renegotiation and trickle are not served here yet; an offer carries all its candidates.
"""

from __future__ import annotations

import contextlib
import json

from aiohttp import web

from rtc_stt.errors import BadRequest, NotFound, Unprocessable, UnsupportedMedia
from signaling.calls import Call
from signaling.keys import REGISTRY
from signaling.request import read_text
from signaling.sdp import MAX_OFFER_BYTES

__all__ = ["add_routes"]


async def post(request: web.Request) -> web.Response:
    """``{sdp, type, pc_id?, restart_pc?}`` → ``{sdp, type, pc_id}``.

    With ``pc_id`` and ``restart_pc`` the old connection is ended and this one takes its place.
    """
    # A page of another origin cannot send this type without asking first, so none can use a local server.
    if request.content_type != "application/json":
        raise UnsupportedMedia("send the offer with Content-Type: application/json")
    body = _read(await read_text(request, 2 * MAX_OFFER_BYTES))
    registry = request.app[REGISTRY]
    if old := body.get("pc_id"):
        if not body.get("restart_pc"):
            raise Unprocessable("renegotiation is not offered: send restart_pc: true for a new connection")
        with contextlib.suppress(NotFound):  # it has ended by itself, which is what was asked for
            await registry.disconnect(str(old))
    connected = await registry.connect(Call(str(body["sdp"])))
    return web.json_response({"sdp": connected.sdp, "type": "answer", "pc_id": connected.peer_id})


def _read(text: str) -> dict[str, object]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict) or body.get("type") != "offer" or not isinstance(body.get("sdp"), str):
        raise BadRequest('the body should be {"type": "offer", "sdp": "…"}')
    return body


def add_routes(app: web.Application) -> None:
    """Add the endpoint."""
    app.router.add_post("/api/offer", post)
