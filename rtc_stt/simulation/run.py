"""So many speakers on one machine for so long: what do they wait for? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.load import Step
from rtc_stt.percentiles import nearest_rank
from rtc_stt.simulation.node import Node, Setting
from rtc_stt.simulation.speaker import Waits
from rtc_stt.simulation.timeline import Timeline

__all__ = ["Figures", "simulate", "speak"]

WARM_UP_S = 10.0
"""Does not count: at first nobody waits."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one simulation. Milliseconds are None where there is nothing to tell of."""

    sessions: int
    seconds: float
    finals: int
    final_p50_ms: float | None
    """From the endpoint to the final."""
    final_p95_ms: float | None
    final_decode_p95_ms: float | None
    """From the request for a final, mostly before the endpoint, to its answer."""
    partial_p95_ms: float | None
    """From the request for a partial to its answer."""
    utilisation: float
    """Of the fast tier's calls, in [0, 1]."""
    steps: tuple[float, ...]
    """Share of the time at each step of the ladder."""


def simulate(setting: Setting, sessions: int, *, seconds: float = 120.0, seed: int = 0) -> Figures:
    """Let so many speak for so long, and some seconds before that."""
    node = speak(setting, sessions, seconds, seed)
    return _figures(node, node.waits, sessions, seconds)


def speak(
    setting: Setting,
    sessions: int,
    seconds: float,
    seed: int,
    *,
    warm_up_s: float = WARM_UP_S,
    keep_calls: bool = False,
) -> Node:
    """The same; gives the node, with all that it has noted in these seconds."""
    timeline = Timeline()
    node = Node(timeline, setting, seed, keep_calls=keep_calls)
    for _ in range(sessions):
        node.add_speaker()
    timeline.run(warm_up_s)
    node.waits.clear()
    if node.calls:
        node.calls.clear()
    node.utilisations.clear()
    node.steps.clear()
    timeline.run(warm_up_s + seconds)
    return node


def _figures(node: Node, waits: Waits, sessions: int, seconds: float) -> Figures:
    looks = len(node.steps)
    return Figures(
        sessions=sessions,
        seconds=seconds,
        finals=len(waits.finals),
        final_p50_ms=_rank(waits.finals, 50),
        final_p95_ms=_rank(waits.finals, 95),
        final_decode_p95_ms=_rank(waits.final_decodes, 95),
        partial_p95_ms=_rank(waits.partials, 95),
        utilisation=sum(node.utilisations) / looks if looks else 0.0,
        steps=tuple(node.steps.count(step) / max(1, looks) for step in Step),
    )


def _rank(values: list[float], percent: float) -> float | None:
    return round(1000 * nearest_rank(sorted(values), percent), 1) if values else None
