"""One decode worker against two: decodes a second of a queue that is never empty, and what each costs.

On a machine with fewer cores than all of it wants, the second worker brings what the machine still has, no
more: processor seconds of a decode, and cores in use, say which it was.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from rtc_stt.config_keys import Values
from rtc_stt.decode_pool import Answer, DecodePool
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.loading import DEMO_VALUES, await_replicas, make_speech, replica_tiers
from tools.fleet.machine import Cores, cpu_seconds
from tools.fleet.stage import Fleet, Size, fleet
from tools.operations.traffic import Spoken, recordings

__all__ = ["HELP", "add_arguments", "measure", "measured"]

HELP = "decodes a second of one worker and of two, and processor seconds of each"


class Feeder:
    """So many streams of which each has one request at a time: as soon as it is answered, the next."""

    def __init__(self, pool: DecodePool, said: Sequence[Spoken], streams: int) -> None:
        self._pool, self._said = pool, cycle(said)
        self._names = [f"stream-{number}" for number in range(streams)]
        self._numbers = dict.fromkeys(self._names, 0)
        self._goes_on = True
        self.decoded = 0
        self.audio_s = 0.0
        self.failed = 0

    def begin(self) -> None:
        """All streams."""
        for name in self._names:
            self._pool.attach(name, self._receive)
            self._ask(name)

    def end(self) -> None:
        """Nothing more is asked."""
        self._goes_on = False
        for name in self._names:
            self._pool.detach(name)

    def _ask(self, name: str) -> None:
        self._numbers[name] += 1
        request = DecodeRequest(
            name,
            self._numbers[name],
            1,
            Tier.FAST,
            Urgency.RECORDING,
            audio=next(self._said).audio,
            audio_start=0,
            language="en",
        )
        self._pool.submit(request)

    def _receive(self, answer: Answer) -> None:
        if isinstance(answer, Hypothesis):
            self.decoded += 1
            self.audio_s += len(answer.request.audio) / 16_000
        else:
            self.failed += 1
        if self._goes_on:
            self._ask(answer.request.stream_id)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stretch (default: 20)")
    parser.add_argument("--streams", type=int, default=32, help="requests at a time (default: 32)")
    parser.add_argument("--rounds", type=int, default=2, help="one and two workers in turn (default: 2)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures, fit for JSON."""
    return asyncio.run(measured(options.seconds, options.streams, options.rounds))


async def measured(seconds: float, streams: int, rounds: int) -> dict[str, Any]:
    """See above."""
    with fleet(Size(fast=1, accurate=0, keeps_head=False)) as there:
        await asyncio.to_thread(there.start_ray)
        found: dict[str, list[dict[str, Any]]] = {"1": [], "2": []}
        for _ in range(rounds):
            for workers, runs in found.items():
                await asyncio.to_thread(there.deploy, FAST_REPLICAS=workers)
                await asyncio.to_thread(there.cluster.wait_for_replicas, "fast", int(workers))
                runs.append(await _stretch(there, seconds, streams))
                print(time.strftime("%H:%M:%S"), workers, runs[-1], file=sys.stderr)
        rates = {name: sum(run["decodes_per_s"] for run in runs) / rounds for name, runs in found.items()}
        return {
            "seconds": seconds,
            "streams": streams,
            "workers": found,
            "two_against_one": round(rates["2"] / rates["1"], 2),
        }


async def _stretch(there: Fleet, seconds: float, streams: int) -> dict[str, Any]:
    values = Values(
        {
            "ENGINE": (there.cluster.engine, "scale"),
            "WORKERS_KEY": (there.cluster.key, "scale"),
            "QUEUE_LIMIT": ("1000", "scale"),
        }
    ).over(DEMO_VALUES)
    tiers = replica_tiers(values)
    assert tiers
    speech = make_speech(values, live=False, tiers=tiers)
    assert isinstance(speech.pool, DecodePool)
    try:
        await await_replicas(speech, tiers[Tier.FAST].roster, lambda line: print(line, file=sys.stderr))
        feeder = Feeder(speech.pool, recordings(), streams)
        feeder.begin()
        await asyncio.sleep(seconds / 4)  # all links stand, all models are warm
        pids = [replica.pid for replica in await asyncio.to_thread(there.cluster.replicas, "fast")]
        before, cores, begun = sum(map(cpu_seconds, pids)), Cores(), time.monotonic()
        decoded, audio_s, failed = feeder.decoded, feeder.audio_s, feeder.failed
        await asyncio.sleep(seconds)
        lasted, of_workers = time.monotonic() - begun, sum(map(cpu_seconds, pids)) - before
        decoded, audio_s = feeder.decoded - decoded, feeder.audio_s - audio_s
        feeder.end()
        return {
            "decodes_per_s": round(decoded / lasted, 1),
            "audio_s_per_s": round(audio_s / lasted, 1),
            "failed": feeder.failed - failed,
            "cpu_s_of_workers_per_decode": round(of_workers / max(1, decoded), 4),
            "cores_of_workers": round(of_workers / lasted, 2),
            "cores": cores.used(),
        }
    finally:
        await speech.aclose()
