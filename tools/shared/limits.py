"""What 50 keys get who hammer two gateways, whether anybody else notices, and what a shared limit costs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import redis

from rtc_stt.loading import DEMO_VALUES
from rtc_stt.percentiles import nearest_rank
from signaling.allowance import Allowance
from signaling.calls import Caller
from signaling.shared.limits import TAKE, arguments, rate_of, rooms_of
from tools.operations.processes import Service
from tools.shared.hammering import Hammered, hammer
from tools.shared.redis_server import RedisServer, running

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "limits held over two gateways under attack, and what a shared limit costs"

BURST = 20
NEIGHBOURS = 5
OVER = 1.8
"""Attackers ask for so many times what they may."""

ERROR_AT_MOST = 0.02
COST_AT_MOST_MS = 5.0
"""At p95, of a request."""

PLACES = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("--keys", type=int, default=50, help="that attack")
    parser.add_argument("--rate", type=float, default=4.0, help="requests a second that each may")
    parser.add_argument("--seconds", type=float, default=40.0, help="of the attack")
    parser.add_argument("--timeout-ms", type=int, default=50, help="REDIS_TIMEOUT_MS; more on a busy machine")
    parser.add_argument("--requests", type=int, default=1_000, help="with and without Redis, for the cost")


def measure(options: argparse.Namespace) -> Mapping[str, Any]:
    """See :mod:`tools.commands`."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        attack = asyncio.run(_attack(Path(folder), server, options))
        cost = asyncio.run(_cost(Path(folder), server, options.requests))
        memory = _memory(server)
    return {
        "attack": attack,
        "cost_ms": cost,
        "redis_bytes": memory,
        "marks": {
            "no key gets more or less than 2 % beside its limit": {
                "met": attack["worst_error"] <= ERROR_AT_MOST,
                "value": attack["worst_error"],
                "at_most": ERROR_AT_MOST,
            },
            "nobody else is refused": attack["neighbours_refused"] == 0,
            "Redis was never away": attack["redis_failures"] == 0,
            "a shared limit costs little": {
                "met": cost["more_at_p95"] <= COST_AT_MOST_MS,
                "value": cost["more_at_p95"],
                "at_most": COST_AT_MOST_MS,
            },
        },
    }


# ── The attack ────────────────────────────────────────────────────────────


async def _attack(folder: Path, server: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    keys = [f"key-number-{number:04}-of-this" for number in range(options.keys + NEIGHBOURS)]
    settings = {
        "API_KEYS": ",".join(keys),
        "RATE_LIMIT_RPS": f"{options.rate:g}",
        "RATE_LIMIT_BURST": str(BURST),
        "REDIS_TIMEOUT_MS": str(options.timeout_ms),
    }
    async with _gateways(folder, [_shares(server) | settings] * 2) as (a, b), _client() as http:
        urls = [a.url, b.url]
        each = options.rate * OVER / len(urls)
        told = await asyncio.gather(
            *(hammer(http, urls, key, rps=each, seconds=options.seconds) for key in keys[: options.keys]),
            *(
                hammer(http, urls, key, rps=options.rate * 0.45, seconds=options.seconds)
                for key in keys[options.keys :]
            ),
        )
        failures = 0.0
        for url in urls:
            async with http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {keys[0]}"}) as response:
                failures += _total(await response.text(), "rtc_stt_shared_failures_total")
    return _summary(told[: options.keys], told[options.keys :], options.rate) | {
        "redis_timeout_ms": options.timeout_ms,
        "redis_failures": failures,
    }


def _summary(attackers: Sequence[Hammered], neighbours: Sequence[Hammered], rate: float) -> dict[str, Any]:
    errors = [one.error(rate, BURST) for one in attackers]
    latencies = sorted(second for one in attackers for second in one.latencies_s)
    return {
        "keys": len(attackers),
        "rate": rate,
        "burst": BURST,
        "seconds": round(attackers[0].seconds, 1),
        "asked": sum(one.granted + one.refused for one in attackers),
        "granted": sum(one.granted for one in attackers),
        "allowed_at_least": sum(one.allowed(rate, BURST)[0] for one in attackers),
        "allowed_at_most": sum(one.allowed(rate, BURST)[1] for one in attackers),
        "worst_error": round(max(errors), 4),
        "other_answers": sum(one.other for one in (*attackers, *neighbours)),
        "neighbours_asked": sum(one.granted + one.refused for one in neighbours),
        "neighbours_refused": sum(one.refused for one in neighbours),
        "answer_ms": _percentiles(latencies),
    }


# ── The cost ────────────────────────────────────────────────────────────


async def _cost(folder: Path, server: RedisServer, requests: int) -> dict[str, Any]:
    key = "a-key-that-asks-for-tokens"
    own = {"API_KEYS": key, "RATE_LIMIT_RPS": "10000", "RATE_LIMIT_BURST": "10000"}
    async with _gateways(folder, [own, own | _shares(server)]) as (alone, shared), _client() as http:
        found: dict[str, list[float]] = {"alone": [], "shared": []}
        before = {name: _cpu_s(one) for name, one in (("alone", alone), ("shared", shared))}
        for _ in range(requests):  # by turns, so that both see the same machine
            for name, gateway in (("alone", alone), ("shared", shared)):
                began = time.monotonic()
                async with http.post(
                    f"{gateway.url}/v1/tokens", headers={"Authorization": f"Bearer {key}"}
                ) as response:
                    await response.read()
                    assert response.status == 201
                found[name].append(time.monotonic() - began)
        cpu = {
            name: round(1000 * (_cpu_s(one) - before[name]) / requests, 3)
            for name, one in (("alone", alone), ("shared", shared))
        }
    told = {name: _percentiles(sorted(latencies)) for name, latencies in found.items()}
    more = {f"more_at_{at}": round(told["shared"][at] - told["alone"][at], 2) for at in ("p50", "p95")}
    return {"requests": requests, **told, **more, "cpu_of_gateway": cpu}


def _cpu_s(service: Service) -> float:
    assert service.pid
    times = psutil.Process(service.pid).cpu_times()
    return float(times.user + times.system)


def _memory(server: RedisServer) -> dict[str, int]:
    """Of what is kept of a key and of a session."""
    allowance = Allowance(
        rps=0.01, burst=BURST, half_open=PLACES, sessions_per_key=PLACES, sessions_per_address=0
    )
    caller = Caller("0123456789abcdef", "192.0.2.1")
    limits = [*rate_of(caller, allowance), *rooms_of(caller, allowance, resuming=False)]
    keys = ["rtc-stt:" + ":".join(limit.parts) for limit in limits]
    client = redis.Redis.from_url(server.url)
    client.delete(*keys)
    for number in range(PLACES):
        client.delete(keys[0])
        assert client.eval(TAKE, len(keys), *keys, *arguments(limits, f"0123456789abcdef.{number}")) == [0, 0]
    rate, *rooms = [int(client.memory_usage(key) or 0) for key in keys]
    client.close()
    return {"rate_of_a_key": rate, "place_of_a_session": round(rooms[-1] / PLACES)}


# ── Around ────────────────────────────────────────────────────────────


def _shares(server: RedisServer) -> dict[str, str]:
    return {"REDIS_URL": server.url, "TOKEN_SECRET": "the-same-on-both-gateways"}


@contextlib.asynccontextmanager
async def _gateways(folder: Path, settings: Sequence[Mapping[str, str]]) -> AsyncIterator[list[Service]]:
    demo = {name: value for name, (value, _) in DEMO_VALUES.entries.items()}
    services = [Service(folder, "serve", environment=demo | each) for each in settings]
    try:
        for service in services:
            service.start()
        for service in services:
            await service.wait_ready(180)
        yield services
        await asyncio.gather(*(service.drain() for service in services))
    finally:
        for service in services:
            service.kill()


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


def _total(text: str, name: str) -> float:
    lines = (line for line in text.splitlines() if line.startswith(f"{name}{{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """In ms; of sorted seconds."""
    return {f"p{at}": round(1000 * nearest_rank(latencies, at), 2) for at in (50, 95, 99)}
