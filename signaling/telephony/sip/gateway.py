"""Puts SIP into the gateway, where it is configured and installed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.keys import GATE
from signaling.telephony.hub import CallHub
from signaling.telephony.ownership import owner_for_sip
from signaling.telephony.settings import Sip

__all__ = ["add_sip", "check_sip"]


def check_sip(settings: Sip) -> None:
    """Whether SIP could be taken with these settings; nothing is looked at without ``SIP_PORT``.

    Raises:
        ConfigError: a key of SIP cannot be right, or what it needs is not installed.
    """
    if settings.sip_port:
        try:
            from signaling.telephony.sip.server import read_settings
        except ImportError as error:
            raise ConfigError("SIP_PORT: SIP needs more: pip install 'rtc-stt[sip]'") from error
        read_settings(settings)


def add_sip(app: web.Application, hub: CallHub, settings: Sip) -> None:
    """Take calls over SIP, from the start of the application to its end; not at all without ``SIP_PORT``.

    Raises:
        ConfigError: see :func:`check_sip`.
    """
    if not settings.sip_port:
        return
    check_sip(settings)
    from signaling.telephony.sip.server import SipServer

    gate = app[GATE]
    owner = owner_for_sip(gate.authority, settings.sip_owner)
    server = SipServer(hub, settings, gate.instrument, owner=owner)

    async def listen(_app: web.Application) -> AsyncIterator[None]:
        await server.start()
        yield
        await server.stop()

    app.cleanup_ctx.append(listen)
