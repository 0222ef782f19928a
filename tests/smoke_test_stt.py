#!/usr/bin/env python3
"""Does a running service transcribe as it should? ``python smoke_test_stt.py BASE_URL KEY FILES…``

For operators, after a deployment: it needs nothing of this repository but this file, and no package but
aiohttp. Each file is sent twice, with its language detected and with that language forced. Some should be
short and some over 30 seconds long; where none is long, the first WAV file is also sent over and over as one.
Then a key that is wrong and a file that is none must be refused as they should be.

A table says how it went. Exit code: 0 all is well, 1 something is not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import math
import sys
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

LONG_S = 30.0
"""What does not fit into one window of the model."""
LONG_TARGET_S = 45.0
PATIENCE_S = 600.0
FIGURES = ("X-Queue-Wait-ms", "X-Primary-Infer-ms", "X-Fallback-Infer-ms", "X-Total-ms")
FLAGS = ("X-Fallback-Used", "X-Conf-Below", "X-Lang-Check-Applicable")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    mode: str
    status: int | str = ""
    audio_s: float = 0.0
    seconds: float = 0.0
    language: str = ""
    model: str = ""
    text: str = ""
    problems: tuple[str, ...] = ()


async def smoke(base_url: str, key: str, files: Sequence[Path]) -> list[Row]:
    """All checks, one after the other."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
        url = f"{base_url.rstrip('/')}/v1/transcribe"
        rows = [await ready(http, base_url)]
        if rows[0].problems:
            return rows
        for file in files:
            rows += await detected_then_forced(http, url, file.name, file.read_bytes())
        if not any(row.audio_s >= LONG_S for row in rows):
            rows += await long_one(http, url, files)
        rows.append(await refused(http, url, "a file that is none", b"no audio at all", 400))
        if key:
            rows.append(await refused(http, url, "a wrong key", b"", 401, key=f"{key}-wrong"))
        return rows


async def ready(http: aiohttp.ClientSession, base_url: str) -> Row:
    """Whether the service is ready; nothing else is tried where it is not."""
    try:
        async with http.get(f"{base_url.rstrip('/')}/v1/ready") as response:
            status, text = response.status, await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return Row("/v1/ready", "", problems=(f"nobody answers: {type(error).__name__}",))
    problems = () if status == 200 else (f"not ready: {text[:200]}",)
    return Row("/v1/ready", "", status, problems=problems)


async def detected_then_forced(http: aiohttp.ClientSession, url: str, name: str, data: bytes) -> list[Row]:
    """The same recording twice."""
    first = await transcribed(http, url, name, data, None)
    if first.problems:
        return [first]
    return [first, await transcribed(http, url, name, data, first.language)]


async def long_one(http: aiohttp.ClientSession, url: str, files: Sequence[Path]) -> list[Row]:
    """A long recording, made of a short one."""
    for file in files:
        try:
            data = repeated(file.read_bytes())
        except (wave.Error, EOFError):
            continue
        return await detected_then_forced(http, url, f"{file.name}, over and over", data)
    return [Row("a long recording", "", problems=("none is over 30 s, and none is a WAV to make one of",))]


def repeated(wav: bytes) -> bytes:
    """A WAV file, over and over until it is long."""
    with wave.open(io.BytesIO(wav)) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    seconds = parameters.nframes / parameters.framerate
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams(parameters)
        target.writeframes(frames * math.ceil(LONG_TARGET_S / max(seconds, 0.1)))
    return out.getvalue()


async def transcribed(
    http: aiohttp.ClientSession, url: str, name: str, data: bytes, language: str | None
) -> Row:
    """One recording, and everything that an answer must have."""
    form = aiohttp.FormData({"response_format": "json"} | ({"language": language} if language else {}))
    form.add_field("audio", data, filename=name, content_type="application/octet-stream")
    mode, begun = language or "detected", time.perf_counter()
    try:
        async with http.post(url, data=form) as response:
            body, status, headers = await response.read(), response.status, response.headers
    except (aiohttp.ClientError, TimeoutError) as error:
        return Row(name, mode, problems=(f"no answer: {type(error).__name__}",))
    seconds = time.perf_counter() - begun
    if status != 200:
        return Row(name, mode, status, seconds=seconds, problems=(said(body),))
    told = json.loads(body)
    row = Row(
        name,
        mode,
        status,
        audio_s=told["duration_ms"] / 1000,
        seconds=seconds,
        language=told["language"] or "",
        model=headers.get("X-Final-Model", ""),
        text=told["text"],
    )
    return replace(row, problems=tuple(wrong_with(row, headers, told, language)))


def wrong_with(row: Row, headers: Any, told: dict[str, Any], language: str | None) -> list[str]:
    """What an answer lacks."""
    problems = []
    if not row.text.strip():
        problems.append("no text: is there speech in it?")
    if language and row.language != language:
        problems.append(f"{language} was asked for, {row.language} came back")
    numbers = [name for name in FIGURES if headers.get(name, "").replace(".", "", 1).isdigit()]
    flags = [name for name in FLAGS if headers.get(name) in ("true", "false")]
    problems += [f"{name} is not there, or no number" for name in FIGURES if name not in numbers]
    problems += [f"{name} is not there, or neither true nor false" for name in FLAGS if name not in flags]
    if headers.get("X-Lang-Check-Applicable") != ("false" if language else "true"):
        problems.append("X-Lang-Check-Applicable is not what was asked for")
    if not headers.get("X-Req-Id") or headers.get("X-Req-Id") != told.get("request_id"):
        problems.append("X-Req-Id is not the request_id")
    return problems


async def refused(
    http: aiohttp.ClientSession, url: str, what: str, data: bytes, status: int, *, key: str | None = None
) -> Row:
    """What must be refused, and clearly."""
    form = aiohttp.FormData()
    form.add_field("audio", data, filename="x.wav", content_type="audio/wav")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.post(url, data=form, headers=headers) as response:
        got, body = response.status, await response.read()
    if got != status:
        return Row(what, "", got, problems=(f"should be {status}",))
    error = json.loads(body).get("error", {})
    problems = (
        () if {"type", "message", "request_id"} <= set(error) else ("the error does not say what it is",)
    )
    return Row(what, "", got, text=error.get("message", ""), problems=problems)


def said(body: bytes) -> str:
    """What an error says."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")


def table(rows: Sequence[Row]) -> str:
    """For a terminal."""
    lines = [f"{'':4} {'':32} {'language':9} {'status':6} {'audio':>8} {'took':>8}  model, text"]
    for row in rows:
        mode = f"{row.language} ({'found' if row.mode == 'detected' else 'forced'})" if row.language else ""
        audio, took = (f"{s:.1f} s" if s else "" for s in (row.audio_s, row.seconds))
        rest = f"{row.model}  {row.text[:60]}" if row.model else row.text[:60]
        mark = "FAIL" if row.problems else "ok"
        lines.append(f"{mark:4} {row.what[:32]:32} {mode:9} {row.status!s:6} {audio:>8} {took:>8}  {rest}")
        lines += [f"     – {problem}" for problem in row.problems]
    return "\n".join(line.rstrip() for line in lines)


def main() -> int:
    """Run the checks and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="example:\n  python tests/smoke_test_stt.py http://127.0.0.1:8081 '' short.wav long.ogg",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base_url", metavar="BASE_URL", help="e.g. http://127.0.0.1:8081")
    parser.add_argument("key", metavar="KEY", help="API key; '' for a service that is open")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="recordings of speech")
    options = parser.parse_args()
    for file in options.files:
        if not file.is_file():
            parser.error(f"{file} is no file")
    rows = asyncio.run(smoke(options.base_url, options.key, options.files))
    print(table(rows))  # noqa: T201 - that is what it is for
    failed = sum(bool(row.problems) for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} as they should be")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
