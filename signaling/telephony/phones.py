"""Puts telephony into the gateway: the hub, its endpoints, and the listeners that are configured."""

from __future__ import annotations

from aiohttp import web

from signaling.keys import GATE
from signaling.registry import Registry
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Phones

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
