"""What the handlers find in the application: typed keys instead of globals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from rtc_stt.instrument import Instrument
from rtc_stt.service.transcriber import Transcriber
from signaling.auth import Authority
from signaling.bookkeeper import Bookkeeper
from signaling.calls import Health, Host
from signaling.candidates import Reach
from signaling.connections import Connections
from signaling.door import Door
from signaling.forwarding import Network
from signaling.ice import IceServers
from signaling.in_flight import InFlight
from signaling.keyring import Keyring
from signaling.origins import Origins
from signaling.resources import Resources
from signaling.session_usage import SessionUsage
from signaling.settings import Server
from signaling.shared.mover import Mover
from signaling.shared.roll import Roll
from signaling.shared.shared import Shared
from signaling.upload import Limits
from signaling.usage import Usage

__all__ = [
    "DRAIN",
    "FRONT",
    "GATE",
    "HEALTH",
    "HOST",
    "IN_FLIGHT",
    "SERVER",
    "TRANSCRIBER",
    "UPLOADS",
    "Front",
    "Gate",
]


@dataclass(frozen=True, slots=True)
class Gate:
    """What every request passes, whatever it wants."""

    door: Door
    authority: Authority
    keyring: Keyring
    """Where its keys come from."""
    origins: Origins
    proxies: Sequence[Network]
    """Whose ``X-Forwarded-For`` is believed."""
    instrument: Instrument
    connections: Connections
    usage: Usage
    """What each key has used; asked before audio is taken, told of what was."""
    session_usage: SessionUsage
    """Counts it for live sessions."""
    bookkeeper: Bookkeeper
    """Keeps that in a file."""
    shared: Shared | None = None
    """What it shares with other servers; None: it is alone."""
    is_demo: bool = False
    """Whether its own page needs no key."""


@dataclass(frozen=True, slots=True)
class Front:
    """Everything that stands between an offer and the host."""

    gate: Gate
    host: Host
    ice: IceServers
    reach: Reach
    redirect_url: str
    """Where a full server sends clients; empty: nowhere."""
    resources: Resources
    public_ips: Sequence[str]
    """Under which clients reach this machine behind 1:1 NAT; empty: under those it has."""
    records: Roll
    """How far the sessions are."""
    mover: Mover | None = None
    """What moves sessions between gateways; None: there is only this one."""


SERVER = web.AppKey("server", Server)
GATE = web.AppKey("gate", Gate)
HEALTH: web.AppKey[Callable[[], Health]] = web.AppKey("health", Callable)  # type: ignore[arg-type]
"""How the service is."""
DRAIN: web.AppKey[Callable[[float], Awaitable[None]]] = web.AppKey("drain", Callable)  # type: ignore[arg-type]
"""Begin nothing more and see out what is going on, within so many seconds."""
TRANSCRIBER = web.AppKey("transcriber", Transcriber)
"""What makes transcripts of recordings …"""
UPLOADS = web.AppKey("uploads", Limits)
"""… how large they may be …"""
IN_FLIGHT = web.AppKey("in_flight", InFlight)
"""… and those that it has to do with."""
HOST: web.AppKey[Host] = web.AppKey("host", Host)
"""Where live sessions go; only in the gateway, as is …"""
FRONT = web.AppKey("front", Front)
