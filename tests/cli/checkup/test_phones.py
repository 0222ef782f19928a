"""What the doctor says of settings of phone calls: what starting would say."""

from __future__ import annotations

from typing import Any

from rtc_stt.cli.checkup.finding import State
from rtc_stt.cli.checkup.network import look_at_phones
from signaling.settings import Access, Server
from signaling.telephony.settings import Phones, Sip, Telephony, Webhooks


def found(access: Access | None = None, server: Server | None = None, **groups: Any) -> list[Any]:
    return look_at_phones(server or Server(), access or Access(), Phones(**groups))


def test_settings_that_are_right_are_well() -> None:
    assert [finding.state for finding in found()] == [State.OK]
    (finding,) = found(
        telephony=Telephony(audiosocket_port=9092),
        sip=Sip(sip_port=5060, sip_allow=("10.0.0.0/8",)),
        webhooks=Webhooks(webhook_url="https://example.org", webhook_secret="s" * 24),
    )
    assert finding.state is State.OK


def test_what_is_wrong_is_told_as_starting_would() -> None:
    (finding,) = found(sip=Sip(sip_port=5060, sip_allow=("everyone",)))
    assert finding.state is State.FAIL
    assert "SIP_ALLOW: 'everyone'" in finding.says


def test_where_keys_are_wrong_those_come_first() -> None:
    assert found(server=Server(host="0.0.0.0"), sip=Sip(sip_port=5060, sip_allow=("everyone",))) == []
