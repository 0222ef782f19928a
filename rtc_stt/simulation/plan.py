"""How many machines do so many sessions take? By simulation of one, as full as its limits allow. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rtc_stt.load import Step
from rtc_stt.search import Trial, Verdict, found, next_sessions
from rtc_stt.simulation.node import Setting
from rtc_stt.simulation.run import Figures, simulate

__all__ = ["Limits", "Plan", "make_plan"]

MOST = 4_096
"""Sessions on one machine; beyond that other things end first: ports, the event loop."""

NEAR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is to be kept."""

    final_p95_ms: float = 200.0
    """From the endpoint to the final."""
    partial_p95_ms: float = 700.0
    most_busy: float = 0.8
    """Of the fast tier's calls: what is left is for minutes in which more speak than usual."""
    sessions_a_process: int = 64
    """As much as one event loop carries: decode calls are not all that a session costs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes."""

    sessions: int
    per_machine: int
    """That one machine carries within the limits."""
    machines: int
    spare: int
    """Of them, so that one may be away."""
    full: Figures
    """Of a machine that is as full as it may be."""
    expected: Figures
    """Of one where all machines are there."""
    tried: tuple[Figures, ...]
    """p95 against load: all numbers of sessions that were simulated."""


def make_plan(
    setting: Setting,
    sessions: int,
    limits: Limits,
    *,
    spare: int = 1,
    seconds: float = 120.0,
    tick: Callable[[Figures], object] = lambda _: None,
) -> Plan | None:
    """See above; None where one machine does not carry even one session.

    Args:
        spare: machines that may be away.
    """
    tried: dict[int, Figures] = {}
    trials: list[Trial] = []
    while number := next_sessions(trials, most=min(MOST, limits.sessions_a_process), near=NEAR):
        again = sum(trial.sessions == number for trial in trials)
        tried[number] = figures = simulate(setting, number, seconds=seconds, seed=again)
        tick(figures)
        trials.append(Trial(number, Verdict.CARRIED if keeps(figures, limits) else Verdict.TOO_MANY))
    carried = found(trials).carried
    if not carried:
        return None
    needed = math.ceil(sessions / carried)
    machines = needed + spare
    usual = math.ceil(sessions / machines)
    expected = tried.get(usual) or simulate(setting, usual, seconds=seconds)
    return Plan(
        sessions,
        carried,
        machines,
        spare,
        tried[carried],
        expected,
        tuple(tried[number] for number in sorted(tried)),
    )


def keeps(figures: Figures, limits: Limits) -> bool:
    """Whether all is as it should be; where there was nothing to wait for, it is."""
    return (
        (figures.final_p95_ms or 0.0) <= limits.final_p95_ms
        and (figures.partial_p95_ms or 0.0) <= limits.partial_p95_ms
        and figures.utilisation <= limits.most_busy
        and not sum(figures.steps[Step.SLOW_PARTIALS :])
    )
