"""A long recording beside a short one: the memory of the service may grow by the upload, and by nothing else.

Each is sent to a fresh primary that has heard a short clip before. What counts is the peak of resident
memory, as the kernel keeps it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
from tqdm import tqdm

from rtc_stt.bench.clips import load
from rtc_stt.bench.requests import Sound
from rtc_stt.bench.result import Mark
from tools.services.processes import KEY, primary
from tools.services.sounds import FORMATS, encode, with_pauses
from tools.services.uploads import MULTIPART, form

__all__ = ["HELP", "add_arguments", "measure", "peak_mib"]

HELP = "half an hour of audio beside five minutes: peak memory of the service, less the upload itself"
ENDINGS = ("ogg", "wav")
"""Six times smaller than its samples, and not smaller at all."""
MIB = 2**20
SLACK_MIB = 8.0
"""Text, and what an allocator leaves between things. Half an hour of samples would be 110 MiB."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--formats", nargs="+", choices=sorted(FORMATS), default=ENDINGS, help="default: ogg wav"
    )
    parser.add_argument("--short", type=float, default=5, help="minutes (default: 5)")
    parser.add_argument("--long", type=float, default=30, help="minutes (default: 30)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    clips = load("clean", limit=20)
    warm = encode(clips[0].audio(), "wav")
    formats: dict[str, dict[str, Any]] = {}
    with tqdm(total=2 * len(options.formats), unit="recording") as bar:
        for ending in options.formats:
            rows = {}
            for name, minutes in (("short", options.short), ("long", options.long)):
                data = encode(with_pauses(clips, 60 * minutes), ending)
                rows[name] = {"minutes": minutes, **_heard(warm, Sound(f"{name}.{ending}", data))}
                bar.update()
            formats[ending] = rows | {"more_than_the_upload_mib": round(_more(rows), 1)}
    marks = [
        Mark(f"{ending}_more_than_the_upload_mib", found["more_than_the_upload_mib"], SLACK_MIB)
        for ending, found in formats.items()
    ]
    return {"marks": {mark.name: mark.to_json() for mark in marks}, "formats": formats}


def _more(rows: dict[str, dict[str, Any]]) -> float:
    """By how much the long one took more than the short one, beyond its upload."""
    short, long = rows["short"], rows["long"]
    return float(long["took_mib"] - short["took_mib"] - (long["upload_mib"] - short["upload_mib"]))


def _heard(warm: bytes, sound: Sound) -> dict[str, Any]:
    """What one recording takes of a fresh service."""
    with primary(MAX_UPLOAD_MB="256") as service:
        url = service.url()
        asyncio.run(_transcribe(url, Sound("warm.wav", warm)))
        Path(f"/proc/{service.pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before, begun = peak_mib(service.pid), time.perf_counter()
        told = asyncio.run(_transcribe(url, sound))
        return {
            "upload_mib": round(len(sound.data) / MIB, 2),
            "peak_before_mib": before,
            "peak_mib": (peak := peak_mib(service.pid)),
            "took_mib": round(peak - before, 2),
            "seconds": round(time.perf_counter() - begun, 1),
            "heard_minutes": round(told["duration_ms"] / 60_000, 2),
            "segments": len(told["segments"]),
            "words": len(told["text"].split()),
        }


async def _transcribe(url: str, sound: Sound) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": MULTIPART}
    body = form(sound.data, filename=sound.name, response_format="verbose_json")
    timeout = aiohttp.ClientTimeout(total=1_800)
    async with (
        aiohttp.ClientSession(url, headers=headers, timeout=timeout, raise_for_status=True) as http,
        http.post("/v1/transcribe", data=io.BytesIO(body)) as response,
    ):
        return dict(await response.json())


def peak_mib(pid: int) -> float:
    """The most resident memory of a process (Linux), since its start or since it was told to begin anew."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    assert found, "Linux has it"
    return round(int(found[1]) / 1024, 2)
