"""How many replicas of a tier are wanted: by the audio that waits for them, and by how busy they are. Pure.

::

    audio waits                 more at once: as many as it is worth, twice those that run at most; a replica
                                takes its time to start, and meanwhile the queue says less than nothing
    replicas are busy           one that is busy seven tenths of its time has a queue before long
    neither, for so long        fewer: as many as were ever wanted in that time; one quiet minute of a
                                conversation is no reason to load a model again in the next

``queue_policy`` is what Ray Serve calls. Ray pickles the whole module by value and runs it in a process
of its own: it imports nothing of ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BUSY_SHARE", "GROWTH", "STATS", "Aim", "Load", "Past", "queue_policy", "read_load", "wanted"]

STATS = ("queued_audio_s", "busy", "calls")
"""What a replica tells of itself: audio that waits at the gateways for its tier, calls under way, and those
that it could have under way."""

BUSY_SHARE = 0.7
"""Of its calls. Beyond it the wait grows faster than the work: at 0.7 it is twice the work itself."""

GROWTH = 2
"""At most so many times those that run."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What the operator wants of a tier."""

    floor: int
    ceiling: int
    queued_audio_s: float
    """That may wait for each replica, in seconds."""
    patience_s: float
    """Before there are fewer."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the replicas of a tier have to do."""

    running: int
    """Replicas."""
    queued_audio_s: float
    busy: float
    """Calls under way, of all of them."""
    calls: float
    """That could be."""


@dataclass(frozen=True, slots=True)
class Past:
    """Since when fewer would do, and the most that were wanted since; both None where they would not."""

    since: float | None = None
    most: int | None = None


def wanted(aim: Aim, load: Load | None, target: int, past: Past, now: float) -> tuple[int, Past]:
    """Replicas from now on, and what is to be remembered.

    Args:
        load: None where nothing is known; then all stays.
        target: what was wanted last.
        now: seconds of any clock that does not go back.
    """
    target = min(max(target, aim.floor), aim.ceiling)
    if load is None or load.running < 1:
        return target, Past()
    need = min(max(_need(aim, load), aim.floor), aim.ceiling)
    if need >= target:
        return need, Past()
    most = max(need, past.most or 0)
    since = now if past.since is None else past.since
    if now - since < aim.patience_s:
        return target, Past(since, most)
    return min(most, target), Past()


def _need(aim: Aim, load: Load) -> int:
    by_queue = 0
    if load.queued_audio_s > aim.queued_audio_s * load.running:
        by_queue = math.ceil(load.queued_audio_s / aim.queued_audio_s)
    by_busy = 0
    if load.calls > 0:
        by_busy = math.ceil(load.busy / (BUSY_SHARE * load.calls / load.running) - 1e-9)
    return min(max(by_queue, by_busy, 1), GROWTH * load.running)


def queue_policy(context: Any) -> tuple[int, dict[str, Any]]:
    """See above; what ``AutoscalingConfig.policy`` names. Serve asks several times a second, with its
    ``AutoscalingContext``.

    The aim is told in the fields of Serve's own configuration: arguments of a policy count as its code there,
    and a change of them would start every replica anew.
    """
    config, state = context.config, context.policy_state or {}
    if config.min_replicas == 0:  # a tier that is drained
        return 0, {}
    queued_audio_s, patience_s = config.target_ongoing_requests, config.downscale_delay_s
    aim = Aim(config.min_replicas, config.max_replicas, queued_audio_s, patience_s)
    past = Past(state.get("since"), state.get("most"))
    load = read_load(context.current_num_replicas, context.aggregated_metrics or {})
    count, past = wanted(aim, load, context.target_num_replicas, past, context.current_time)
    return count, {"since": past.since, "most": past.most}


def read_load(running: int, metrics: Mapping[str, Mapping[Any, float]]) -> Load | None:
    """What Serve has collected, by figure and replica. Every gateway tells every replica its whole queue, so
    the largest one counts, not their sum. None where not a replica has told anything."""
    queued, busy, calls = (list((metrics.get(name) or {}).values()) for name in STATS)
    if not calls:
        return None
    # Those that have told nothing yet are as busy as the others.
    share = running / len(calls)
    return Load(running, max(queued, default=0.0), share * sum(busy), share * sum(calls))
