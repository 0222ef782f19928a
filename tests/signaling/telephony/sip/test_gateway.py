"""SIP in the gateway: only where it is configured, and a clear word where it is not installed."""

from __future__ import annotations

import sys

import pytest
from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.telephony.settings import Sip
from signaling.telephony.sip.gateway import add_sip
from tests.signaling.telephony.fakes import a_house


async def test_without_a_port_there_is_none() -> None:
    app = web.Application()
    async with a_house() as house:
        add_sip(app, house.hub, Sip())
    assert not app.cleanup_ctx


async def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "signaling.telephony.sip.server", None)
    async with a_house() as house:
        with pytest.raises(ConfigError, match=r"pip install 'rtc-stt\[sip\]'"):
            add_sip(web.Application(), house.hub, Sip(sip_port=5060))
