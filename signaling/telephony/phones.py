"""Puts telephony into the gateway: the hub, its endpoints, and the listeners that are configured."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from signaling.keys import GATE
from signaling.registry import Registry
from signaling.telephony import stream_routes
from signaling.telephony.asterisk.server import AudioSocketServer
from signaling.telephony.hub import CallHub
from signaling.telephony.ownership import owner_for_sip
from signaling.telephony.settings import Phones

__all__ = ["CALLS", "add_phones"]

CALLS = web.AppKey("calls", CallHub)
"""All phone calls of this process."""


def add_phones(app: web.Application, streams: Registry, phones: Phones) -> None:
    """Take phone calls.

    Args:
        streams: carries the sessions of their legs.

    Raises:
        ConfigError: ``SIP_OWNER`` or ``PUBLIC_URL`` is wrong.
    """
    gate = app[GATE]
    app[CALLS] = CallHub(
        streams,
        gate.door,
        phones.telephony,
        authority=gate.authority,
        instrument=gate.instrument,
        max_call_s=phones.sip.max_call_s,
    )
    stream_routes.add_routes(app, app[CALLS], owner_for_sip(gate.authority, phones.sip.sip_owner))
    if phones.telephony.audiosocket_port:
        app.cleanup_ctx.append(_take_audiosocket)


async def _take_audiosocket(app: web.Application) -> AsyncIterator[None]:
    hub = app[CALLS]
    server = AudioSocketServer(hub, hub.settings.audiosocket_host, hub.settings.audiosocket_port)
    await server.start()
    yield
    await server.close()
