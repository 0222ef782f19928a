"""Measure the live line: ``python -m tools.live_line {latency,accuracy,soak,detector,table}``.

The first three start a demo server of their own unless ``--url`` names one, and speak the clips of
``tests/clips`` over WebRTC in real time. Each prints its result, and with ``--out`` writes it as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

import psutil
from tqdm import tqdm

from rtc_stt import demo_models
from rtc_stt.bench.clips import CLIPS, Clip, load
from rtc_stt.bench.server import Server, running
from rtc_stt.config import Routing
from tools.commands import Command, Errand, Family
from tools.live_line import measure
from tools.live_line.detector import STREAMS, VARIANTS, detector
from tools.live_line.speak import Turn, speak_all, speak_side_by_side
from tools.live_line.table import write_tables

MIB = 1024 * 1024


FAMILY = Family("tools.live_line", __doc__, example="latency --out docs/results/latency.json", clips=CLIPS)


def main() -> int:
    """Run one measurement; 1 where it missed its mark or is void."""
    return FAMILY.main(
        [
            Command(
                "latency",
                "one session at a time: final and first partial after true times of speech",
                run_latency,
                add_arguments,
            ),
            Command(
                "accuracy",
                "word error rate live against offline, and what routing does",
                run_accuracy,
                add_accuracy,
            ),
            Command("soak", "minutes of one session: the server's memory over time", run_soak, add_soak),
            Command(
                "detector",
                "late starts of one speaker after another, with parts of the detector off",
                run_detector,
                add_arguments,
            ),
            Errand("table", "write the committed results into the documents", run_table),
        ]
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that all have."""
    parser.add_argument("--url", help="a server that runs; by default one is started")
    parser.add_argument("--limit", type=int, help="clips of each set (default: all)")


def add_accuracy(parser: argparse.ArgumentParser) -> None:
    """Those of ``accuracy``."""
    add_arguments(parser)
    parser.add_argument("--sessions", type=int, default=4, help="speakers side by side (default: 4)")


def add_soak(parser: argparse.ArgumentParser) -> None:
    """Those of ``soak``."""
    add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=10, help="default: 10")


def run_latency(options: argparse.Namespace) -> dict[str, object]:
    """The clean sets, one session: no load but its own."""
    clips = load("clean", "digits", limit=options.limit)
    with running(options.url) as server, tqdm(total=len(clips), unit="clip") as bar:
        asyncio.run(speak_all(server.url, clips[:2]))  # the first session of a process pays for imports
        turns = asyncio.run(speak_all(server.url, clips, done=bar.update))
    result = measure.latency(turns)
    marks = {
        "endpoint_to_final_p95_at_most_60_ms": result["endpoint_to_final_ms"]["client"]["p95"] <= 60,  # type: ignore[index]
        "first_partial_p50_at_most_500_ms": result["ttfp_ms"]["p50"] <= 500,  # type: ignore[index]
        "no_final_missing": result["turns_without_final"] == 0,
        "send_lag_in_bounds": not result["void"],
    }
    return {"marks": marks, **result}


def run_accuracy(options: argparse.Namespace) -> dict[str, object]:
    """All sets, several sessions side by side to save time."""
    clips = load(limit=options.limit)
    with running(options.url) as server, tqdm(total=len(clips), unit="clip") as bar:
        turns = asyncio.run(speak_side_by_side(server.url, clips, options.sessions, bar.update))
    decoded = measure.offline(clips, Routing(logprob_threshold=demo_models.FAST.logprob_threshold))
    table = measure.accuracy(turns, decoded)
    routes = {
        name: measure.routing([turn for turn in turns if turn.clip.set == name])
        for name in sorted({clip.set for clip in clips})
    }
    result = {
        "word_error_rate_percent": table,
        "routing": routes,
        "latency_beside_it": measure.latency(turns),
        "differing": differing(turns, decoded),
    }
    noisy = routes["noisy"]["all"]
    marks = {
        "live_equals_offline_within_1_percent": abs(table["all"]["live_less_offline"]) <= 1.0,  # type: ignore[index]
        "redecoding_lowers_noisy_word_error_rate": noisy["wer_sent"] < noisy["wer_fast_alone"],  # type: ignore[index]
    }
    return {"marks": marks, **result}


def differing(turns: list[Turn], decoded: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
    """Clips whose live text is not the offline text, for a look."""
    return [
        {"clip": t.clip.id, "said": t.clip.text, "offline": decoded[t.clip.id][1], "live": t.text}
        for t in sorted(turns, key=lambda t: t.clip.id)
        if t.text != decoded[t.clip.id][1]
    ]


def run_soak(options: argparse.Namespace) -> dict[str, object]:
    """Speech every few seconds, and the server's resident memory every five."""
    clips = load(limit=options.limit)
    random.Random(1).shuffle(clips)  # every kind of speech in every minute
    with running(options.url) as server:
        if server.pid is None:
            sys.exit("soak watches a process: run it without --url")
        samples = asyncio.run(soak(server, clips, options.minutes))
    after_one = min(rss for at, rss in samples if at >= 60)
    end = samples[-1][1]
    # The level after the first minute is the first sample past it, not a lucky low.
    first = next(rss for at, rss in samples if at >= 60)
    result = {
        "minutes": options.minutes,
        "rss_mib_after_first_minute": round(first / MIB, 1),
        "rss_mib_at_end": round(end / MIB, 1),
        "rss_mib_lowest_after_first_minute": round(after_one / MIB, 1),
        "growth_percent": round(100 * (end / first - 1), 2),
        "samples": [(round(at), round(rss / MIB, 1)) for at, rss in samples],
    }
    marks = {"growth_at_most_5_percent": end <= 1.05 * first}
    return {"marks": marks, **result}


async def soak(server: Server, clips: list[Clip], minutes: float) -> list[tuple[float, int]]:
    """Memory of the server as ``(seconds, bytes)`` while one session speaks."""
    process = psutil.Process(server.pid)
    begun, samples = time.monotonic(), list[tuple[float, int]]()

    async def watch() -> None:
        while True:
            samples.append((time.monotonic() - begun, process.memory_info().rss))
            await asyncio.sleep(5)

    watching = asyncio.get_running_loop().create_task(watch())
    seconds, chosen = 0.0, list[Clip]()
    while seconds < minutes * 60:
        clip = clips[len(chosen) % len(clips)]
        chosen.append(clip)
        seconds += len(clip.audio()) / 16_000 + 1.0
    try:
        with tqdm(total=len(chosen), unit="clip") as bar:
            await speak_all(server.url, chosen, done=bar.update)
    finally:
        watching.cancel()
    samples.append((time.monotonic() - begun, process.memory_info().rss))
    return samples


def run_detector(options: argparse.Namespace) -> dict[str, object]:
    """One speaker after another, in every variant of the detector."""
    with tqdm(total=STREAMS * len(VARIANTS), unit="stream") as bar:
        result = detector(options.limit, bar.update)
    shipped, alone = result["as_shipped"], result["silero_alone"]
    marks = {
        "starts_later_than_the_preroll_at_most_1_percent": shipped["late_percent"] <= 1,
        "better_than_silero_alone": shipped["word_error_rate_percent"] < alone["word_error_rate_percent"],
    }
    return {"marks": marks, "variants": result}


def run_table(_options: argparse.Namespace) -> int:
    """The tables of the documents anew."""
    write_tables()
    return 0


if __name__ == "__main__":
    sys.exit(main())
