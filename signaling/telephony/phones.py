"""Puts telephony into the gateway: the hub, its endpoints, and the listeners that are configured."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiohttp import web

from signaling.keys import GATE
from signaling.registry import Registry
from signaling.telephony import call_routes, stream_routes
from signaling.telephony.asterisk.server import AudioSocketServer
from signaling.telephony.call_routes import CALLS
from signaling.telephony.hub import CallHub
from signaling.telephony.ownership import owner_for_sip
from signaling.telephony.settings import Phones
from signaling.telephony.sip.gateway import add_sip
from signaling.telephony.webhooks import WebhookSender

__all__ = ["add_phones", "drain"]

WEBHOOK_DRAIN_S = 10.0
"""For the last events; within ``DRAIN_SECONDS``, or a second."""

_WEBHOOKS = web.AppKey("webhooks", WebhookSender)


def add_phones(app: web.Application, streams: Registry, phones: Phones) -> None:
    """Take phone calls.

    Args:
        streams: carries the sessions of their legs.

    Raises:
        ConfigError: the settings are not right.
    """
    gate = app[GATE]
    owner = owner_for_sip(gate.authority, phones.sip.sip_owner)
    hub = CallHub(
        streams,
        gate.door,
        phones.telephony,
        authority=gate.authority,
        instrument=gate.instrument,
        max_call_s=phones.sip.max_call_s,
    )
    call_routes.add_routes(app, hub)
    add_sip(app, hub, phones.sip)
    stream_routes.add_routes(app, hub, owner)
    if phones.webhooks.webhook_url:
        app[_WEBHOOKS] = WebhookSender(phones.webhooks, gate.instrument)
        hub.subscribe(app[_WEBHOOKS].hear)
    app.cleanup_ctx.append(_closing)
    if phones.telephony.audiosocket_port:
        app.cleanup_ctx.append(_take_audiosocket)


async def drain(app: web.Application, seconds: float) -> None:
    """End all calls, tell what is to be told of them, and see the listeners out. To do so twice does no
    harm, nor where there are no phones."""
    if CALLS not in app:
        return
    deadline = time.monotonic() + seconds
    await app[CALLS].drain(seconds)
    if _WEBHOOKS in app:
        await app[_WEBHOOKS].drain(min(WEBHOOK_DRAIN_S, max(1.0, deadline - time.monotonic())))
    app[CALLS].close()


async def _closing(app: web.Application) -> AsyncIterator[None]:
    yield
    app[CALLS].close()
    if _WEBHOOKS in app:
        await app[_WEBHOOKS].aclose()


async def _take_audiosocket(app: web.Application) -> AsyncIterator[None]:
    hub = app[CALLS]
    server = AudioSocketServer(hub, hub.settings.audiosocket_host, hub.settings.audiosocket_port)
    await server.start()
    yield
    await server.close()
