"""How long one call of an engine takes, by how many are in it and how long their audio is.

As many calls at a time as a server would make, so that they stand in each other's way as there. What is
decoded is speech: how much a decoder has to say is a good part of what it takes.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.decode_pool import Engine
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency

__all__ = ["BATCHES", "LENGTHS_S", "as_text", "measure", "steps", "with_carrying"]

BATCHES = (1, 2, 4, 8)
LENGTHS_S = (0.6, 1.0, 2.0, 4.0, 8.0)
CALLS = 5
"""Of each kind, by each thread, after one that does not count."""

QUANTILES = 20


def steps(tiers: int) -> int:
    """How often ``tick`` is called."""
    return tiers * len(BATCHES) * len(LENGTHS_S)


def as_text(told: Mapping[str, Any]) -> str:
    """As a file."""
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def with_carrying(told: Mapping[str, Any], carrying: Mapping[str, Any]) -> dict[str, Any]:
    """With what :mod:`rtc_stt.bench.carrying` found of the fast tier; without, where that is nothing."""
    if not carrying:
        return dict(told)
    fast = told["tiers"][Tier.FAST] | {"spread": carrying["spread"]}
    beside = {name: carrying[name] for name in ("sessions", "stretch")}
    return {**told, "carrying": beside, "tiers": {**told["tiers"], str(Tier.FAST): fast}}


def measure(
    engines: dict[Tier, Engine], concurrency: int, speech: Samples, name: str, tick: Callable[[], object]
) -> dict[str, Any]:
    """What :func:`rtc_stt.simulation.read_times` reads.

    Args:
        speech: a minute of it, or more.
        name: of machine and models, for people.
    """
    tiers = {str(tier): _table(engine, tier, concurrency, speech, tick) for tier, engine in engines.items()}
    return {"name": name, "concurrency": concurrency, "tiers": tiers}


def _table(
    engine: Engine, tier: Tier, concurrency: int, speech: Samples, tick: Callable[[], object]
) -> dict[str, Any]:
    can_batch = hasattr(engine, "decode_batch")
    batches = BATCHES if can_batch else BATCHES[:1]
    rows, ratios = list[list[float]](), list[float]()
    for batch in batches:
        row = list[float]()
        for length_s in LENGTHS_S:
            taken = _calls(engine, tier, concurrency, speech, batch, length_s)
            typical = median(taken)
            row.append(max(1e-5, round(typical, 5)))
            ratios += [one / typical for one in taken]
            tick()
        rows.append(row)
    return {
        "batches": list(batches),
        "lengths_s": list(LENGTHS_S),
        "seconds": rows,
        "spread": [round(ratio, 3) for ratio in quantiles(ratios, n=QUANTILES, method="inclusive")],
    }


def _calls(
    engine: Engine, tier: Tier, concurrency: int, speech: Samples, batch: int, length_s: float
) -> list[float]:
    """Seconds of each call; all threads begin together, and none ends before the others are done."""
    taken = list[float]()
    begin = threading.Barrier(concurrency)

    def work(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - places in a recording, no secret
        for call in range(CALLS + 1):
            requests = _requests(tier, speech, batch, length_s, chance, f"{number}-{call}")
            begin.wait()
            begun = time.perf_counter()
            _decode(engine, requests)
            if call:
                taken.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def _requests(
    tier: Tier, speech: Samples, batch: int, length_s: float, chance: random.Random, name: str
) -> list[DecodeRequest]:
    size = round(length_s * SAMPLE_RATE)
    places = [chance.randrange(max(1, len(speech) - size)) for _ in range(batch)]
    return [
        DecodeRequest(
            f"{name}-{n}", 1, 1, tier, Urgency.FINAL, np.ascontiguousarray(speech[at : at + size]), 0, "en"
        )
        for n, at in enumerate(places)
    ]


def _decode(engine: Engine, requests: Sequence[DecodeRequest]) -> None:
    if len(requests) > 1:
        engine.decode_batch(requests)  # type: ignore[attr-defined]
    else:
        engine.decode(requests[0])
