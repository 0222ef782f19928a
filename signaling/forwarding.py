"""Where a request came from, with proxies in between: pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from rtc_stt.errors import ConfigError

__all__ = ["Network", "Source", "find_source", "is_loopback", "is_one_of", "parse_proxies"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS = 16
"""Entries of ``X-Forwarded-For`` that are read."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from."""

    address: str
    """Of the client, as far as we believe it."""
    is_direct: bool
    """No proxy has had a hand in it, as far as headers tell."""

    @property
    def is_local(self) -> bool:
        """From this machine, straight."""
        return self.is_direct and is_loopback(self.address)


def parse_proxies(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks.

    Raises:
        ConfigError: one of them is none.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ConfigError(
                f"TRUSTED_PROXIES: {text!r} is no address or network; write it like 10.0.0.0/8"
            ) from None
    return tuple(found)


def find_source(
    peer: str, forwarded_for: str | None, is_forwarded: bool, proxies: Sequence[Network]
) -> Source:
    """Who sent a request.

    Args:
        peer: the address at the other end of the socket.
        forwarded_for: ``X-Forwarded-For``; each proxy appends whom it heard.
        is_forwarded: whether any header tells of a proxy.
        proxies: whose word is taken. The last entry that is not one of them is the client.
    """
    address = peer
    hops = (forwarded_for or "").split(",")[-MAX_HOPS:]
    while hops and is_one_of(address, proxies):
        hop = hops.pop().strip()
        if not _is_address(hop):
            break
        address = hop
    return Source(address, not is_forwarded)


def is_one_of(address: str, proxies: Sequence[Network]) -> bool:
    """Whether an address is in one of these networks."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in proxies if network.version == ip.version)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an address is that of this machine to itself."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
