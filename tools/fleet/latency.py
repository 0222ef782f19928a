"""How soon a final follows the end of speech where decodes are in Ray, and where they are in the gateway.

Each clip is spoken twice over WebRTC, in a session of its own each time: to a gateway with the demo models in
its own process, and to one whose decodes go to a real Ray cluster beside it with the same models. One speaker
at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.words import word_error_rate
from rtc_stt.loading import DEMO_VALUES
from tools.live_line.turn import AFTER_S, Final, quiet, speak_clip
from tools.operations.processes import KEY, Service
from tools.ray_cluster.cluster import RayCluster

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "endpoint to final with the decodes in Ray and in the gateway, the same clips by turns"

WAYS = ("local", "ray")

AT_MOST_MS = 25.0
"""By so much p95 may be later."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=int, default=20, help="clips of each set (default: 20)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    clips = load("clean", "digits", limit=options.limit)
    finals = asyncio.run(_measure(clips))
    told = {way: _summary(of_way) for way, of_way in finals.items()}
    local, ray = (told[way]["endpoint_to_final_ms"] for way in WAYS)
    apart = {name: round(ray[name] - local[name], 2) for name in ("p50", "p95")}
    return {
        "marks": {
            "ray_p95_within_25_ms_of_local": {
                "met": apart["p95"] <= AT_MOST_MS,
                "value": apart["p95"],
                "at_most": AT_MOST_MS,
            },
            "no_final_missing": all(figures["finals"] == len(clips) for figures in told.values()),
        },
        "endpoint_to_final_of_ray_less_local_ms": apart,
        "ways": told,
    }


async def _measure(clips: list[Clip]) -> dict[str, list[Final]]:
    with tempfile.TemporaryDirectory(prefix="fl", dir="/tmp") as name, RayCluster() as cluster:
        await asyncio.to_thread(cluster.start, 0)
        await asyncio.to_thread(cluster.deploy)
        gateways = _gateways(Path(name), cluster)
        try:
            for service in gateways.values():
                service.start()
                await service.wait_ready()
            return await _speak_all({way: service.url for way, service in gateways.items()}, clips)
        finally:
            for service in gateways.values():
                service.kill()


def _gateways(folder: Path, cluster: RayCluster) -> dict[str, Service]:
    demo = {key: value for key, (value, _) in DEMO_VALUES.entries.items()}
    settings = {key: value for key, value in demo.items() if not key.startswith("CT2_")}
    there = {"ENGINE": cluster.engine, "WORKERS_KEY": cluster.key}
    return {
        "local": Service(folder, "serve", environment=demo),
        "ray": Service(folder, "serve", environment=settings | there),
    }


async def _speak_all(urls: dict[str, str], clips: list[Clip]) -> dict[str, list[Final]]:
    finals: dict[str, list[Final]] = {way: [] for way in WAYS}
    for way in WAYS:
        await _speak(urls[way], clips[0])  # the first session of a process pays for imports
    with tqdm(total=len(WAYS) * len(clips), unit="clip") as bar:
        for number, clip in enumerate(clips):
            for way in WAYS if number % 2 else reversed(WAYS):  # who begins, too
                finals[way] += await _speak(urls[way], clip)
                bar.update()
    return finals


async def _speak(url: str, clip: Clip) -> list[Final]:
    return await speak_clip(url, clip, np.concatenate([clip.audio(), quiet(AFTER_S)]), key=KEY)


def _summary(finals: list[Final]) -> dict[str, Any]:
    return {
        "finals": len(finals),
        "endpoint_to_final_ms": _percentiles(final.endpoint_to_final for final in finals),
        "end_of_speech_to_final_ms": _percentiles(final.end_of_speech_to_final for final in finals),
        "endpoint_to_final_on_server_ms": _percentiles(final.on_server for final in finals),
        "word_error_rate_percent": round(
            100 * word_error_rate((final.said, final.text) for final in finals), 2
        ),
    }


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    return percentiles(values, digits=2)
