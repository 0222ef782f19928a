"""The SmallWebRTC dialect (as Pipecat's clients speak it): a JSON offer, a JSON answer, JSON candidates.

Its browser client always offers video, and speaks whether or not it is taken: the answer turns it down.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from aiohttp import web

from rtc_stt.errors import BadRequest, NotFound, UnsupportedMedia
from signaling.dialects.rtvi import read_options
from signaling.keys import FRONT
from signaling.moving import Elsewhere, pass_on, take_elsewhere
from signaling.reception import (
    answer_call,
    answer_further,
    end_session,
    find_resource,
    identify,
    identify_caller,
    trickle,
)
from signaling.request import read_text
from signaling.resume import read_resume
from signaling.sdp import MAX_OFFER_BYTES
from signaling.trickle import MAX_FRAGMENT_BYTES, MAX_VALUES, read_candidates

__all__ = ["add_routes"]

JSON_TYPE = "application/json"


async def post(request: web.Request) -> web.Response:
    """``{sdp, type, pc_id?, restart_pc?, requestData?, …}`` → ``{sdp, type, pc_id}``.

    Of ``requestData`` only :func:`~signaling.dialects.rtvi.read_options` is ours. ``resume_token`` and
    ``resume_from`` may come too. With ``pc_id`` it is a further offer on that
    connection; with ``restart_pc`` too, the old connection's session is ended and this one begins another,
    unless it resumes.
    """
    body = _read(told := await _json(request, 2 * MAX_OFFER_BYTES))
    sdp: str = body["sdp"]
    options = read_options(body.get("requestData"))
    resume = read_resume(body.get("resume_token"), body.get("resume_from"))
    old = None if resume else body.get("pc_id")
    if old and not body.get("restart_pc"):
        if node := await take_elsewhere(request, str(old)):
            return await pass_on(request, node, json.dumps(told).encode())
        answer = await answer_further(request, find_resource(request, str(old)), sdp)
        return _response(answer.sdp, answer.resource.peer_id)
    shown = identify_caller(request, resume)
    if old:
        with contextlib.suppress(NotFound):  # it has ended by itself, which is what was asked for
            await end_session(request, find_resource(request, str(old)), makes_room=True)
    try:
        answer = await answer_call(request, shown, sdp, resume, reject_video=True, text=options)
    except Elsewhere as found:
        return await pass_on(request, found.node, json.dumps(told).encode())
    return _response(answer.sdp, answer.resource.peer_id)


async def patch(request: web.Request) -> web.Response:
    """``{pc_id, candidates: [{candidate, sdp_mid, sdp_mline_index}]}``: candidates found after the offer."""
    body = await _json(request, 2 * MAX_FRAGMENT_BYTES)
    found = body.get("candidates")
    if not isinstance(body.get("pc_id"), str) or not isinstance(found, list) or len(found) > MAX_VALUES:
        raise BadRequest('the body should be {"pc_id": "…", "candidates": [{"candidate": "…"}]}')
    told = [entry.get("candidate") if isinstance(entry, dict) else None for entry in found]
    values = [value for value in told if isinstance(value, str)]
    if len(values) < len(told):
        raise BadRequest('each of the candidates should be {"candidate": "…", "sdp_mid": "…"}')
    if node := await take_elsewhere(request, body["pc_id"]):
        return await pass_on(request, node, json.dumps(body).encode())
    resource = find_resource(request, body["pc_id"])
    await trickle(request, resource, read_candidates(values, request.app[FRONT].reach))
    return web.json_response({"status": "success"})


async def options(_request: web.Request) -> web.Response:
    """What may be done here."""
    return web.Response(status=200, headers={"Allow": "POST, PATCH, OPTIONS"})


def _response(sdp: str, pc_id: str) -> web.Response:
    return web.json_response({"sdp": sdp, "type": "answer", "pc_id": pc_id})


async def _json(request: web.Request, limit: int) -> dict[str, Any]:
    # A page of another origin cannot send this type without asking first.
    if request.content_type != JSON_TYPE:
        identify(request)  # who has no key is told that first
        raise UnsupportedMedia("send it with Content-Type: application/json")
    try:
        body = json.loads(await read_text(request, limit))
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


def _read(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("type") != "offer" or not isinstance(body.get("sdp"), str):
        raise BadRequest('the body should be {"type": "offer", "sdp": "…"}')
    return body


def add_routes(app: web.Application) -> None:
    """Add the endpoint."""
    app.router.add_post("/api/offer", post)
    app.router.add_patch("/api/offer", patch)
    app.router.add_options("/api/offer", options)
