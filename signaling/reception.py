"""What WHIP and SmallWebRTC have in common: an offer comes in, is looked at, and goes to the host."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from aiohttp import web

from rtc_stt.errors import ClientError, NotFound, SessionGone, Unavailable, Unprocessable
from rtc_stt.logs import bound
from signaling import entrance
from signaling.auth import OPEN, Pass
from signaling.calls import Call, Caller, Connected, Fragment, Resume
from signaling.dialects.dialect import Beginning
from signaling.door import Redirect, Ticket
from signaling.keys import FRONT, GATE, Front
from signaling.moving import Elsewhere, bring
from signaling.request import id_of, note_key, source_of
from signaling.resources import Resource
from signaling.sanitiser import Offer, clean_offer
from signaling.sdp import complete_answer, rewrite_candidates

__all__ = [
    "Answer",
    "answer_call",
    "answer_further",
    "caller_of",
    "end_session",
    "find_resource",
    "identify",
    "identify_caller",
    "make_room",
    "trickle",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told."""

    sdp: str
    resource: Resource
    shown: Pass


def identify(request: web.Request, authorization: str | None = None) -> Pass:
    """Who asks, by header or query. See :meth:`Authority.identify`.

    Args:
        authorization: what stands for the header ``Authorization``, where another protocol says it elsewhere
            or otherwise.
    """
    authorization = authorization or request.headers.get("Authorization")
    return note_key(
        request,
        request.app[GATE].authority.identify(authorization, request.query.get("access_token")),
    )


def caller_of(request: web.Request, shown: Pass) -> Caller:
    """Whom limits are held against."""
    return Caller(shown.key_id, source_of(request).address)


def identify_caller(
    request: web.Request, resume: Resume | None = None, authorization: str | None = None
) -> Pass:
    """Who makes an offer. ``authorization``: see :func:`identify`.

    Raises:
        Unauthorized: no key or token where one is needed, or a token that may not begin a session.
    """
    if resume:
        # The resume token is a better proof than a key: it was told to the session's own client only.
        return Pass(OPEN)
    shown = identify(request, authorization)
    if shown.token:
        request.app[GATE].authority.tokens.check(shown.token, time.time())
    return shown


async def answer_call(
    request: web.Request,
    shown: Pass,
    sdp: str,
    resume: Resume | None,
    *,
    reject_video: bool = False,
    text: str = "",
) -> Answer:
    """A new connection, of a new session or one that goes on.

    Args:
        text: see :class:`~signaling.dialects.dialect.Beginning`.

    Raises:
        TokenReplayed, TooMany, Unavailable, Redirect: may not come in, or not now.
        BadRequest, Unprocessable: the offer cannot be answered.
        SessionGone: there is nothing to resume.
        Elsewhere: another gateway has it.
    """
    front = request.app[FRONT]
    ticket = await entrance.admit(front.gate, caller_of(request, shown), resuming=resume is not None)
    beginning = Beginning(id_of(request), time.time(), text)
    try:
        offer = _clean(front, sdp, reject_video=reject_video)
        if resume and (node := await bring(request, resume, front.host.adopt)):
            raise Elsewhere(node)
        connected = await _connect(front, ticket, shown, Call(offer.sdp, resume, beginning, bound()))
    except BaseException:
        front.gate.door.release(ticket)
        raise
    resource = front.resources.add(
        connected.peer_id, connected.session_id, offer, shown, resume.token if resume else None
    )
    front.gate.door.hold(ticket, connected.session_id)
    return _answer(front, connected, offer, resource, shown)


async def _connect(front: Front, ticket: Ticket, shown: Pass, call: Call) -> Connected:
    if shown.token:
        await entrance.spend(front.gate, shown.token)
    try:
        await make_room(front, ticket)
        return await front.host.connect(call)
    except BaseException as error:
        if shown.token:
            entrance.unspend(front.gate, shown.token)
        if isinstance(error, NotFound):
            front.gate.instrument.session_refused("gone")
            raise SessionGone("the session has ended, or never was: begin a new one") from error
        if isinstance(error, ClientError):
            front.gate.instrument.session_refused("offer")
        if isinstance(error, Unavailable) and front.redirect_url and not call.resume:
            raise Redirect(front.redirect_url) from error
        raise


async def make_room(front: Front, ticket: Ticket) -> None:
    """End the session that has to go for this one, if there is any."""
    evicted = front.gate.door.make_room(ticket)
    if evicted and (waiting := front.resources.latest(evicted)):
        with contextlib.suppress(NotFound):
            await front.host.disconnect(waiting.peer_id)


async def answer_further(request: web.Request, resource: Resource, sdp: str) -> Answer:
    """A further offer on a connection that stands (a track was switched off or on).

    Raises:
        BadRequest, Unprocessable: it cannot be answered; the connection goes on as it was.
        NotFound: the connection has ended.
        TooMany: too many of them.
    """
    front = request.app[FRONT]
    shown = Pass(resource.key_id)
    await entrance.count(front.gate, caller_of(request, shown))
    offer = _clean(front, sdp, reject_video=True, further=True)
    if offer.ufrag != resource.ufrag:
        raise Unprocessable("an ICE restart is not offered: make a new connection and resume the session")
    connected = await front.host.renegotiate(resource.peer_id, offer.sdp)
    return _answer(front, connected, offer, resource, shown)


def _answer(front: Front, connected: Connected, offer: Offer, resource: Resource, shown: Pass) -> Answer:
    outside = rewrite_candidates(connected.sdp, front.public_ips)
    return Answer(complete_answer(outside, offer.rejected), resource, shown)


def _clean(front: Front, sdp: str, *, reject_video: bool, further: bool = False) -> Offer:
    try:
        return clean_offer(sdp, front.reach, reject_video=reject_video, further=further)
    except ClientError:
        front.gate.instrument.session_refused("offer")
        raise


def find_resource(request: web.Request, peer_id: str) -> Resource:
    """The connection that a request is about, if it is the asker's.

    Raises:
        Unauthorized: no key or token.
        NotFound: there is none, its end was long ago, or it is someone else's.
    """
    resource = request.app[FRONT].resources.get(peer_id)
    resume_token = request.headers.get("Resume-Token")
    if resource and resume_token and resource.resumed_with(resume_token):
        return resource
    shown = identify(request)
    if resource is None or not resource.belongs_to(shown):
        raise NotFound("there is no such session, or it ended long ago")
    return resource


async def trickle(request: web.Request, resource: Resource, fragment: Fragment) -> None:
    """Hand candidates over.

    Raises:
        Unprocessable: they belong to another ICE generation: a restart.
        NotFound: the connection has ended.
        TooMany: messages come too fast.
    """
    if fragment.ufrag is not None and fragment.ufrag != resource.ufrag:
        raise Unprocessable("an ICE restart is not offered: make a new connection and resume the session")
    candidates = resource.take(fragment.candidates, _now())
    await request.app[FRONT].host.trickle(
        resource.peer_id, Fragment(candidates, fragment.ufrag, fragment.end)
    )


async def end_session(request: web.Request, resource: Resource, *, makes_room: bool = False) -> None:
    """End it; one that has ended by itself is no error.

    Args:
        makes_room: its place is free at once, before its last final is out: its client takes it again.
    """
    front = request.app[FRONT]
    if makes_room and front.resources.latest(resource.session_id) is resource:
        front.gate.door.leave(resource.session_id)
    with contextlib.suppress(NotFound):
        await front.host.disconnect(resource.peer_id)


def _now() -> float:
    return asyncio.get_running_loop().time()
