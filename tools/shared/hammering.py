"""Clients that ask several gateways as fast as they like, and what each was granted."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

__all__ = ["Hammered", "hammer"]


@dataclass(slots=True)
class Hammered:
    """What one key got."""

    key: str
    granted: int = 0
    refused: int = 0
    other: int = 0
    """Answers that are neither."""
    began: float = 0.0
    answered: float = 0.0
    """When the first answer came …"""
    sent: float = 0.0
    """… and when the last request went."""
    ended: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    retry_after: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.began

    def allowed(self, rate: float, burst: int) -> tuple[int, int]:
        """What a token bucket would have granted, at least and at most: when its first and its last request
        came is known to within the time that they took."""
        least, most = self.sent - self.answered, self.ended - self.began
        return math.floor(burst + rate * max(0.0, least)), math.floor(burst + rate * most)

    def error(self, rate: float, burst: int) -> float:
        """How far beside that it is, as a share of it."""
        least, most = self.allowed(rate, burst)
        return max(0, least - self.granted, self.granted - most) / most


async def hammer(
    http: aiohttp.ClientSession, urls: Sequence[str], key: str, *, rps: float, seconds: float
) -> Hammered:
    """Ask for tokens in the name of a key, ``rps`` times a second of each gateway."""
    told = Hammered(key, began=time.monotonic())
    headers = {"Authorization": f"Bearer {key}"}

    async def ask(url: str) -> None:
        due = told.began
        while due < told.began + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent = told.sent = time.monotonic()
            async with http.post(f"{url}/v1/tokens", headers=headers) as response:
                await response.read()
            told.latencies_s.append(time.monotonic() - sent)
            told.answered = told.answered or time.monotonic()
            match response.status:
                case 201:
                    told.granted += 1
                case 429:
                    told.refused += 1
                    told.retry_after.add(response.headers["Retry-After"])
                case _:
                    told.other += 1
            due = max(due + 1 / rps, time.monotonic() - 1)

    await asyncio.gather(*map(ask, urls))
    told.ended = time.monotonic()
    return told
