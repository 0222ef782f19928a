"""Several gateways, each with its queue, over replicas that all of them use. Pure.

Sessions come and go, replicas are added and taken away by what waits, and machines are lost.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from rtc_stt.hypothesis import Tier
from rtc_stt.load import Step
from rtc_stt.percentiles import nearest_rank
from rtc_stt.simulation.lanes import ReplicaTier, Told
from rtc_stt.simulation.node import Node, Setting
from rtc_stt.simulation.speaker import Waits
from rtc_stt.simulation.timeline import Timeline

__all__ = ["Fleet", "FleetSetting", "Minute", "Scaler", "Seen", "day"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tier has to do, as whoever scales it sees it."""

    running: int
    """Replicas."""
    queued_audio_s: float
    """That waits at all gateways together, in seconds."""
    busy: float
    """Calls under way, of …"""
    calls: float
    """… those that could be."""


class Scaler(Protocol):
    """How many replicas of a tier there should be; it may remember what it saw."""

    def __call__(self, seen: Seen, target: int, now: float) -> int:
        """Replicas from now on.

        Args:
            target: what it said last.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSetting:
    """What is simulated."""

    node: Setting
    """Of each gateway. Its service times are those of a replica."""
    calls: int = 1
    """That a replica decodes at a time."""
    network_s: float = 0.001
    """One way between a gateway and a replica."""
    start_s: float = 45.0
    """From the wish for a replica to its first call: a container, the model, the warm-up."""
    told: Told = Told.ANSWERS
    """What gateways know of each other's calls."""
    sessions_a_gateway: int = 64
    reconnect_s: float = 1.0
    """Until those whose gateway is lost speak to another one."""
    scaler: Callable[[], Scaler] | None = None
    """Makes that of a tier; None: there are as many replicas as there were, and who is lost is replaced."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What was, of the fast tier. Milliseconds are None where there is nothing to tell of."""

    at_s: float
    """Its end."""
    sessions: int
    gateways: int
    replicas: int
    """That answer."""
    busy: float
    """Of their calls, in [0, 1]."""
    finals: int
    final_p95_ms: float | None
    """From the endpoint to the final."""
    final_decode_p95_ms: float | None
    """From the request for a final, mostly before the endpoint, to its answer."""
    partial_p95_ms: float | None
    highest_step: int
    """Of the ladder, at any gateway."""


@dataclass(slots=True)
class _Tier:
    """A tier, and how many replicas it should have."""

    replicas: ReplicaTier
    target: int
    scaler: Scaler | None
    starting: int = 0


@dataclass(slots=True)
class _Noted:
    """Within a minute."""

    waits: Waits = field(default_factory=Waits)
    highest: int = 0
    busy: list[float] = field(default_factory=list)


class Fleet:
    """See above.

    Args:
        replicas: of each tier, that are there at the begin.
        seed: of everything that is left to chance.
    """

    def __init__(
        self, timeline: Timeline, setting: FleetSetting, replicas: dict[Tier, int], seed: int = 0
    ) -> None:
        self.minutes: list[Minute] = []
        self.last_waits = Waits()
        """Of the last minute."""
        self._time, self._setting = timeline, setting
        self._chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._tiers = {tier: self._make_tier(tier, count) for tier, count in replicas.items()}
        self._gateways: list[Node] = []
        self._gone: list[Node] = []
        self._noted = _Noted()
        self.sessions = 0
        """That are wanted; those on their way from a gateway that was lost are among them."""
        self._away = 0
        timeline.after(1.0, self._look)

    def _make_tier(self, tier: Tier, count: int) -> _Tier:
        replicas = ReplicaTier(
            self._time,
            self._setting.node.times.tiers[tier],
            calls=self._setting.calls,
            network_s=self._setting.network_s,
            told=self._setting.told,
            chance=random.Random(self._chance.random()),  # noqa: S311
        )
        for _ in range(count):
            replicas.add()
        return _Tier(replicas, count, self._setting.scaler() if self._setting.scaler else None)

    @property
    def gateways(self) -> int:
        """That live."""
        return len(self._gateways)

    def replicas(self, tier: Tier = Tier.FAST) -> int:
        """That answer."""
        return len(self._tiers[tier].replicas.replicas)

    # ── Sessions ────────────────────────────────────────────────────────────

    def set_gateways(self, count: int) -> None:
        """So many, at least; nobody is moved."""
        while len(self._gateways) < count:
            lanes = {tier: told.replicas.lane() for tier, told in self._tiers.items()}
            node = Node(self._time, self._setting.node, self._chance.randrange(2**32), lanes=lanes)
            self._gateways.append(node)

    def set_sessions(self, count: int) -> None:
        """Somebody comes to the gateway with the fewest, or goes from the one with the most."""
        self.set_gateways(max(1, math.ceil(count / self._setting.sessions_a_gateway)))
        self.sessions = count
        self._settle()

    def _settle(self) -> None:
        here = sum(node.sessions for node in self._gateways)
        for _ in range(here, self.sessions - self._away):
            min(self._gateways, key=lambda node: node.sessions).add_speaker()
        for _ in range(self.sessions - self._away, here):
            max(self._gateways, key=lambda node: node.sessions).remove_speaker()

    # ── What is lost ────────────────────────────────────────────────────────────

    def lose_replica(self, tier: Tier = Tier.FAST) -> None:
        """It dies with what it has; another one is started."""
        if self._tiers[tier].replicas.replicas:
            self._tiers[tier].replicas.remove(dies=True)

    def lose_gateway(self) -> None:
        """Its sessions begin anew elsewhere."""
        lost = self._gateways.pop(0)
        moved = lost.sessions
        self._take(lost)
        lost.die()
        self._away += moved
        self.set_gateways(1)

        def come_back() -> None:
            self._away -= moved
            self._settle()

        self._time.after(self._setting.reconnect_s, come_back)

    # ── Each second, and each minute ────────────────────────────────────────────────────────────

    def _look(self) -> None:
        for tier, told in self._tiers.items():
            self._scale(tier, told)
        self._noted.busy.append(self._tiers[Tier.FAST].replicas.utilisation)
        self._time.after(1.0, self._look)

    def _scale(self, tier: Tier, told: _Tier) -> None:
        running = told.replicas.replicas
        if told.scaler:
            queued_s = sum(node.queued_audio_of(tier) for node in self._gateways)
            busy = sum(replica.busy for replica in running)
            seen = Seen(len(running), queued_s, busy, len(running) * self._setting.calls)
            told.target = told.scaler(seen, told.target, self._time.now)
        for _ in range(told.target - len(running) - told.starting):
            told.starting += 1
            self._time.after(self._setting.start_s, lambda told=told: self._started(told))  # type: ignore[misc]
        for _ in range(len(running) - max(1, told.target)):
            told.replicas.remove(dies=False)

    def _started(self, told: _Tier) -> None:
        told.starting -= 1
        if len(told.replicas.replicas) < told.target:
            told.replicas.add()

    def _take(self, node: Node) -> None:
        """What a gateway has noted, into the minute."""
        noted, waits = self._noted, node.waits
        noted.waits.finals += waits.finals
        noted.waits.final_decodes += waits.final_decodes
        noted.waits.partials += waits.partials
        noted.highest = max([noted.highest, *node.steps])
        waits.clear()
        node.steps.clear()
        node.utilisations.clear()

    def end_minute(self) -> Minute:
        """What was since the last one."""
        for node in self._gateways:
            self._take(node)
        noted, self._noted = self._noted, _Noted()
        waits = self.last_waits = noted.waits
        minute = Minute(
            at_s=self._time.now,
            sessions=self.sessions,
            gateways=self.gateways,
            replicas=self.replicas(),
            busy=round(sum(noted.busy) / max(1, len(noted.busy)), 3),
            finals=len(waits.finals),
            final_p95_ms=_p95_ms(waits.finals),
            final_decode_p95_ms=_p95_ms(waits.final_decodes),
            partial_p95_ms=_p95_ms(waits.partials),
            highest_step=Step(noted.highest),
        )
        self.minutes.append(minute)
        return minute


def _p95_ms(values: list[float]) -> float | None:
    return round(1000 * nearest_rank(sorted(values), 95), 1) if values else None


def day(share: float) -> float:
    """Load as a share of its peak: all of it at four in the afternoon, a tenth at four in the morning.

    Args:
        share: of the day that is over, in [0, 1].
    """
    return 0.55 - 0.45 * math.cos(2 * math.pi * (share - 4 / 24))
