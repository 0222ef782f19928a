"""The gateway: one aiohttp application in front of what all sessions share."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time

from aiohttp import web

from rtc_stt.config import Recordings
from rtc_stt.instrument import Instrument
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.spans import SpanSink
from signaling import (
    deepgram_routes,
    health,
    offer,
    openai_models,
    openai_recordings,
    openai_routes,
    openapi,
    page,
    session_routes,
    snapshot,
    token_routes,
    transcribe,
    usage_routes,
    websocket,
    whip,
)
from signaling.access_log import LOGS
from signaling.auth import Authority
from signaling.bookkeeper import Bookkeeper
from signaling.calls import Host
from signaling.candidates import Reach
from signaling.connections import Connections
from signaling.door import Door
from signaling.forwarding import parse_proxies
from signaling.ice import IceServers
from signaling.keyring import Keyring, load_keys
from signaling.keys import FRONT, GATE, HEALTH, HOST, SERVER, Front, Gate
from signaling.life import add_life
from signaling.metrics import Metrics
from signaling.moving import add_moving, make_roll
from signaling.origins import Origins
from signaling.page import About
from signaling.registry import Registry
from signaling.request import middleware
from signaling.resources import Resources
from signaling.session_usage import OVER_CODE, OVER_MESSAGE, SessionUsage
from signaling.settings import Access, Logs, Server, WebRtc
from signaling.shared.settings import Sharing
from signaling.shared.shared import Shared
from signaling.snapshot import Service
from signaling.telephony.phones import add_phones
from signaling.telephony.phones import drain as drain_phones
from signaling.telephony.settings import Phones
from signaling.trail import SINK
from signaling.usage import Usage

__all__ = ["create_app", "make_gate"]


def create_app(
    host: Host,
    server: Server,
    access: Access,
    webrtc: WebRtc,
    about: About,
    metrics: Metrics | None = None,
    *,
    recordings: Recordings | None = None,
    transcriber: Transcriber | None = None,
    service: Service | None = None,
    streams: Registry | None = None,
    phones: Phones | None = None,
    logs: Logs | None = None,
    sink: SpanSink | None = None,
    shared: Shared | None = None,
    sharing: Sharing | None = None,
) -> web.Application:
    """The application. When it ends it drains ``host``.

    Args:
        host: where calls end up; this application becomes its watcher. Whoever made it ends what it is made
            of, after this.
        recordings, transcriber: what may be sent to ``/v1/transcribe``, and who answers it; None: nobody.
        service: what ``/v1/metrics`` tells of the server; None: it is not there.
        streams: carries WebSockets; it is ``host``, or ends with it. None: there is no ``/v1/stream``.
        phones: how phone calls are taken, where ``streams`` are; None: none are.
        logs: what the log tells of people; None: nothing.
        sink: where spans of requests go; None: there are none.
        shared: what this gateway shares with others; None: it is alone. Whoever made it starts it before, and
            ends it after this.
        sharing: its settings.

    Raises:
        ConfigError: see :func:`make_gate`.
    """
    app = web.Application(middlewares=[middleware], client_max_size=1024 * 1024)
    gate = make_gate(server, access, metrics or Instrument(), is_demo=about.mode == "demo", shared=shared)
    front = _make_front(host, server, access, webrtc, gate, shared, sharing or Sharing())
    app[SERVER], app[GATE], app[HOST], app[FRONT] = server, gate, host, front
    app[HEALTH], app[LOGS] = host.health, logs or Logs()
    if sink:
        app[SINK] = sink
    add_moving(app, front)
    for room in (whip, offer, openai_routes, token_routes, usage_routes, session_routes, health):
        room.add_routes(app)
    page.add_routes(app, about)
    if transcriber:
        transcribe.add_routes(app, transcriber, recordings or Recordings())
        deepgram_routes.add_recorded_routes(app)
        openai_recordings.add_routes(app)
    if streams is not None:
        websocket.add_routes(app, streams)
        deepgram_routes.add_live_routes(app)
        openai_routes.add_live_routes(app)
        if phones:
            add_phones(app, streams, phones)
    if metrics:
        metrics.limit_sessions(server.max_sessions)
        app.router.add_get("/metrics", metrics.scrape)
    if metrics and service:
        snapshot.add_routes(app, service, metrics)
        openai_models.add_routes(app, service.queue)
    openapi.add_routes(app)

    _listen_to(host, front)
    if shared:
        shared.watch(host.health)

    async def drain(seconds: float) -> None:
        """Live sessions, recordings and phone calls end side by side."""
        await asyncio.gather(host.drain(seconds), transcribe.drain(app, seconds), drain_phones(app, seconds))

    add_life(app, drain, server.drain_seconds)
    return app


def _listen_to(host: Host, front: Front) -> None:
    """What becomes of the sessions, and how much they use."""
    gate = front.gate

    def watch(session_id: str, what: str) -> None:
        gate.door.watch(session_id, what)
        front.records.watch(session_id, what)
        if what == "ended":
            front.resources.end(session_id, asyncio.get_running_loop().time())

    def hear(session_id: str, seconds: float) -> None:
        if gate.session_usage.hear(session_id, seconds):
            host.expel(session_id, OVER_CODE, OVER_MESSAGE)

    host.watch, host.meter = watch, hear


def make_gate(
    server: Server,
    access: Access,
    instrument: Instrument,
    *,
    is_demo: bool = False,
    shared: Shared | None = None,
) -> Gate:
    """What every request to a server of these settings passes.

    Raises:
        ConfigError: the keys cannot be read, or there are none where there should be.
    """
    is_demo = is_demo and server.is_loopback
    secret = access.token_secret.encode() or secrets.token_bytes(32)
    proxies = parse_proxies(access.trusted_proxies)
    keys = load_keys(server, access)
    authority = Authority(keys, secret, token_seconds=access.token_seconds, demo=is_demo)
    usage = Usage(daily_audio_s=access.daily_audio_seconds, has_store=bool(access.usage_db))
    session_usage = SessionUsage(usage, time.time)
    door = Door(server, access, instrument, session_usage)
    if shared:
        shared.attach(door, usage, authority)
    return Gate(
        door=door,
        authority=authority,
        keyring=Keyring(server, access, authority, usage),
        # Who needs a key is not helped by a name that leads here; who needs none is.
        origins=Origins(access.allowed_origins, local_only=server.is_loopback and (is_demo or not keys)),
        proxies=proxies,
        instrument=instrument,
        connections=Connections(proxies, instrument),
        usage=usage,
        session_usage=session_usage,
        bookkeeper=Bookkeeper(usage, access.usage_db, instrument),
        shared=shared,
        is_demo=is_demo,
    )


def _make_front(
    host: Host,
    server: Server,
    access: Access,
    webrtc: WebRtc,
    gate: Gate,
    shared: Shared | None,
    sharing: Sharing,
) -> Front:
    resources = Resources()
    records, mover = make_roll(host, gate, resources, webrtc, shared, sharing)
    own = frozenset(str(ipaddress.ip_address(address)) for address in webrtc.public_ip)
    return Front(
        gate=gate,
        host=host,
        ice=IceServers(webrtc.ice_servers, webrtc.turn_url, webrtc.turn_secret, webrtc.turn_seconds),
        reach=Reach(loopback=server.is_loopback, own=own),
        redirect_url=access.redirect_url,
        resources=resources,
        public_ips=webrtc.public_ip,
        records=records,
        mover=mover,
    )
