"""Attacks on a server while somebody honest speaks: what the honest one notices, and what is left."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import aiohttp
from tqdm import tqdm

from rtc_stt.bench.server import running
from tools.ingest import attacks
from tools.ingest.bystander import Bystander
from tools.ingest.soak import lines
from tools.ingest.stalls import Stalls, watching
from tools.ingest.watch import Holdings, metric

__all__ = ["HELP", "add_arguments", "measure"]

HELP = (
    "fuzzed and half-open offers, slow requests, floods, abuse of channels and tokens, beside honest speech"
)
TOKEN_SECONDS = 5
STALL_S = 0.025
"""Half of what a loop may be late: what had piled up by then takes the rest."""
SETTLE_S = 25.0
"""After the last attack: half-open connections have 15 s."""
GROWTH_MIB = 24.0
"""What arenas of the allocator may keep of a storm; the soak looks for leaks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--offers", type=int, default=2_000, help="fuzzed offers (default: 2000)")
    parser.add_argument("--half-open", type=int, default=1_000, help="default: 1000")
    parser.add_argument("--slow", type=int, default=300, help="slow requests of each kind (default: 300)")
    parser.add_argument("--rate", type=int, default=2_000, help="datagrams a second (default: 2000)")
    parser.add_argument("--seconds", type=float, default=10, help="of each flood (default: 10)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    honest, other = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    environment = {
        "API_KEYS": f"{honest},{other}",
        "TOKEN_SECONDS": str(TOKEN_SECONDS),
        "RESUME_SECONDS": "1",
        # Else nearly everything is refused by its rate, and nothing else is tried.
        "RATE_LIMIT_RPS": "1000",
        "RATE_LIMIT_BURST": "2000",
    }
    with running(None, environment=environment) as server:
        if server.pid is None:
            sys.exit("hostile watches a process")
        with watching(_part(server.pid)) as stalls:
            return asyncio.run(_measure(options, server.url, server.pid, honest, other, stalls))


def _part(pid: int) -> int:
    """Attackers are elsewhere: on a core where the server is not. Returns one of the server's."""
    *cores, last = sorted(os.sched_getaffinity(0))
    if cores:
        os.sched_setaffinity(0, {last})
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)
    return (cores or [last])[0]


async def _measure(
    options: argparse.Namespace, url: str, pid: int, honest: str, other: str, stalls: Stalls
) -> dict[str, Any]:
    (line,) = await lines(1, 4)
    good, begun = await attacks.offer(), time.monotonic()
    async with Bystander(url, line.text, line.packets, key=honest) as bystander:
        await attacks.abuse_channels(url, other)  # once without a look: imports and pools
        base = Holdings.of(pid, begun)
        to = attacks.media_address(bystander.speaker.connection.remoteDescription.sdp)
        plan: dict[str, Coroutine[Any, Any, Any]] = {
            "nothing": asyncio.sleep(options.seconds),  # what the others are compared with
            "offers of the field": _offers(url, good, other),
            "fuzzed offers": _fuzzed(url, good, other, options.offers),
            "half-open offers": attacks.half_open(url, good, options.half_open, other),
            "slow bodies": attacks.slow_bodies(url, options.slow, 8, other),
            "slow headers": attacks.slow_headers(url, options.slow, 8),
            **{
                f"flood of {kind}": attacks.flood(to, kind, options.rate, options.seconds)
                for kind in ("rtp", "stun", "dtls", "junk")
            },
            "abuse of data channels": attacks.abuse_channels(url, other),
            "misuse of tokens": attacks.misuse_tokens(url, good, other, TOKEN_SECONDS),
        }
        told: dict[str, dict[str, Any]] = {}
        with tqdm(plan.items()) as bar:
            for name, attack in bar:
                bar.set_description(name)
                since = time.monotonic()
                calm = await bystander.during(attack)
                told[name] = {
                    "answers": _plain(calm.result),
                    **calm.to_json(),
                    "machine_stalls": {
                        "over_10_ms": stalls.over(0.01, since),
                        "over_25_ms": stalls.over(STALL_S, since),
                    },
                }
        whole = await bystander.leave()
    await asyncio.sleep(SETTLE_S)
    after = Holdings.of(pid, begun)
    refused = await metric(url, "rtc_stt_rejected_total", honest)
    marks = {
        "loop_never_later_than_50_ms_but_where_the_machine_stood_still": all(
            phase["loop_lag"]["over_50_ms"] <= phase["machine_stalls"]["over_25_ms"]
            for phase in told.values()
        ),
        "the_honest_one_is_understood": whole and not any(phase["clips_wrong"] for phase in told.values()),
        "memory_back_to_base": after.rss_mib <= base.rss_mib + GROWTH_MIB,
        "descriptors_back_to_base": after.descriptors <= base.descriptors,
        "threads_back_to_base": after.threads <= base.threads + 2,
        "refusals_are_counted": sum(refused.values()) > 0,
    }
    return {
        "marks": marks,
        "attacks": told,
        "refused": refused,
        "messages_refused": await metric(url, "rtc_stt_messages_refused_total", honest),
        "base": base.to_json(),
        "after": after.to_json(),
    }


async def _offers(url: str, good: str, key: str) -> dict[str, int]:
    async with aiohttp.ClientSession(url) as http:
        return {o.name: (await attacks.post(http, o.sdp, key))[0] for o in attacks.hostile_offers(good)}


async def _fuzzed(url: str, good: str, key: str, count: int) -> Counter[int]:
    chance = random.Random(5)
    async with aiohttp.ClientSession(url) as http:
        return Counter(
            [(await attacks.post(http, attacks.mutated(good, chance), key))[0] for _ in range(count)]
        )


def _plain(result: Any) -> Any:
    """Fit for JSON."""
    if isinstance(result, dict):
        return {str(name): value for name, value in result.items()}
    if isinstance(result, tuple):
        return {"bytes_sent": result[0], "bytes_back": result[1]}
    return result
