"""``GET /v1/media/{dialect}``: phone calls that carriers and PBXs send over WebSockets.

::

    dialect, key or signature, room ──▶ 401, 403, 404, 503 as JSON, before the upgrade
       │
    upgrade; who has shown nothing yet is half-open ──10 s, or no token──▶ close 44xx
       │ the start message, with a token where none was shown
    a call ──▶ :class:`~signaling.telephony.media_socket.MediaSocket`
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from rtc_stt.errors import (
    BadRequest,
    ClientError,
    ConfigError,
    Forbidden,
    Gone,
    NotFound,
    TooMany,
    Unauthorized,
    Unavailable,
)
from rtc_stt.token_bucket import TokenBucket
from signaling import entrance
from signaling.auth import Pass
from signaling.keys import GATE, Gate
from signaling.live_socket import CLOSE_TIMEOUT_S
from signaling.request import id_headers, source_of
from signaling.telephony.call import Call
from signaling.telephony.call_source import CallDetails, clean_text
from signaling.telephony.hub import CallHub
from signaling.telephony.media_access import MediaAccess
from signaling.telephony.media_socket import MAX_MESSAGE_BYTES, MediaSocket
from signaling.telephony.streams.dialects import KINDS
from signaling.telephony.streams.stream_dialect import Begin, Kind, Opening
from signaling.telephony.twilio_signature import SCHEMES

__all__ = ["PATH", "add_routes", "check_public_url"]

PATH = "/v1/media"

CALL_RATE, CALL_BURST = 50.0, 200.0
"""Calls of a key that begin in a second, for long; and at once, after a rest."""

PROTOCOL = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""A subprotocol that is sent back."""

MAX_HALF_OPEN, MAX_HALF_OPEN_PER_ADDRESS = 128, 32
"""WebSockets whose other side has shown nothing yet. Carriers connect from few addresses."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A request that has no call yet."""

    address: str | None
    """Of who has shown nothing; None where a key was shown."""
    socket: MediaSocket | None = None


class MediaRoutes:
    """The endpoint, and the sockets that have no call yet.

    Args:
        owner: see :class:`~signaling.telephony.media_access.MediaAccess`.
    """

    def __init__(self, hub: CallHub, gate: Gate, owner: str) -> None:
        self._hub = hub
        self._gate = gate
        self._access = MediaAccess(gate.authority, hub.settings, owner)
        self._rates: dict[str, TokenBucket] = {}  # by the id of the key: no more than there are
        self._waiting: set[_Waiting] = set()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/media/{dialect}`` and ``GET /v1/media/{dialect}/{token}``."""
        name = request.match_info["dialect"]
        kind = KINDS.get(name)
        if kind is None:
            raise NotFound(f"there is no such dialect; there are {', '.join(KINDS)}")
        shown = self._identify(request, kind)
        address = source_of(request).address
        waiting = self._let_in(address if shown is None else None)
        try:
            ws = await self._upgrade(request, kind)
            if request.transport is None:  # it has gone already
                return ws

            async def start(begin: Begin, socket: MediaSocket) -> Call:
                call = await self._start(begin, socket, shown, name, address)
                self._waiting.discard(waiting)
                return call

            query = {key: value for key, value in request.query.items() if key != "access_token"}
            dialect = kind.make(Opening(query, ws.ws_protocol or ""))
            waiting.socket = MediaSocket(ws, request.transport, dialect, start, self._gate.instrument)
            await waiting.socket.run()
        finally:
            waiting.socket = None
            self._waiting.discard(waiting)
        return ws

    def _identify(self, request: web.Request, kind: Kind) -> Pass | None:
        try:
            return self._access.identify(request, kind)
        except Forbidden:
            self._gate.instrument.phone_refused("signature")
            raise
        except Unauthorized:
            self._gate.instrument.phone_refused("auth")
            raise

    def _let_in(self, half_open: str | None) -> _Waiting:
        """One more, if there is room.

        Args:
            half_open: the address of who has shown nothing.

        Raises:
            Unavailable: as many calls go on, or are about to begin, as may.
        """
        self._hub.check_room()
        try:
            if len(self._hub) + len(self._waiting) >= self._hub.settings.max_calls + MAX_HALF_OPEN:
                raise Unavailable("too many calls are about to begin; try again in a moment")
            addresses = Counter(each.address for each in self._waiting if each.address is not None)
            if half_open is not None and (
                addresses.total() >= MAX_HALF_OPEN or addresses[half_open] >= MAX_HALF_OPEN_PER_ADDRESS
            ):
                raise Unavailable("too many streams without a key are about to begin; try again in a moment")
        except Unavailable:
            self._gate.instrument.phone_refused("full")
            raise
        waiting = _Waiting(half_open)
        self._waiting.add(waiting)
        return waiting

    async def _upgrade(self, request: web.Request, kind: Kind) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(
            timeout=CLOSE_TIMEOUT_S,
            protocols=_choose_protocol(request, kind),
            autoping=False,
            compress=False,
            max_msg_size=MAX_MESSAGE_BYTES + 1,
        )
        if not ws.can_prepare(request):
            raise BadRequest("this is a WebSocket: connect with Upgrade: websocket, version 13")
        ws.headers.update(id_headers(request))
        try:
            await ws.prepare(request)
        except ConnectionError as error:
            raise Gone from error
        return ws

    async def _start(
        self, begin: Begin, socket: MediaSocket, shown: Pass | None, source: str, address: str
    ) -> Call:
        """The call that a first message began.

        Raises:
            Unauthorized: nothing was shown, or a token that is good for no session.
            TooMany: the key's calls begin too fast.
            Unavailable: there is no room.
        """
        try:
            shown = shown or self._access.read_token(begin.token)
            self._check_rate(shown.key_id)
            if shown.token:
                await entrance.spend(self._gate, shown.token)
        except ClientError as error:
            self._gate.instrument.phone_refused("rate" if isinstance(error, TooMany) else "auth")
            raise
        details = CallDetails(
            source=source,
            external_id=clean_text(begin.external_id),
            caller=clean_text(begin.caller),
            callee=clean_text(begin.callee),
            parameters=begin.parameters,
            options=begin.options,
            owner=shown.key_id,
            address=address,
        )
        try:
            return self._hub.begin(details, socket)
        except Unavailable:
            if shown.token:
                entrance.unspend(self._gate, shown.token)
            raise

    def _check_rate(self, key_id: str) -> None:
        bucket = self._rates.setdefault(key_id, TokenBucket(CALL_RATE, CALL_BURST))
        if not bucket.take(time.monotonic()):
            raise TooMany(f"more than {CALL_RATE:g} calls begin in a second; slow down")

    async def close(self, _app: web.Application) -> None:
        """The server ends: who has not begun a call need not."""
        for waiting in self._waiting:
            if waiting.socket:
                waiting.socket.leave("drained")


def _choose_protocol(request: web.Request, kind: Kind) -> tuple[str, ...]:
    """The subprotocol, where any are offered: one of the dialect's, else the first, since some PBXs let it be
    called otherwise, and the path says what is spoken.

    Raises:
        BadRequest: what is offered is none (RFC 6455 §4.1).
    """
    header = request.headers.get("Sec-WebSocket-Protocol")
    if header is None:
        return ()
    offered = [name.strip() for name in header.split(",")]
    chosen = next((name for name in offered if name in kind.protocols), offered[0])
    if not PROTOCOL.fullmatch(chosen):
        raise BadRequest("what is offered is no subprotocol")
    return (chosen,)


def check_public_url(public_url: str) -> None:
    """Whether ``PUBLIC_URL`` is one, or is empty.

    Raises:
        ConfigError: it is something else.
    """
    try:
        is_url = not public_url or (urlsplit(public_url).scheme in SCHEMES and urlsplit(public_url).hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigError("PUBLIC_URL is no URL; write it like https://stt.example.org")


def add_routes(app: web.Application, hub: CallHub, owner: str) -> None:
    """Add the WebSocket.

    Args:
        owner: the id of the key whose calls those are that a carrier has signed.

    Raises:
        ConfigError: ``PUBLIC_URL`` is none.
    """
    check_public_url(hub.settings.public_url)
    routes = MediaRoutes(hub, app[GATE], owner)
    app.router.add_get(PATH + "/{dialect}", routes.get, allow_head=False)
    app.router.add_get(PATH + "/{dialect}/{token}", routes.get, allow_head=False)
    app.on_shutdown.append(routes.close)
