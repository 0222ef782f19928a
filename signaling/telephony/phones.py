"""Puts telephony into the gateway: the hub, its endpoints, and the listeners that are configured."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.keys import GATE
from signaling.registry import Registry
from signaling.telephony.hub import CallHub
from signaling.telephony.ownership import owner_for_sip
from signaling.telephony.settings import Phones, Sip

__all__ = ["CALLS", "add_phones"]

CALLS = web.AppKey("calls", CallHub)
"""All phone calls of this process."""


def add_phones(app: web.Application, streams: Registry, phones: Phones) -> None:
    """Take phone calls.

    Args:
        streams: carries the sessions of their legs.
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
    if phones.sip.sip_port:
        _add_sip(app, phones.sip)


def _add_sip(app: web.Application, settings: Sip) -> None:
    """Take calls over SIP, from the start of the application to its end.

    Raises:
        ConfigError: a key of SIP cannot be right, or what it needs is not installed.
    """
    try:
        from signaling.telephony.sip.server import SipServer
    except ImportError as error:
        raise ConfigError("SIP_PORT: SIP needs more: pip install 'rtc-stt[sip]'") from error
    gate = app[GATE]
    owner = owner_for_sip(gate.authority, settings.sip_owner)
    server = SipServer(app[CALLS], settings, gate.instrument, owner=owner)

    async def listen(_app: web.Application) -> AsyncIterator[None]:
        await server.start()
        yield
        await server.stop()

    app.cleanup_ctx.append(listen)
