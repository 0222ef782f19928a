"""Connections that have not said yet which call they are: how many there may be, and how often. Pure.

AudioSocket has no password. Whoever can reach the port can connect, and is nobody until they name a call that
was registered; so what nobodies may take is bounded.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict

from rtc_stt.token_bucket import TokenBucket

__all__ = ["ID_TIMEOUT_S", "MAX_WAITING", "MAX_WAITING_OF_ONE", "WaitingRoom"]

ID_TIMEOUT_S = 5.0
"""From the connection to the last byte of the name. Asterisk sends it at once."""

MAX_WAITING, MAX_WAITING_OF_ONE = 256, 64
"""In all, and of one network. A name takes one round trip, so even a PBX that connects hundreds of calls in a
second has few."""

RATE, BURST = 50.0, 200.0
"""Connections a second of one network: more than any PBX has calls to begin."""

MAX_NETWORKS = 1_024
"""Whose rate is remembered; who has been quiet longest is forgotten first."""


class WaitingRoom:
    """See above. ``now`` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return self._waiting.total()

    def enter(self, address: str, now: float) -> str | None:
        """One more connects; gives why it may not (``full``, ``rate``). None: it may, until :meth:`leave`."""
        network = _network(address)
        if not self._bucket(network).take(now):
            return "rate"
        if len(self) >= MAX_WAITING or self._waiting[network] >= MAX_WAITING_OF_ONE:
            return "full"
        self._waiting[network] += 1
        return None

    def leave(self, address: str) -> None:
        """It has said who it is, or is gone."""
        network = _network(address)
        self._waiting[network] -= 1
        if not self._waiting[network]:
            del self._waiting[network]

    def _bucket(self, network: str) -> TokenBucket:
        bucket = self._buckets.setdefault(network, TokenBucket(RATE, BURST))
        self._buckets.move_to_end(network)
        if len(self._buckets) > MAX_NETWORKS:
            self._buckets.popitem(last=False)
        return bucket


def _network(address: str) -> str:
    """One subscriber: an IPv4 address, or the /64 of an IPv6 one (RFC 6177)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{ip}/64", strict=False)) if ip.version == 6 else address
