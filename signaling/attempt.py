"""What is taken for a WebSocket before it stands, and given back where it comes to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from rtc_stt.errors import BadRequest, Gone
from signaling import entrance
from signaling.auth import Pass
from signaling.door import Ticket
from signaling.keys import FRONT, Front
from signaling.live_socket import CLOSE_TIMEOUT_S
from signaling.reception import caller_of, make_room
from signaling.registry import Registry
from signaling.request import id_headers

__all__ = ["STREAMS", "Attempt", "prepare"]

STREAMS = web.AppKey("streams", Registry)
"""Who carries WebSockets: this process, also where media workers carry the rest."""


class Attempt:
    """A place among the sessions and, where one was shown, a token."""

    def __init__(self, front: Front, ticket: Ticket, shown: Pass) -> None:
        self.ticket = ticket
        self.shown = shown
        self._front = front
        self._spent = False

    async def spend(self) -> None:
        """Use up the token, where one was shown.

        Raises:
            TokenExpired, TokenReplayed, TooMany: it is good for no session.
        """
        if self.shown.token:
            await entrance.spend(self._front.gate, self.shown.token)
            self._spent = True

    def resume(self) -> None:
        """It goes on with a session that is counted already, whose token has been spent."""
        self.ticket.resuming = True
        self._unspend()

    def undo(self) -> None:
        """It came to nothing."""
        self._front.gate.door.release(self.ticket)
        self._unspend()

    def _unspend(self) -> None:
        if self._spent and self.shown.token:
            entrance.unspend(self._front.gate, self.shown.token)
        self._spent = False


async def prepare(
    request: web.Request,
    shown: Pass,
    *,
    protocols: Sequence[str],
    max_bytes: int,
    resumes: bool = False,
) -> tuple[web.WebSocketResponse, Attempt]:
    """Pass the door and upgrade. Whoever gets the attempt undoes it where no session comes of it.

    Args:
        protocols: subprotocols of which one is chosen, where the client offers any.
        max_bytes: of one message.
        resumes: the client says that it goes on with a session: no new one is counted.

    Raises:
        BadRequest: it is no WebSocket.
        TooMany, Unavailable, TokenExpired, TokenReplayed: it may not come in, or not now.
        Gone: it did not wait.
    """
    front, streams = request.app[FRONT], request.app[STREAMS]
    ws = web.WebSocketResponse(
        timeout=CLOSE_TIMEOUT_S,
        protocols=protocols,
        autoping=False,
        compress=False,
        max_msg_size=max_bytes + 1,
    )
    if not ws.can_prepare(request):
        raise BadRequest("this is a WebSocket: connect with Upgrade: websocket, version 13")
    if not resumes:
        streams.check_admission()
    ticket = await entrance.admit(front.gate, caller_of(request, shown), resuming=resumes)
    attempt = Attempt(front, ticket, shown)
    try:
        if not resumes:
            await attempt.spend()
        await make_room(front, attempt.ticket)
        ws.headers.update(id_headers(request))
        await ws.prepare(request)
    except ConnectionError as error:
        attempt.undo()
        raise Gone from error
    except BaseException:
        attempt.undo()
        raise
    return ws, attempt
