"""Puts telephony into the gateway: the hub, its endpoints, and the listeners that are configured; and says
what is wrong with their settings before anything listens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from ipaddress import ip_address

from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.auth import Authority
from signaling.keys import GATE, SERVER
from signaling.registry import Registry
from signaling.settings import Server
from signaling.telephony import call_routes, stream_routes
from signaling.telephony.asterisk.server import AudioSocketServer
from signaling.telephony.call_routes import CALLS
from signaling.telephony.hub import CallHub
from signaling.telephony.ownership import owner_for_sip
from signaling.telephony.settings import Phones
from signaling.telephony.sip.gateway import add_sip, check_sip
from signaling.telephony.webhooks import WebhookSender, read_target

__all__ = ["add_phones", "check_phones", "drain"]

WEBHOOK_DRAIN_S = 10.0
"""For the last events; within ``DRAIN_SECONDS``, or a second."""

_WEBHOOKS = web.AppKey("webhooks", WebhookSender)


def check_phones(server: Server, phones: Phones, authority: Authority) -> None:
    """Whether phone calls can be taken with these settings, as far as they themselves tell; what they need of
    the machine (ports that are free, a file that can be written) only starting finds out.

    Raises:
        ConfigError: they are not right.
    """
    _check_ports(server, phones)
    owner_for_sip(authority, phones.sip.sip_owner)
    check_sip(phones.sip)
    stream_routes.check_public_url(phones.telephony.public_url)
    if phones.webhooks.webhook_url:
        read_target(phones.webhooks)


def _check_ports(server: Server, phones: Phones) -> None:
    """No two listen on one port; of 0 each takes a free one, or there is no listener."""
    telephony, sip = phones.telephony, phones.sip
    taken: list[tuple[str, str, int]] = []
    for name, host, port in (
        ("PORT", server.host, server.port),
        ("AUDIOSOCKET_PORT", telephony.audiosocket_host, telephony.audiosocket_port),
        ("SIP_PORT", sip.sip_host, sip.sip_port),
    ):
        for other, its_host, its_port in taken:
            if port == its_port != 0 and _may_clash(host, its_host):
                raise ConfigError(f"{name}={port} is the port of {other} too: choose another")
        taken.append((name, host, port))


def _may_clash(host: str, other: str) -> bool:
    if host == other:
        return True
    try:
        return ip_address(host).is_unspecified or ip_address(other).is_unspecified
    except ValueError:  # a name: listening will tell
        return False


def add_phones(app: web.Application, streams: Registry, phones: Phones) -> None:
    """Take phone calls.

    Args:
        streams: carries the sessions of their legs.

    Raises:
        ConfigError: see :func:`check_phones`; or the file for dead letters cannot be written.
    """
    gate = app[GATE]
    check_phones(app[SERVER], phones, gate.authority)
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
