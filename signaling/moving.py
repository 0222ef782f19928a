"""Requests for sessions of other gateways: where they are taken over, and where they are handed on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtc_stt.errors import NotFound
from signaling import entrance
from signaling.auth import OPEN
from signaling.calls import Caller, Host, Resume
from signaling.keys import FRONT, Front, Gate
from signaling.registry import Registry
from signaling.request import source_of
from signaling.resources import Resources
from signaling.settings import WebRtc
from signaling.shared.mover import Adopt, Mover
from signaling.shared.nodes import Node
from signaling.shared.records import Records
from signaling.shared.relay import MARK, Relay
from signaling.shared.roll import Roll
from signaling.shared.settings import Sharing
from signaling.shared.shared import Shared

__all__ = [
    "add_moving",
    "adopt_by",
    "bring",
    "go_on_elsewhere",
    "make_roll",
    "pass_on",
    "take_elsewhere",
]

GONE_CODE, GONE_MESSAGE = "moved", "another gateway goes on with this session"


class Elsewhere(Exception):
    """A living gateway has the session that is asked for."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node


def make_roll(
    host: Host, gate: Gate, resources: Resources, webrtc: WebRtc, shared: Shared | None, sharing: Sharing
) -> tuple[Roll, Mover | None]:
    """What is known of this gateway's sessions; and what moves them, where there are other gateways."""

    def owner(session_id: str) -> tuple[str, str] | None:
        key_id, nonce = gate.door.key_of(session_id), resources.nonce_of(session_id)
        return None if key_id is None else (key_id, nonce.hex() if nonce else "")

    if shared is None:
        return Roll(owner), None
    records = Records(
        shared.link,
        shared.nodes,
        resume_seconds=webrtc.resume_seconds,
        keeps_events=sharing.resume_across_nodes,
        owner=owner,
        on_lost=lambda session_id: host.expel(session_id, GONE_CODE, GONE_MESSAGE),
    )
    relay = Relay(lambda: shared.nodes.name)
    return records, Mover(records, shared.nodes, relay, gate.door, resources, gate.instrument)


def add_moving(app: web.Application, front: Front) -> None:
    """Let sessions be written down, and requests be handed on, while the application runs."""
    front.host.keeper = front.records

    async def running(_: web.Application) -> AsyncIterator[None]:
        if front.mover:
            front.mover.relay.start()
        yield
        await front.records.aclose()
        if front.mover:
            await front.mover.relay.aclose()

    app.cleanup_ctx.append(running)


async def bring(
    request: web.Request,
    resume: Resume,
    adopt: Adopt,
    *,
    replays: bool = False,
    position: int | None = None,
) -> Node | None:
    """See :meth:`~signaling.shared.mover.Mover.bring`; None also where this gateway is alone."""
    mover = request.app[FRONT].mover
    if mover is None:
        return None
    return await mover.bring(
        resume,
        source_of(request).address,
        adopt,
        may_forward=MARK not in request.headers,
        replays=replays,
        position=position,
    )


async def take_elsewhere(request: web.Request, name: str) -> Node | None:
    """The gateway to which a request for this connection is to be handed on; None: it is for this one.

    Raises:
        TooMany: they come too fast.
    """
    front = request.app[FRONT]
    if front.mover is None or MARK in request.headers or front.resources.get(name):
        return None
    node = front.mover.at(name)
    if node:
        await entrance.count(front.gate, Caller(OPEN, source_of(request).address))
    return node


async def pass_on(request: web.Request, node: Node, body: bytes = b"") -> web.Response:
    """See :meth:`~signaling.shared.relay.Relay.pass_on`."""
    mover = request.app[FRONT].mover
    if mover is None:
        raise NotFound("there is no such session, or it ended long ago")
    return await mover.relay.pass_on(request, node, source_of(request).address, body)


async def go_on_elsewhere(request: web.Request, ws: web.WebSocketResponse, node: Node, first: str) -> None:
    """See :meth:`~signaling.shared.relay.Relay.bridge`."""
    mover = request.app[FRONT].mover
    assert mover, "it has found the gateway"
    await mover.relay.bridge(ws, request, node, source_of(request).address, first)


def adopt_by(streams: Registry) -> Adopt:
    """By who carries WebSockets."""
    return lambda token, handover: streams.adopt(token, handover, transport="websocket")
