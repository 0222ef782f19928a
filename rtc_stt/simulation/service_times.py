"""How long one call of an engine takes, by how many are in it and how long their audio is. Pure.

Measured on the machine that is meant, with as many calls at a time as it will have, and with sessions beside
them: ``rtc-stt bench times`` writes the file.
"""

from __future__ import annotations

import bisect
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier

__all__ = ["MachineTimes", "ServiceTimes", "read_times"]

NO_SPREAD = (1.0,)


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """A table: seconds of a call with so many requests, the longest of so many seconds."""

    batches: tuple[int, ...]
    """Ascending."""
    lengths_s: tuple[float, ...]
    """Ascending."""
    seconds: tuple[tuple[float, ...], ...]
    """A row for each of ``batches``, typical times."""
    spread: tuple[float, ...] = NO_SPREAD
    """Times of single calls over the typical one: quantiles at equal distances."""

    def __post_init__(self) -> None:
        rows, columns = len(self.batches), len(self.lengths_s)
        if not rows or not columns or not self.spread:
            raise ConfigError("service times need a row, a column and a spread")
        if len(self.seconds) != rows or any(len(row) != columns for row in self.seconds):
            raise ConfigError("service times: the table has another shape than its edges")
        edges = (self.batches, self.lengths_s)
        if any(list(edge) != sorted(set(edge)) for edge in edges) or min(self.batches) < 1:
            raise ConfigError("service times: batches and lengths must ascend from 1")
        if min(min(row) for row in self.seconds) <= 0 or min(self.spread) <= 0:
            raise ConfigError("service times must be above 0")

    def typical(self, batch: int, length_s: float) -> float:
        """Between the measured points a straight line; beyond them the last one goes on."""
        row, share = _place(self.batches, batch)
        low = _along(self.lengths_s, self.seconds[row], length_s)
        if not share:
            return low
        high = _along(self.lengths_s, self.seconds[row + 1], length_s)
        return max(low + share * (high - low), min(low, high) / 2)

    def draw(self, batch: int, length_s: float, chance: random.Random) -> float:
        """One call's time: some are quicker, some slower."""
        return self.typical(batch, length_s) * chance.choice(self.spread)


@dataclass(frozen=True, slots=True)
class MachineTimes:
    """Of one machine."""

    name: str
    """Of machine and models, for people."""
    concurrency: int
    """Calls at a time while it was measured, and so in what is simulated."""
    tiers: Mapping[Tier, ServiceTimes]
    """:attr:`Tier.FAST` at least."""
    carrying: tuple[tuple[float, float], ...] = ()
    """By how much calls take longer in a process that also carries so many sessions: ``(sessions, factor)``,
    sessions ascending. Empty: by nothing, for that was not measured."""

    def __post_init__(self) -> None:
        sessions = [number for number, _ in self.carrying]
        if sessions != sorted(set(sessions)) or any(n < 1 or factor <= 0 for n, factor in self.carrying):
            raise ConfigError("service times: what carrying costs must ascend by sessions, and be above 0")

    def stretch(self, sessions: int) -> float:
        """The factor for so many sessions; between measured points, and beyond the last, a straight line."""
        if not self.carrying:
            return 1.0
        numbers, factors = zip(*self.carrying, strict=True)
        return _along(numbers, factors, sessions)


def read_times(text: str) -> MachineTimes:
    """What ``rtc-stt bench times`` wrote.

    Raises:
        ConfigError: it is no such file.
    """
    try:
        told: dict[str, Any] = json.loads(text)
        tiers = {Tier(name): _table(table) for name, table in told["tiers"].items()}
        if Tier.FAST not in tiers:
            raise ConfigError("service times: those of the fast tier are missing")
        return MachineTimes(str(told["name"]), int(told["concurrency"]), tiers, _carrying(told))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"this is no file of service times ({type(error).__name__}: {error})") from error


def _carrying(told: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    carrying = told.get("carrying") or {"sessions": [], "stretch": []}
    pairs = zip(carrying["sessions"], carrying["stretch"], strict=True)
    return tuple((float(sessions), float(factor)) for sessions, factor in pairs)


def _table(told: Mapping[str, Any]) -> ServiceTimes:
    return ServiceTimes(
        tuple(int(batch) for batch in told["batches"]),
        tuple(float(length) for length in told["lengths_s"]),
        tuple(tuple(float(value) for value in row) for row in told["seconds"]),
        tuple(float(value) for value in told.get("spread", NO_SPREAD)),
    )


def _place(edges: Sequence[float], value: float) -> tuple[int, float]:
    """The cell in which a value is, and how far along; beyond the last edge more than 1."""
    if len(edges) == 1 or value <= edges[0]:
        return 0, 0.0
    cell = min(bisect.bisect_left(edges, value), len(edges) - 1) - 1
    return cell, (value - edges[cell]) / (edges[cell + 1] - edges[cell])


def _along(edges: Sequence[float], values: Sequence[float], at: float) -> float:
    cell, share = _place(edges, at)
    if not share:
        return values[cell]
    # What falls between two points by the noise of the measurement does not fall on beyond them.
    return max(values[cell] + share * (values[cell + 1] - values[cell]), min(values) / 2)
