"""Tens of thousands of requests, good, bad and broken off: what the services hold must not grow.

Primary and fallback are processes of their own. After each batch, when nothing is under way, both are looked
at: resident memory, descriptors, threads, asyncio tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from tqdm import tqdm

from rtc_stt.bench.clips import load
from rtc_stt.bench.result import Mark, percentiles
from tools.ingest.cycles import Watched
from tools.ingest.watch import Holdings, slope
from tools.services import uploads
from tools.services.processes import KEY, Pair, pair
from tools.services.sounds import FORMATS, encode
from tools.services.uploads import MULTIPART, Body

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "thousands of requests: memory, descriptors, threads and tasks of both services, and no answer lost"
BATCHES, FEWEST = 40, 20
WARM_UP = 0.25
"""The share of requests after which memory is looked at: models, arenas and caches fill up first."""
BAD, BROKEN_OFF = 0.06, 0.04
"""Shares of all requests."""
SLOPE_MIB = 0.25
"""Of memory, per 1,000 requests, that is no growth: an answer that is kept would be ten times as much."""
SPARE = 2.0
"""Connections between the services, and what belongs to them, come and go."""
PATIENCE_S = 60.0
SETTLE_S = 1.0
FORMS = ("json", "verbose_json", "text", "srt", "vtt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--requests", type=int, default=20_000, help="default: 20000")
    parser.add_argument("--at-once", type=int, default=8, help="clients (default: 8)")


@dataclass
class Tally:
    """What came of the requests."""

    statuses: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    """By what was sent and what came back."""
    lost: int = 0
    broken_off: int = 0
    audio_s: float = 0.0
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Good:
    """A recording that must be transcribed."""

    name: str
    data: bytes = field(repr=False)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one service holds after so many requests."""

    requests: int
    holdings: Holdings
    tasks: int


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    with pair() as services:
        result, looks = asyncio.run(_measure(options, services))
        clean = services.stop()
    marks = [mark for name, seen in looks.items() for mark in _marks(name, seen)]
    marks += [
        Mark("answers_lost", result["lost"], 0),
        Mark("answers_unexpected", sum(result["unexpected"].values()), 0),
        Mark("ends_badly", float(not clean), 0),
    ]
    return {
        "marks": {mark.name: mark.to_json() for mark in marks},
        **result,
        **{name: [_row(look) for look in seen] for name, seen in looks.items()},
    }


def _marks(name: str, looks: Sequence[Look]) -> list[Mark]:
    """Of one service: what it holds in the end beside what it held when it was warm."""
    late = [look for look in looks if look.requests >= WARM_UP * looks[-1].requests]
    steepness = slope([(look.requests / 1_000, look.holdings.rss_mib) for look in late])
    held = {
        "descriptors": [look.holdings.descriptors for look in late],
        "threads": [look.holdings.threads for look in late],
        "tasks": [look.tasks for look in late],
    }
    return [
        Mark(f"{name}_memory_slope_mib_per_1000_requests", round(steepness, 3), SLOPE_MIB),
        *(Mark(f"{name}_more_{what}", more(counts), SPARE) for what, counts in held.items()),
    ]


def more(counts: Sequence[int]) -> float:
    """By how much the last quarter is above the first one, by their medians."""
    quarter = max(1, len(counts) // 4)
    return float(statistics.median(counts[-quarter:]) - statistics.median(counts[:quarter]))


def _row(look: Look) -> list[float]:
    held = look.holdings
    return [look.requests, held.rss_mib, held.descriptors, held.threads, look.tasks, held.cpu_s]


async def _measure(
    options: argparse.Namespace, services: Pair
) -> tuple[dict[str, Any], dict[str, list[Look]]]:
    processes = {"primary": services.primary, "fallback": services.fallback}
    looks: dict[str, list[Look]] = {name: [] for name in processes}
    begun, tally, done = time.monotonic(), Tally(), 0
    plan = _plan(options.requests)
    url = services.primary.url()
    with tqdm(total=options.requests, unit="request") as bar:
        for size in _batches(options.requests):
            batch = iter([next(plan) for _ in range(size)])
            async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as http:
                await asyncio.gather(*(_client(http, url, batch, tally, bar) for _ in range(options.at_once)))
            done += size
            await asyncio.sleep(SETTLE_S)  # for what closes behind a request
            for name, process in processes.items():
                looks[name].append(await _look(process, done, begun))
    return {
        "requests": options.requests,
        "at_once": options.at_once,
        "minutes": round((time.monotonic() - begun) / 60, 1),
        "audio_hours": round(tally.audio_s / 3_600, 2),
        "statuses": dict(sorted(tally.statuses.items())),
        "broken_off": tally.broken_off,
        "lost": tally.lost,
        "unexpected": dict(tally.unexpected),
        "latency_ms": percentiles(1000 * seconds for seconds in tally.seconds),
        "columns": ["requests", "rss_mib", "descriptors", "threads", "tasks", "cpu_s"],
    }, looks


def _batches(requests: int) -> Iterator[int]:
    """Sizes of batches, about :data:`BATCHES` of them where there are many requests."""
    size = max(FEWEST, requests // BATCHES)
    for first in range(0, requests, size):
        yield min(size, requests - first)


async def _look(process: Watched, requests: int, begun: float) -> Look:
    tasks = await process.tasks()  # collects garbage first
    return Look(requests, Holdings.of(process.pid, begun), tasks)


# ── Requests ────────────────────────────────────────────────────────────────


def _plan(requests: int) -> Iterator[tuple[str, Good | Body, bytes]]:
    """What is sent, in an order that is always the same: how it is sent, what it is, its body."""
    chance = random.Random(7)
    good, bad = recordings(), _bad_ones()
    for _ in range(requests):
        lot = chance.random()
        if lot < BAD:
            wrong = chance.choice(bad)
            yield "bad", wrong, wrong.data
            continue
        recording = chance.choice(good)
        fields = {"response_format": chance.choice(FORMS)}
        if chance.random() < 0.5:
            fields["language"] = "en"
        if chance.random() < 0.3:
            fields["word_timestamps"] = "true"
        body = uploads.form(recording.data, filename=recording.name, kind="", **fields)
        yield "broken off" if lot < BAD + BROKEN_OFF else "good", recording, body


def recordings() -> list[Good]:
    """Clips of different lengths in different formats."""
    found = []
    for number, clip in enumerate(load("clean", "noisy", limit=12)):
        audio, ending = clip.audio(), list(FORMATS)[number % len(FORMATS)]
        found.append(Good(f"{clip.id}.{ending}", encode(audio, ending), len(audio) / 16_000))
    return found


def _bad_ones() -> list[Body]:
    """Wrong requests that are small: this is about their number."""
    audio = load("clean", limit=1)[0].audio()
    flac, m4a = encode(audio, "flac"), encode(audio, "m4a")
    nowhere = uploads.playlists("http://127.0.0.1:9/x", "/etc/hostname")
    every = [*uploads.no_audio(flac, m4a), *uploads.wrong_forms(flac), *nowhere]
    return [body for body in every if len(body.data) < 150_000]


async def _client(
    http: aiohttp.ClientSession,
    url: str,
    requests: Iterator[tuple[str, Good | Body, bytes]],
    tally: Tally,
    bar: Any,
) -> None:
    """One after the other, as long as there are any."""
    for way, what, body in requests:
        if way == "broken off":
            await break_off(url, body, whole=tally.broken_off % 2 == 0)
            tally.broken_off += 1
        else:
            await _send(http, what, body, tally)
        bar.update()


async def _send(http: aiohttp.ClientSession, what: Good | Body, body: bytes, tally: Tally) -> None:
    headers = dict(what.headers) if isinstance(what, Body) else {"Content-Type": MULTIPART}
    expected = what.statuses if isinstance(what, Body) else {200}
    begun = time.perf_counter()
    try:
        headers["Authorization"] = f"Bearer {KEY}"
        async with http.post("/v1/transcribe", data=io.BytesIO(body), headers=headers) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        tally.lost += 1
        tally.unexpected[f"{what.name}: {type(error).__name__}"] += 1
        return
    tally.statuses[str(response.status)] += 1
    if response.status not in expected:
        tally.unexpected[f"{what.name}: {response.status} {response.headers.get('X-Error-Type', '')}"] += 1
    elif isinstance(what, Good):
        tally.seconds.append(time.perf_counter() - begun)
        tally.audio_s += what.seconds


async def break_off(url: str, body: bytes, *, whole: bool) -> None:
    """Send a request, or half of it, and be gone without having read a word."""
    to = urlsplit(url)
    _, writer = await asyncio.open_connection(to.hostname, to.port)
    head = (
        f"POST /v1/transcribe HTTP/1.1\r\nHost: {to.netloc}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: {MULTIPART}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[: None if whole else len(body) // 2])
    try:
        await writer.drain()
        await asyncio.sleep(0.01)  # so that the request has begun
    except ConnectionError:
        pass
    writer.transport.abort()
