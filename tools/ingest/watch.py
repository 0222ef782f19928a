"""What a server process holds, over time, and what its metrics say."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import aiohttp
import numpy as np
import psutil

__all__ = ["Holdings", "LoopLag", "loop_lag", "metric", "slope", "watch"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process and its children hold."""

    at_s: float
    rss_mib: float
    descriptors: int
    threads: int
    processes: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int, since: float) -> Holdings:
        """Of process ``pid`` now, ``since`` being the monotonic time of the beginning."""
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        times = [process.cpu_times() for process in family]
        return cls(
            at_s=round(time.monotonic() - since, 1),
            rss_mib=round(sum(p.memory_info().rss for p in family) / MIB, 2),
            descriptors=sum(p.num_fds() for p in family),
            threads=sum(p.num_threads() for p in family),
            processes=len(family),
            cpu_s=round(sum(t.user + t.system for t in times), 1),
        )

    def to_json(self) -> dict[str, float | int]:
        """By name."""
        return asdict(self)


async def watch(pid: int, since: float, every_s: float, into: list[Holdings]) -> None:
    """Note what the process holds, until cancelled."""
    while True:
        into.append(Holdings.of(pid, since))
        await asyncio.sleep(every_s)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much the second grows with the first, by least squares; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    x, y = np.array(points, float).T
    return float(np.polyfit(x, y, 1)[0])


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late the server's event loop was."""

    looks: int
    at_most_s: dict[float, int]
    """Looks that found it at most so late."""

    def since(self, before: LoopLag) -> LoopLag:
        """What came after ``before``."""
        counts = {bound: n - before.at_most_s[bound] for bound, n in self.at_most_s.items()}
        return LoopLag(self.looks - before.looks, counts)

    def over(self, bound_s: float) -> int:
        """Looks that found it later than a bound of the histogram."""
        return self.looks - self.at_most_s[bound_s]

    def to_json(self) -> dict[str, float | int]:
        """Shares of looks."""
        looks = max(1, self.looks)
        return {
            "looks": self.looks,
            **{f"over_{bound * 1000:g}_ms": self.over(bound) for bound in (0.01, 0.025, 0.05, 0.1)},
            "over_50_ms_percent": round(100 * self.over(0.05) / looks, 3),
        }


async def loop_lag(url: str, key: str | None = None) -> LoopLag:
    """What ``/metrics`` says of it; all processes of the server together."""
    text = await _metrics(url, key)
    found = re.findall(r'^rtc_stt_loop_lag_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)', text, re.M)
    counts: dict[float, int] = {}
    for bound, count in found:
        counts[float(bound)] = counts.get(float(bound), 0) + int(float(count))
    return LoopLag(counts[float("inf")], counts)


async def metric(url: str, name: str, key: str | None = None) -> dict[str, float]:
    """The values of a metric by their labels as text (empty where it has none)."""
    found = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)", await _metrics(url, key), re.M)
    return {labels: float(value) for labels, value in found}


async def _metrics(url: str, key: str | None) -> str:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(url, headers=headers) as http, http.get("/metrics") as response:
        response.raise_for_status()
        return await response.text()
