"""WebRTC ingest by WHIP (RFC 9725): POST an offer, get an answer and a resource; PATCH it with candidates,
DELETE it to end. ICE restarts are not offered, as §4.3.3 allows: a new connection resumes the session.
"""

from __future__ import annotations

import time

from aiohttp import web

from rtc_stt.errors import PreconditionFailed, PreconditionRequired, Unprocessable, UnsupportedMedia
from signaling.keys import FRONT
from signaling.moving import Elsewhere, pass_on, take_elsewhere
from signaling.reception import (
    answer_call,
    end_session,
    find_resource,
    identify_caller,
    trickle,
)
from signaling.request import read_text
from signaling.resources import Resource
from signaling.resume import read_resume
from signaling.sdp import MAX_OFFER_BYTES
from signaling.trickle import MAX_FRAGMENT_BYTES, read_fragment

__all__ = ["add_routes"]

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"


async def post(request: web.Request) -> web.Response:
    """§4.2: 201 with the answer, and a Location that names the connection."""
    resume = read_resume(request.headers.get("Resume-Token"), request.headers.get("Resume-From"))
    shown = identify_caller(request, resume)
    if request.content_type != SDP_TYPE:
        raise UnsupportedMedia(f"send the offer with Content-Type: {SDP_TYPE}")
    offer = await read_text(request, MAX_OFFER_BYTES)
    try:
        answer = await answer_call(request, shown, offer, resume)
    except Elsewhere as found:
        return await pass_on(request, found.node, offer.encode())
    response = web.Response(
        status=201,
        text=answer.sdp,
        content_type=SDP_TYPE,
        headers={"Location": f"/whip/{answer.resource.peer_id}", "ETag": answer.resource.etag},
    )
    for server in request.app[FRONT].ice.told(answer.shown.key_id, time.time()):
        for link in server.links():  # §4.6
            response.headers.add("Link", link)
    return response


async def patch(request: web.Request) -> web.Response:
    """§4.3.2: candidates that were found after the offer."""
    if node := await take_elsewhere(request, request.match_info["id"]):
        return await pass_on(request, node, (await read_text(request, MAX_FRAGMENT_BYTES)).encode())
    resource = find_resource(request, request.match_info["id"])
    if request.content_type != FRAGMENT_TYPE:
        raise UnsupportedMedia(f"send the candidates with Content-Type: {FRAGMENT_TYPE}")
    _check_precondition(request.headers.get("If-Match"), resource)
    body = await read_text(request, MAX_FRAGMENT_BYTES)
    await trickle(request, resource, read_fragment(body, request.app[FRONT].reach))
    return web.Response(status=204)


async def delete(request: web.Request) -> web.Response:
    """§4.2: end the session; what is open is finalised first. Any If-Match is ignored, as §4.3.1 wants it."""
    if node := await take_elsewhere(request, request.match_info["id"]):
        return await pass_on(request, node)
    await end_session(request, find_resource(request, request.match_info["id"]))
    return web.Response(status=200)


async def nothing(request: web.Request) -> web.Response:
    """GET and HEAD have no meaning yet (§4.2): a success without content."""
    if "id" in request.match_info:
        if node := await take_elsewhere(request, request.match_info["id"]):
            return await pass_on(request, node)
        find_resource(request, request.match_info["id"])
    return web.Response(status=204)


async def options(_request: web.Request) -> web.Response:
    """§4.2: what may be posted here."""
    return web.Response(status=200, headers={"Accept-Post": SDP_TYPE, "Allow": "GET, HEAD, POST, OPTIONS"})


async def resource_options(_request: web.Request) -> web.Response:
    """What may be done to a connection."""
    return web.Response(
        status=200,
        headers={"Accept-Patch": FRAGMENT_TYPE, "Allow": "GET, HEAD, PATCH, DELETE, OPTIONS"},
    )


def _check_precondition(if_match: str | None, resource: Resource) -> None:
    if if_match is None:
        raise PreconditionRequired("send If-Match with the ETag of the 201 (RFC 9725 §4.3.2)")
    tags = [tag.strip() for tag in if_match.split(",")]
    if tags in (["*"], ['"*"']):  # §4.3.3; the RFC's own example has it in quotes
        raise Unprocessable("an ICE restart is not offered: make a new connection and resume the session")
    if resource.etag not in tags:
        raise PreconditionFailed("If-Match is not the ETag of this connection")


def add_routes(app: web.Application) -> None:
    """Add the WHIP endpoint and its resources."""
    router = app.router
    router.add_post("/whip", post)
    router.add_get("/whip", nothing)  # and HEAD
    router.add_options("/whip", options)
    router.add_patch("/whip/{id}", patch)
    router.add_delete("/whip/{id}", delete)
    router.add_get("/whip/{id}", nothing)
    router.add_options("/whip/{id}", resource_options)
