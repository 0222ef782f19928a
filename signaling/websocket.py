"""``GET /v1/stream``: who may open a WebSocket, and what its first message makes of it.

::

    key, origin, limits ──▶ 401, 403, 429, 503 as JSON, before the upgrade
        │
    upgrade, half-open ──10 s, or a wrong first message──▶ error, close 44xx
        │ configure
    a session, new or resumed ──▶ :class:`~signaling.stream_socket.StreamSocket`
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from aiohttp import WSMsgType, web

from rtc_stt.errors import BadRequest, ClientError, SessionGone, Unavailable, trace
from rtc_stt.events import PROTOCOL, SessionError
from rtc_stt.wire import encode_event
from signaling.attempt import STREAMS, Attempt, prepare
from signaling.calls import Resume
from signaling.keys import FRONT
from signaling.line import Line
from signaling.live_socket import CLOSE_TIMEOUT_S
from signaling.moving import adopt_by, bring, go_on_elsewhere
from signaling.reception import identify, identify_caller
from signaling.registry import Registry
from signaling.shared.nodes import Node
from signaling.stream_protocol import CONFIGURE_TIMEOUT_S, MAX_AUDIO_BYTES, Opening, close_code, read_opening
from signaling.stream_socket import StreamSocket

__all__ = ["add_routes"]

log = logging.getLogger(__name__)


class _Pending:
    """Those that have not said yet what they want."""

    def __init__(self) -> None:
        self.sockets: set[web.WebSocketResponse] = set()


PENDING = web.AppKey("pending", _Pending)


MAX_PINGS = 8
"""That may come before the first message."""


class _ClientLeft(Exception):
    """Before it said what it wants."""


async def stream(request: web.Request) -> web.StreamResponse:
    """See above. With ``?resume=1`` the first message names a session: no new one is counted."""
    resumes = request.query.get("resume") == "1"
    shown = identify(request) if resumes else identify_caller(request)
    _check_protocol(request)
    ws, attempt = await prepare(
        request, shown, protocols=(PROTOCOL,), max_bytes=MAX_AUDIO_BYTES, resumes=resumes
    )
    socket = None
    try:
        socket = await _open(request, ws, attempt)
    finally:
        if socket is None:
            attempt.undo()
    if socket:
        await socket.read()
    return ws


def _check_protocol(request: web.Request) -> None:
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if offered != [""] and PROTOCOL not in offered:
        raise BadRequest(f"this server speaks the subprotocol {PROTOCOL}; or offer none")


async def _open(request: web.Request, ws: web.WebSocketResponse, attempt: Attempt) -> StreamSocket | None:
    """From the upgrade to a session. Whatever goes wrong is told over the WebSocket: HTTP is over."""
    pending, instrument = request.app[PENDING].sockets, request.app[FRONT].gate.instrument
    pending.add(ws)
    try:
        opening, first = await _read_first(ws)
        if opening.resume and (node := await _bring(request, opening, opening.resume)):
            attempt.undo()  # it is another gateway's
            await go_on_elsewhere(request, ws, node, first)
            return None
        return _carry(request, ws, attempt, opening)
    except _ClientLeft:
        return None
    except TimeoutError:
        instrument.session_refused("configure")
        await _refuse(ws, "configure_timeout", f"no configure came within {CONFIGURE_TIMEOUT_S:g} s")
    except (ClientError, Unavailable) as error:
        if isinstance(error, ClientError):
            instrument.session_refused("gone" if isinstance(error, SessionGone) else "configure")
        await _refuse(ws, error.type, str(error))
    except Exception as error:
        log.error("a WebSocket could not be opened: %s", trace(error))
        await _refuse(ws, "server_error", "the server made a mistake")
    finally:
        pending.discard(ws)
    return None


async def _bring(request: web.Request, opening: Opening, resume: Resume) -> Node | None:
    """The gateway that has the session, where it is not this one."""
    position = None
    if opening.replay and opening.replay_from is not None:
        position = opening.audio.position_of(opening.replay_from)
    adopt = adopt_by(request.app[STREAMS])
    return await bring(request, resume, adopt, replays=opening.replay, position=position)


async def _read_first(ws: web.WebSocketResponse) -> tuple[Opening, str]:
    async with asyncio.timeout(CONFIGURE_TIMEOUT_S):
        for _ in range(MAX_PINGS):
            message = await ws.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                return read_opening(message.data), message.data
            if message.type is WSMsgType.PING:
                await ws.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                raise _ClientLeft
    raise BadRequest("pings are no configure")


def _carry(
    request: web.Request, ws: web.WebSocketResponse, attempt: Attempt, opening: Opening
) -> StreamSocket:
    """A session for it, new or resumed.

    Raises:
        BadRequest, SessionGone, Unavailable: there is none for it.
    """
    front, resume = request.app[FRONT], opening.resume
    if resume:
        attempt.resume()
    elif attempt.ticket.resuming:
        raise BadRequest("?resume=1 goes with a first message that has a resume_token")
    transport = request.transport
    if transport is None:
        raise _ClientLeft

    def make(socket_id: str, line: Line) -> StreamSocket:
        return StreamSocket(socket_id, ws, transport, line, opening, front.gate.instrument)

    streams = request.app[STREAMS]
    socket, session = streams.resume(make, resume) if resume else streams.carry(make)
    front.resources.add(socket.id, session.id, None, attempt.shown, resume.token if resume else None)
    front.gate.door.hold(attempt.ticket, session.id)
    socket.begin()
    return socket


async def _refuse(ws: web.WebSocketResponse, code: str, message: str) -> None:
    """An error as events have it, without a number since there is no session; then the end."""
    error = SessionError(at_ms=0, code=code, message=message, fatal=True)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
            await ws.send_str(encode_event(error))
            await ws.close(code=close_code(code), message=code.encode())


async def _close_pending(app: web.Application) -> None:
    """The server ends: who has not said anything yet need not."""
    await asyncio.gather(*(ws.close(code=close_code("drained")) for ws in set(app[PENDING].sockets)))


def add_routes(app: web.Application, streams: Registry) -> None:
    """Add the WebSocket."""
    app[STREAMS] = streams
    app[PENDING] = _Pending()
    app.router.add_get("/v1/stream", stream, allow_head=False)
    app.on_shutdown.append(_close_pending)
