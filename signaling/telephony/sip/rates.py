"""How many messages a network may send. Pure; bounded, whoever sends."""

from __future__ import annotations

from collections import OrderedDict

from rtc_stt.token_bucket import TokenBucket
from signaling.telephony.sip.allow_list import network_of

__all__ = ["Rates"]

MAX_NETWORKS = 4096
"""That are remembered: about 1 MiB."""


class Rates:
    """A bucket for each network, and one for all together.

    Args:
        rate: messages a second, of one network.
        burst: at once, after a rest.
        total_rate: of all networks together: what a flood from many costs at most.
    """

    def __init__(self, rate: float, burst: float, total_rate: float) -> None:
        self._rate = rate
        self._burst = burst
        self._total = TokenBucket(total_rate, total_rate)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str, now: float) -> bool:
        """Whether one more message of this address is looked at."""
        network = network_of(address)
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = TokenBucket(self._rate, self._burst)
            if len(self._buckets) > MAX_NETWORKS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(network)
        return bucket.take(now) and self._total.take(now)
