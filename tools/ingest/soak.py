"""Speech in many sessions for a long time: what the server holds must not grow, and no final may be lost.

Each session says a clip every so often, all of them evenly apart, so that two cores can follow with the demo
models. The clips are those that the models get right after Opus, with one final each.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench.clips import load
from rtc_stt.bench.link import Conditions
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.server import running
from rtc_stt.bench.words import normalise
from rtc_stt.cli.common import make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.commands import Stop
from tools.ingest import opus, paths
from tools.ingest.loss import hear
from tools.ingest.speaker import Speaker
from tools.ingest.watch import Holdings, LoopLag, loop_lag, slope, watch

__all__ = ["HELP", "Line", "add_arguments", "lines", "measure"]

HELP = "minutes of many sessions that speak: memory, descriptors, threads, loop lag, and no final lost"
LINES = 12
"""Different clips; more would only take longer to choose."""
CONNECT_EVERY_S = 0.3
"""One client after another: the server's limits on half-open connections are for strangers."""
SETTLE_S = 8.0
WARM_UP = 0.2
"""The share of the time after which memory is looked at: models, arenas and caches fill up first."""
FINAL_WITHIN_S = 8.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--minutes", type=float, default=30, help="default: 30")
    parser.add_argument("--sessions", type=int, default=40, help="default: 40")
    parser.add_argument("--period", type=float, default=20, help="seconds from clip to clip (default: 20)")
    parser.add_argument("--workers", type=int, default=0, help="MEDIA_WORKERS of the server (default: 0)")


@dataclass(frozen=True)
class Line:
    """What a session says now and then."""

    text: str
    packets: list[bytes] = field(repr=False)


async def lines(count: int, seconds: float) -> list[Line]:
    """Clips of at most ``seconds`` that the demo models get right, with one final, after Opus."""
    speech, found = make_speech(DEMO_VALUES), list[Line]()
    try:
        for clip in load("clean"):
            audio = clip.audio()
            if len(found) == count or len(audio) > seconds * SAMPLE_RATE:
                continue
            packets = opus.encode(np.concatenate([np.zeros(SAMPLE_RATE // 3, np.float32), audio]))
            sound, _ = paths.ours(paths.arrivals(packets + opus.silence(1.5), Conditions()))
            if normalise(await hear(speech, sound)) == normalise(clip.text):
                found.append(Line(clip.text, packets))
    finally:
        await speech.aclose()
    return found


@dataclass
class Talk:
    """What came of one session."""

    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    missing: int = 0
    whole: bool = False
    max_send_lag_s: float = 0.0
    final_after_ms: list[float] = field(default_factory=list)
    """From the last packet of a clip to its final."""


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    environment = {
        "MAX_SESSIONS": str(options.sessions + 8),
        "MAX_HALF_OPEN_PER_KEY": "32",
        "RATE_LIMIT_RPS": "50",
        "MEDIA_WORKERS": str(options.workers),
    }
    with running(None, environment=environment) as server:
        if server.pid is None:
            sys.exit("soak watches a process")
        return asyncio.run(_measure(options, server.url, server.pid))


async def _measure(options: argparse.Namespace, url: str, pid: int) -> dict[str, Any]:
    script = await lines(LINES, options.period - 4)
    begun, samples = time.monotonic(), list[Holdings]()
    async with Speaker(url) as first:  # the first session of a process pays for imports and pools
        first.say(script[0].packets)
        await first.ear.wait_for("transcript.final", timeout=20)
    await asyncio.sleep(SETTLE_S)
    base, lag_before = Holdings.of(pid, begun), await loop_lag(url)
    watching = asyncio.create_task(watch(pid, begun, 5, samples))
    end = time.monotonic() + options.minutes * 60
    with tqdm(total=round(options.minutes * 60 / options.period) * options.sessions, unit="clip") as bar:
        talks = await asyncio.gather(
            *(talk(url, number, options, script, end, bar.update) for number in range(options.sessions))
        )
    watching.cancel()
    lag = (await loop_lag(url)).since(lag_before)
    await asyncio.sleep(SETTLE_S)
    return report(options, talks, samples, lag, base, Holdings.of(pid, begun))


async def talk(
    url: str, number: int, options: argparse.Namespace, script: Sequence[Line], end: float, done: Any
) -> Talk:
    """One session: its clips, each with its final."""
    told = Talk()
    await asyncio.sleep(max(number * CONNECT_EVERY_S, number * options.period / options.sessions))
    async with Speaker(url) as speaker:
        due = time.monotonic()
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += options.period
            line = script[(number + len(told.said)) % len(script)]
            before = len(speaker.ear.finals)
            speaker.say(line.packets)
            told.said.append(line.text)
            await speaker.said()
            left = time.monotonic()
            try:
                await speaker.ear.wait_for("transcript.final", count=before + 1, timeout=FINAL_WITHIN_S)
            except TimeoutError:
                told.missing += 1
            else:
                told.final_after_ms.append(1000 * (time.monotonic() - left))
            told.heard.append(" ".join(final.text for final in speaker.ear.finals[before:]))
            done()
        speaker.send(Stop())
        await speaker.ear.wait_for("session.ended", timeout=20)
        told.whole = speaker.ear.is_whole
        told.max_send_lag_s = speaker.max_lag_s
    return told


def report(
    options: argparse.Namespace,
    talks: Sequence[Talk],
    samples: Sequence[Holdings],
    lag: LoopLag,
    base: Holdings,
    after: Holdings,
) -> dict[str, Any]:
    """What all that says."""
    said = sum(len(talk.said) for talk in talks)
    right = sum(
        normalise(said) == normalise(heard)
        for talk in talks
        for said, heard in zip(talk.said, talk.heard, strict=True)
    )
    span = samples[-1].at_s - samples[0].at_s
    steady = [s for s in samples if s.at_s - samples[0].at_s >= WARM_UP * span]
    per_minute = 60 * slope([(s.at_s, s.rss_mib) for s in steady])
    minutes = (steady[-1].at_s - steady[0].at_s) / 60
    marks = {
        "no_final_lost": not any(talk.missing for talk in talks),
        "no_event_missing": all(talk.whole for talk in talks),
        "memory_grows_by_at_most_1_mib": per_minute * minutes <= 1.0,
        "descriptors_back_to_base": after.descriptors <= base.descriptors + 2,
        "threads_back_to_base": after.threads <= base.threads + 2,
        "loop_later_than_50_ms_at_most_once_in_a_thousand": lag.over(0.05) <= lag.looks / 1000,
    }
    return {
        "marks": marks,
        "minutes": options.minutes,
        "sessions": options.sessions,
        "workers": options.workers,
        "finals_expected": said,
        "finals_lost": sum(talk.missing for talk in talks),
        "texts_as_offline_percent": round(100 * right / max(1, said), 2),
        "final_after_last_packet_ms": percentiles(ms for talk in talks for ms in talk.final_after_ms),
        "memory_mib_per_minute": round(per_minute, 4),
        "memory_mib_over_steady_time": round(per_minute * minutes, 2),
        "steady_minutes": round(minutes, 1),
        "server_cores_busy": round((samples[-1].cpu_s - samples[0].cpu_s) / max(1.0, span), 2),
        "loop_lag": lag.to_json(),
        "client_max_send_lag_ms": round(1000 * max(talk.max_send_lag_s for talk in talks), 1),
        "base": base.to_json(),
        "after": after.to_json(),
        "samples": [s.to_json() for s in samples[:: max(1, len(samples) // 100)]],
    }
