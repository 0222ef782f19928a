"""What one caller may have, and how it is told that it has it already. Pure."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass

from rtc_stt.errors import TooMany
from signaling.auth import OPEN
from signaling.calls import Caller
from signaling.settings import Access

__all__ = [
    "ADDRESS_LIMIT",
    "HALF_OPEN",
    "KEY_LIMIT",
    "RATE",
    "RETRY_S",
    "Allowance",
    "is_this_machine",
    "network_of",
    "place_of",
]

RATE, HALF_OPEN, KEY_LIMIT, ADDRESS_LIMIT = "rate", "half_open", "key_limit", "address_limit"
"""Why somebody is refused, as the metrics name it."""

RETRY_S = 5
"""To ask again after a refusal for want of room. Connections come about or fail within seconds."""

LOOPBACK_V6 = "::/64"
"""What :func:`network_of` makes of ``::1``."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of each; of sessions 0 is as many as there are places."""

    rps: float
    burst: int
    half_open: int
    sessions_per_key: int
    sessions_per_address: int

    @classmethod
    def of(cls, access: Access) -> Allowance:
        """As configured."""
        return cls(
            access.rate_limit_rps,
            access.rate_limit_burst,
            access.max_half_open_per_key,
            access.max_sessions_per_key,
            access.max_sessions_per_address,
        )

    def split(self, nodes: int) -> Allowance:
        """The part of one of so many servers that cannot ask each other: 1 of each at least."""
        return Allowance(
            self.rps / nodes,
            _part(self.burst, nodes),
            _part(self.half_open, nodes),
            _part(self.sessions_per_key, nodes),
            _part(self.sessions_per_address, nodes),
        )

    def refusal(self, reason: str, wait_s: float = RETRY_S) -> TooMany:
        """What is said to who has all of it.

        Args:
            wait_s: when to ask again.
        """
        words = {
            RATE: f"more than {self.rps:g} requests a second; slow down",
            HALF_OPEN: f"{self.half_open} of your offers are not connected yet; wait for them",
            KEY_LIMIT: f"all {self.sessions_per_key} sessions of this key are taken; end one first",
            ADDRESS_LIMIT: (
                f"all {self.sessions_per_address} sessions of this address are taken; end one first"
            ),
        }
        return TooMany(words[reason], retry_after_s=max(1, math.ceil(wait_s)))


def _part(limit: int, nodes: int) -> int:
    return limit and max(1, limit // nodes)


def place_of(caller: Caller) -> str:
    """Whom to hold a rate against: the key, or without keys the network of the address."""
    return network_of(caller.address) if caller.key_id == OPEN else caller.key_id


def is_this_machine(place: str) -> bool:
    """All clients here share it, and all those behind a proxy that is not known."""
    return place.startswith("127.") or place == LOOPBACK_V6


def network_of(address: str) -> str:
    """One subscriber: an IPv4 address, or the /64 of an IPv6 one (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 6:
        return str(ipaddress.ip_network(f"{ip}/64", strict=False))
    return address
