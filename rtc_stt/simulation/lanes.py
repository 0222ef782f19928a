"""Who decodes for a simulated node: engines of its own, or replicas that it shares with others. Pure.

Of replicas a node knows what a real one does (:mod:`rtc_stt.replicas`): what it has there itself, and what
the others had at the last answer or sign of life.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.simulation.service_times import ServiceTimes
from rtc_stt.simulation.timeline import Timeline

__all__ = ["Lane", "LocalLane", "Replica", "ReplicaLane", "ReplicaTier", "Told", "Work"]

ALIVE_S = 1.0
"""Between two signs of life."""


class Told(enum.Enum):
    """When a replica says what it has to do, all nodes together."""

    NEVER = enum.auto()
    ALIVE = enum.auto()
    """With each sign of life."""
    ANSWERS = enum.auto()
    """And with each answer, to whom it goes."""


RELINK_S = 0.05
"""Where no replica can be asked, it is tried again so soon."""


@dataclass(frozen=True, slots=True)
class Work:
    """A call, as far as it takes time."""

    requests: int
    longest_s: float
    stream: int
    """Of the session of its first request: a number that stays the same."""


class Lane(Protocol):
    """Of one tier."""

    @property
    def free(self) -> int:
        """Calls that may begin now."""
        ...

    def start(self, work: Work, done: Callable[[], None]) -> None:
        """Decode this, and say when it is."""
        ...

    def utilisation(self, now: float) -> float:
        """Of its calls since the last look, in [0, 1]."""
        ...


class _Meter:
    """How busy calls are."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.busy = 0
        self._busy_s = self._looked_at = self._since = 0.0

    def step(self, by: int, now: float) -> None:
        """So many begin, or end."""
        self._busy_s += self.busy * (now - self._since)
        self.busy, self._since = self.busy + by, now

    def look(self, now: float) -> float:
        """Since the last look, in [0, 1]."""
        self.step(0, now)
        passed = (now - self._looked_at) * self.count
        busy_s, self._busy_s, self._looked_at = self._busy_s, 0.0, now
        return min(1.0, busy_s / passed) if passed > 0 else 0.0


class LocalLane:
    """An engine in the process.

    Args:
        stretch: by how much calls take longer at present.
    """

    def __init__(
        self,
        timeline: Timeline,
        times: ServiceTimes,
        calls: int,
        chance: random.Random,
        stretch: Callable[[], float],
    ) -> None:
        self._time, self._times, self._chance, self._stretch = timeline, times, chance, stretch
        self._meter = _Meter(calls)

    @property
    def free(self) -> int:
        """See :class:`Lane`."""
        return self._meter.count - self._meter.busy

    def start(self, work: Work, done: Callable[[], None]) -> None:
        """See :class:`Lane`."""
        self._meter.step(1, self._time.now)
        seconds = self._stretch() * self._times.draw(work.requests, work.longest_s, self._chance)

        def end() -> None:
            self._meter.step(-1, self._time.now)
            done()

        self._time.after(seconds, end)

    def utilisation(self, now: float) -> float:
        """See :class:`Lane`."""
        return self._meter.look(now)


class Replica:
    """An engine on a machine of its own: so many calls at a time, and others wait at its door."""

    def __init__(
        self, timeline: Timeline, times: ServiceTimes, calls: int, chance: random.Random, number: int
    ) -> None:
        self.number = number
        self.calls = calls
        self.is_alive = True
        self._time, self._times, self._chance = timeline, times, chance
        self._meter = _Meter(calls)
        self._door: deque[tuple[Work, Callable[[], None]]] = deque()

    @property
    def load(self) -> int:
        """Calls that it has, those at the door included."""
        return self._meter.busy + len(self._door)

    @property
    def busy(self) -> int:
        """Calls under way."""
        return self._meter.busy

    def receive(self, work: Work, done: Callable[[], None]) -> None:
        """A call arrives."""
        self._door.append((work, done))
        self._go_on()

    def die(self) -> None:
        """What it had is not answered."""
        self.is_alive = False
        self._door.clear()

    def utilisation(self, now: float) -> float:
        """Since the last look, in [0, 1]."""
        return self._meter.look(now)

    def _go_on(self) -> None:
        while self._door and self._meter.busy < self.calls:
            work, done = self._door.popleft()
            self._meter.step(1, self._time.now)
            seconds = self._times.draw(work.requests, work.longest_s, self._chance)
            self._time.after(seconds, lambda done=done: self._end(done))  # type: ignore[misc]

    def _end(self, done: Callable[[], None]) -> None:
        if self.is_alive:
            self._meter.step(-1, self._time.now)
            done()
            self._go_on()


class ReplicaTier:
    """All replicas of a tier; nodes are told of changes.

    Args:
        network_s: one way between a node and a replica.
        told: what nodes know of each other's calls.
    """

    def __init__(
        self,
        timeline: Timeline,
        times: ServiceTimes,
        *,
        calls: int,
        network_s: float,
        told: Told,
        chance: random.Random,
    ) -> None:
        self.replicas: list[Replica] = []
        self.calls, self.network_s, self.told = calls, network_s, told
        self._time, self._times, self._chance = timeline, times, chance
        self._count = 0
        self._lanes: list[ReplicaLane] = []
        self._used: dict[int, float] = {}
        timeline.after(ALIVE_S, self._tell)

    def lane(self) -> ReplicaLane:
        """For another node."""
        lane = ReplicaLane(self._time, self)
        self._lanes.append(lane)
        return lane

    def add(self) -> None:
        """One more."""
        chance = random.Random(self._chance.random())  # noqa: S311 - a simulation, no secret
        self.replicas.append(Replica(self._time, self._times, self.calls, chance, self._count))
        self._count += 1

    def remove(self, *, dies: bool) -> None:
        """The newest goes: it answers what it has, or it does not."""
        replica = self.replicas.pop()
        if dies:
            replica.die()
        for lane in self._lanes:
            lane.lose(replica, dies=dies)

    @property
    def utilisation(self) -> float:
        """Of all calls between the last two signs of life."""
        shares = [self._used.get(replica.number, 0.0) for replica in self.replicas]
        return sum(shares) / len(shares) if shares else 0.0

    def _tell(self) -> None:
        now = self._time.now
        self._used = {replica.number: replica.utilisation(now) for replica in self.replicas}
        for lane in self._lanes:
            lane.hear()
        self._time.after(ALIVE_S, self._tell)


class ReplicaLane:
    """What one node knows of a tier's replicas, and what it has there."""

    def __init__(self, timeline: Timeline, tier: ReplicaTier) -> None:
        self._time, self._tier = timeline, tier
        self._mine: dict[int, dict[int, tuple[Work, Callable[[], None]]]] = {}
        self._others: dict[int, int] = {}
        self._count = 0

    @property
    def free(self) -> int:
        """One more than is decoded may wait at each door: so none of them stands idle between two calls."""
        return sum(max(0, replica.calls + 1 - self._has(replica)) for replica in self._tier.replicas)

    def start(self, work: Work, done: Callable[[], None]) -> None:
        """See :class:`Lane`."""
        replica = self._choose(work)
        if replica is None:
            self._time.after(RELINK_S, lambda: self.start(work, done))
            return
        self._count += 1
        number = self._count
        self._mine.setdefault(replica.number, {})[number] = work, done
        network_s = self._tier.network_s

        def answer() -> None:
            self._time.after(network_s, lambda: self._end(replica, number))

        def arrive() -> None:
            if replica.is_alive:
                replica.receive(work, answer)

        self._time.after(network_s, arrive)

    def utilisation(self, now: float) -> float:
        """Of all calls of the replicas, whoever's they are."""
        return self._tier.utilisation

    def hear(self) -> None:
        """A sign of life of each."""
        if self._tier.told is Told.NEVER:
            return
        self._others = {r.number: max(0, r.load - self._has(r)) for r in self._tier.replicas}

    def lose(self, replica: Replica, *, dies: bool) -> None:
        """It is not asked any more; what it does not answer is asked again."""
        if dies:
            for work, done in self._mine.pop(replica.number, {}).values():
                self.start(work, done)

    def _end(self, replica: Replica, number: int) -> None:
        asked = self._mine.get(replica.number, {}).pop(number, None)
        if self._tier.told is Told.ANSWERS:
            self._others[replica.number] = max(0, replica.load - self._has(replica))
        if asked:
            asked[1]()

    def _has(self, replica: Replica) -> int:
        return len(self._mine.get(replica.number, ()))

    def _load(self, replica: Replica) -> int:
        return self._has(replica) + self._others.get(replica.number, 0)

    def _choose(self, work: Work) -> Replica | None:
        """The session's own, if it is not made to wait there; else the one with the least to do."""
        replicas = self._tier.replicas
        if not replicas:
            return None
        own = replicas[work.stream % len(replicas)]
        if self._load(own) < own.calls:
            return own
        return min(replicas, key=lambda replica: (self._load(replica) / replica.calls, replica.number))
