"""What the handlers find in the application: typed keys instead of globals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from rtc_stt.instrument import Instrument
from signaling.auth import Authority
from signaling.calls import Host
from signaling.candidates import Reach
from signaling.connections import Connections
from signaling.door import Door
from signaling.forwarding import Network
from signaling.ice import IceServers
from signaling.origins import Origins
from signaling.resources import Resources
from signaling.settings import Server

__all__ = ["FRONT", "HOST", "SERVER", "Front"]


@dataclass(frozen=True, slots=True)
class Front:
    """Everything that stands between a request and the host."""

    host: Host
    door: Door
    authority: Authority
    origins: Origins
    ice: IceServers
    reach: Reach
    proxies: Sequence[Network]
    """Whose ``X-Forwarded-For`` is believed."""
    instrument: Instrument
    is_demo: bool
    redirect_url: str
    """Where a full server sends clients; empty: nowhere."""
    resources: Resources
    connections: Connections
    public_ips: Sequence[str]
    """Under which clients reach this machine behind 1:1 NAT; empty: under those it has."""


HOST: web.AppKey[Host] = web.AppKey("host", Host)
SERVER = web.AppKey("server", Server)
FRONT = web.AppKey("front", Front)
