"""WebRTC ingest by WHIP (RFC 9725): POST an offer, get an answer and a resource, DELETE it to end.

Trickle (PATCH) is not offered, as §4.3 allows: an offer carries its candidates.
"""

from __future__ import annotations

from aiohttp import web

from rtc_stt.errors import UnsupportedMedia
from signaling.calls import Call, Resume
from signaling.keys import REGISTRY
from signaling.request import read_text
from signaling.sdp import MAX_OFFER_BYTES

__all__ = ["add_routes"]

SDP_TYPE = "application/sdp"


async def post(request: web.Request) -> web.Response:
    """§4.2: 201 with the answer, and a Location that names the session."""
    if request.content_type != SDP_TYPE:
        raise UnsupportedMedia(f"send the offer with Content-Type: {SDP_TYPE}")
    offer = await read_text(request, MAX_OFFER_BYTES)
    connected = await request.app[REGISTRY].connect(Call(offer, _read_resume(request)))
    return web.Response(
        status=201,
        text=connected.sdp,
        content_type=SDP_TYPE,
        headers={"Location": f"/whip/{connected.peer_id}", "ETag": f'"{connected.peer_id}"'},
    )


def _read_resume(request: web.Request) -> Resume | None:
    token, last_seq = request.headers.get("Resume-Token"), request.headers.get("Resume-From", "")
    return Resume(token, int(last_seq) if last_seq.isdecimal() else 0) if token else None


async def delete(request: web.Request) -> web.Response:
    """§4.2: end the session; what is open is finalised first."""
    await request.app[REGISTRY].disconnect(request.match_info["id"])
    return web.Response(status=200)


async def options(_request: web.Request) -> web.Response:
    """§4.2: what may be posted here."""
    return web.Response(status=200, headers={"Accept-Post": SDP_TYPE, "Allow": "POST, OPTIONS"})


def add_routes(app: web.Application) -> None:
    """Add the WHIP endpoint."""
    app.router.add_post("/whip", post)
    app.router.add_options("/whip", options)
    app.router.add_delete("/whip/{id}", delete)
