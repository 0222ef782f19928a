"""ICE candidates of clients (RFC 8839 §5.1): which of them this server may send its checks to.

A candidate is an order to send packets somewhere. What cannot be a client of ours is left out, so that nobody
makes this server knock at its own doors, at a whole network, or at a well-known service of a stranger.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rtc_stt.errors import BadRequest

__all__ = ["MAX_CANDIDATES", "Reach", "candidate_ufrag", "clean_candidate", "clean_candidates"]

MAX_CANDIDATES = 20
"""So many go to ICE, the best first. A laptop with VPNs, bridges and two TURN servers has about fifteen."""

LOWEST_PORT = 1024
"""No client's socket or relay is below, and NATs keep it so (RFC 4787 REQ-3); DNS, NTP and the like are."""

FOUNDATION = re.compile(r"[!-~]{1,64}")
TYPES = ("host", "srflx", "prflx", "relay")
NOBODY = ipaddress.ip_network("0.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the clients of a server can be."""

    loopback: bool = False
    """On this machine: only where the server itself listens on loopback."""
    own: frozenset[str] = frozenset()
    """Addresses of the server, as text in their short form: there are no clients."""


def clean_candidate(value: str, reach: Reach) -> str | None:
    """A candidate as we would write it, or None if it is of no use here.

    Args:
        value: what follows ``a=candidate:``.

    Raises:
        BadRequest: it is none.
    """
    bits = value.split()
    if len(bits) < 8 or bits[6] != "typ" or not FOUNDATION.fullmatch(bits[0]):
        raise BadRequest("an a=candidate line is malformed (RFC 8839 §5.1)")
    foundation, component, transport, priority, address, port, _, kind = bits[:8]
    if _number(component, 256) == 1 and _number(priority, 2**32 - 1) >= 0 and kind in TYPES:
        number = _number(port, 65_535)
        # With rtcp-mux there is one component; names (.local too) are not looked up; TCP is not served.
        if transport.lower() == "udp" and number >= LOWEST_PORT and (host := _reachable(address, reach)):
            return f"{foundation} 1 udp {int(priority)} {host} {number} typ {kind}"
    return None


def clean_candidates(values: Iterable[str], reach: Reach) -> tuple[str, ...]:
    """The usable ones, each address once, best first, at most ``MAX_CANDIDATES``.

    Raises:
        BadRequest: one of them is malformed.
    """
    found: dict[tuple[str, str], str] = {}
    for value in values:
        clean = clean_candidate(value, reach)
        if clean:
            bits = clean.split()
            found.setdefault((bits[4], bits[5]), clean)
    best = sorted(found.values(), key=lambda candidate: -int(candidate.split()[3]))
    return tuple(best[:MAX_CANDIDATES])


def candidate_ufrag(value: str) -> str | None:
    """The ICE generation that a trickled candidate says it belongs to, in its ``ufrag`` extension."""
    bits = value.split()
    for name, told in zip(bits[8::2], bits[9::2], strict=False):
        if name == "ufrag":
            return told
    return None


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > most:
        raise BadRequest("a number in an a=candidate line is out of range (RFC 8839 §5.1)")
    return int(text)


def _reachable(address: str, reach: Reach) -> str | None:
    """The address in its short form if it may be that of a client."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and (ip.scope_id or ip.ipv4_mapped or ip.is_site_local):
        return None
    if ip.is_loopback:
        return str(ip) if reach.loopback else None
    if ip.is_multicast or ip.is_unspecified or ip.is_link_local or ip.is_reserved or str(ip) in reach.own:
        return None
    if ip.version == 4 and ip in NOBODY:
        return None
    return str(ip)
