"""How many replicas and gateways do so many sessions take? By simulation of some of them. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from rtc_stt.load import Step
from rtc_stt.simulation.fleet import Fleet, FleetSetting, Minute
from rtc_stt.simulation.plan import Limits
from rtc_stt.simulation.speaker import Waits
from rtc_stt.simulation.timeline import Timeline

__all__ = ["FleetPlan", "cell_waits", "plan_fleet", "simulate_fleet"]

CELL = 256
"""Sessions that are simulated together. Of more, a fleet has so many times as much of everything."""

MOST_REPLICAS = 64
"""Of a cell: beyond that a replica does not even carry four sessions."""

WARM_UP_S = 10.0


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What it takes."""

    sessions: int
    gateways: int
    replicas: int
    """Of each tier."""
    spare: int
    """Gateways, and replicas of each tier, that may be away."""
    sessions_a_replica: float
    expected: Minute
    """Of a cell, with as many sessions as it was planned for."""
    full: Minute
    """Likewise, with as many more as there is room for."""


def simulate_fleet(
    setting: FleetSetting, sessions: int, replicas: int, *, seconds: float, seed: int = 0
) -> Minute:
    """So many sessions for so long, and some seconds before that."""
    return cell_waits(setting, sessions, replicas, seconds=seconds, seed=seed)[0]


def cell_waits(
    setting: FleetSetting, sessions: int, replicas: int, *, seconds: float, seed: int = 0
) -> tuple[Minute, Waits]:
    """The same, and what each waited for."""
    timeline = Timeline()
    fleet = Fleet(timeline, setting, dict.fromkeys(setting.node.times.tiers, replicas), seed)
    fleet.set_sessions(sessions)
    timeline.run(WARM_UP_S)
    fleet.end_minute()
    timeline.run(WARM_UP_S + seconds)
    return fleet.end_minute(), fleet.last_waits


def plan_fleet(
    setting: FleetSetting,
    sessions: int,
    limits: Limits,
    *,
    spare: int = 1,
    seconds: float = 30.0,
    tick: Callable[[Minute], object] = lambda _: None,
) -> FleetPlan | None:
    """See above; None where the limits cannot be kept with any number of replicas.

    How busy replicas are says little of what they could do: they take what there is in small batches, and in
    large ones if they must. So the limit on that is kept by planning for more sessions than are expected.
    """
    setting = dataclasses.replace(setting, sessions_a_gateway=limits.sessions_a_process, scaler=None)
    cell = min(sessions, CELL)
    full = math.ceil(cell / limits.most_busy)
    tried: dict[int, Minute] = {}

    def keeps(replicas: int) -> bool:
        tried[replicas] = minute = simulate_fleet(setting, full, replicas, seconds=seconds)
        tick(minute)
        return _keeps(minute, limits)

    needed = _least(keeps)
    if needed is None:
        return None
    return FleetPlan(
        sessions=sessions,
        gateways=math.ceil(sessions / limits.sessions_a_process) + spare,
        replicas=math.ceil(sessions * needed / cell) + spare,
        spare=spare,
        sessions_a_replica=round(cell / needed, 1),
        expected=simulate_fleet(setting, cell, needed, seconds=seconds),
        full=tried[needed],
    )


def _least(keeps: Callable[[int], bool]) -> int | None:
    """The least number that does, if it is taken that more do not do worse."""
    low, high = 0, 1
    while not keeps(high):
        low, high = high, 2 * high
        if high > MOST_REPLICAS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if keeps(middle):
            high = middle
        else:
            low = middle
    return high


def _keeps(minute: Minute, limits: Limits) -> bool:
    return (
        (minute.final_p95_ms or 0.0) <= limits.final_p95_ms
        and (minute.partial_p95_ms or 0.0) <= limits.partial_p95_ms
        and minute.highest_step == Step.NORMAL
    )
