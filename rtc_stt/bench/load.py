"""Load on ``POST /v1/transcribe``: so many clients at a time, each of which asks again once it is answered.

The client is a plain one, without a second try: every answer counts, and so does every request without one.
Each recording is sent once alone before anything is measured. What the server says to it then is what it has
to say under load.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp

from rtc_stt.bench import clips as recordings
from rtc_stt.bench.knee import Stride, knee
from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.bench.result import Mark, percentiles, provenance
from rtc_stt.bench.words import normalise, word_error_rate
from rtc_stt.errors import BadAudio, Unreachable

__all__ = ["STEPS", "Answer", "Plan", "Sound", "ask", "figures", "picture", "read", "run"]

STEPS = (1, 2, 4, 8, 16)
SUFFIXES = (".flac", ".m4a", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wav", ".webm")
PATIENCE_S = 120.0
"""A request that takes longer is lost."""

CHANGED_PERCENT = 1.0
"""Texts that may be other ones than alone: sums in another order, of another batch, round otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``url``: of a primary, a fallback or a gateway; ``seconds``: of each step."""

    url: str
    key: str | None = field(default=None, repr=False)
    steps: Sequence[int] = STEPS
    seconds: float = 20.0
    clips: Path = recordings.CLIPS
    limit: int = 40
    """Different recordings."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording as it is sent."""

    name: str
    data: bytes = field(repr=False)
    said: str | None = field(default=None, repr=False)
    """Where that is known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request."""

    sound: str
    seconds: float
    """From the first byte sent to the last one received."""
    status: int | None = None
    """None: there was no answer."""
    audio_s: float = 0.0
    queue_ms: float | None = None
    text: str = field(default="", repr=False)
    model: str = ""
    problem: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether there is a transcript."""
        return self.status == 200


def read(folder: Path, limit: int) -> list[Sound]:
    """Recordings of a folder: those of its ``manifest.json``, else every sound file in it.

    Raises:
        BadAudio: there are none.
    """
    if (folder / "manifest.json").is_file():
        clips = recordings.load(folder=folder)
        chosen = clips[:: max(1, len(clips) // limit)][:limit]
        return [Sound(c.file, (folder / c.file).read_bytes(), c.text) for c in chosen]
    files = sorted(f for f in folder.glob("*") if f.suffix.lower() in SUFFIXES)[:limit]
    if not files:
        raise BadAudio(f"{folder} has no recordings ({', '.join(SUFFIXES)}); name a folder with --clips")
    return [Sound(file.name, file.read_bytes()) for file in files]


async def ask(http: aiohttp.ClientSession, sound: Sound, **fields: str) -> Answer:
    """Send one recording once.

    Args:
        fields: of the form, besides ``audio``.
    """
    form = aiohttp.FormData(fields)
    form.add_field("audio", sound.data, filename=sound.name, content_type="application/octet-stream")
    begun = time.perf_counter()
    try:
        async with http.post("/v1/transcribe", data=form) as response:
            body, status, headers = await response.read(), response.status, response.headers
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(sound.name, time.perf_counter() - begun, problem=type(error).__name__)
    seconds = time.perf_counter() - begun
    if status != 200:
        return Answer(sound.name, seconds, status, problem=headers.get("X-Error-Type", ""))
    told = json.loads(body)
    return Answer(
        sound.name,
        seconds,
        status,
        audio_s=told["duration_ms"] / 1000,
        queue_ms=float(headers["X-Queue-Wait-ms"]) if "X-Queue-Wait-ms" in headers else None,
        text=told["text"],
        model=headers.get("X-Final-Model", ""),
    )


def figures(
    concurrency: int, seconds: float, answers: Sequence[Answer], alone: Mapping[str, str]
) -> dict[str, Any]:
    """What one step came to.

    Args:
        seconds: from its first request to its last answer.
        alone: what the server said to each recording before.
    """
    good = [answer for answer in answers if answer.is_ok]
    audio_s = sum(answer.audio_s for answer in good)
    return {
        "concurrency": concurrency,
        "seconds": round(seconds, 2),
        "requests": len(answers),
        "statuses": {str(s): n for s, n in sorted(Counter(a.status for a in answers if a.status).items())},
        "lost": sum(answer.status is None for answer in answers),
        "problems": dict(Counter(answer.problem for answer in answers if answer.problem)),
        "models": dict(Counter(answer.model for answer in good)),
        "texts_changed": sum(answer.text != alone[answer.sound] for answer in good),
        "latency_ms": percentiles(1000 * answer.seconds for answer in good),
        "queue_wait_ms": percentiles(a.queue_ms for a in good if a.queue_ms is not None),
        "rtf": percentiles((a.seconds / a.audio_s for a in good if a.audio_s), digits=4),
        "requests_per_s": round(len(good) / seconds, 2),
        "throughput": round(audio_s / seconds, 2),
    }


def run(plan: Plan, tick: Callable[[int], object]) -> dict[str, Any]:
    """The result as JSON.

    Args:
        tick: is told the concurrency of the step once a second.

    Raises:
        BadAudio: the folder has no recordings, or the server takes none of them.
        Unreachable: nobody answers.
    """
    return asyncio.run(_run(plan, tick))


async def _run(plan: Plan, tick: Callable[[int], object]) -> dict[str, Any]:
    sounds = read(plan.clips, plan.limit)
    async with aiohttp.ClientSession(
        plan.url,
        headers={"Authorization": f"Bearer {plan.key}"} if plan.key else {},
        timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        connector=aiohttp.TCPConnector(limit=0),
    ) as http:
        server = await _server(http, plan.url)
        alone = await _alone(http, sounds)
        sounds = [sound for sound in sounds if sound.name in alone]
        texts = {name: answer.text for name, answer in alone.items()}
        steps = [await _step(http, n, plan.seconds, sounds, texts, tick) for n in plan.steps]
    return {
        "measurement": "load",
        "marks": {mark.name: mark.to_json() for mark in _marks(steps)},
        "knee": knee(
            [Stride(s["concurrency"], s["throughput"], s["latency_ms"].get("p95", 0)) for s in steps]
        ),
        "steps": steps,
        "recordings": {
            "count": len(sounds),
            "seconds": round(sum(answer.audio_s for answer in alone.values()), 1),
            "word_error_rate_percent": _word_error_rate(sounds, texts),
        },
        "server": server,
        "provenance": provenance(plan.clips if (plan.clips / "manifest.json").is_file() else None),
    }


async def _server(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """What the server says of itself."""
    try:
        async with http.get("/v1/metrics") as response:
            told = await response.json() if response.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"{url}: nobody answers ({type(error).__name__})") from error
    return {name: told[name] for name in ("name", "version", "commit", "models") if name in told}


async def _alone(http: aiohttp.ClientSession, sounds: Sequence[Sound]) -> dict[str, Answer]:
    """One after the other: what is said to each, and the server is warm."""
    answers = [await ask(http, sound) for sound in sounds]
    good = {answer.sound: answer for answer in answers if answer.is_ok}
    if not good:
        first = answers[0]
        raise BadAudio(f"the server takes none of the recordings: {first.status} {first.problem}".rstrip())
    return good


async def _step(
    http: aiohttp.ClientSession,
    concurrency: int,
    seconds: float,
    sounds: Sequence[Sound],
    alone: Mapping[str, str],
    tick: Callable[[int], object],
) -> dict[str, Any]:
    """So many clients for so long; what is under way at the end is waited for."""
    begun, answers, turn = time.perf_counter(), list[Answer](), cycle(sounds)

    async def client() -> None:
        while time.perf_counter() - begun < seconds:
            answer = await ask(http, next(turn))
            answers.append(answer)
            if not answer.is_ok:
                await asyncio.sleep(0.05)  # nobody runs against a closed door without a breath

    async def watch() -> None:
        for second in range(1, round(seconds) + 1):
            await asyncio.sleep(max(0.0, begun + second - time.perf_counter()))
            tick(concurrency)

    await asyncio.gather(watch(), *(client() for _ in range(concurrency)))
    return figures(concurrency, time.perf_counter() - begun, answers, alone)


def _marks(steps: Sequence[Mapping[str, Any]]) -> list[Mark]:
    answered = sum(step["statuses"].get("200", 0) for step in steps)
    changed = sum(step["texts_changed"] for step in steps)
    broken = sum(
        n for s in steps for code, n in s["statuses"].items() if int(code) >= 500 and int(code) != 503
    )
    return [
        Mark("requests_lost", sum(step["lost"] for step in steps), 0),
        Mark("server_errors_but_503", broken, 0),
        Mark(
            "texts_changed_percent", round(100 * changed / answered, 2) if answered else None, CHANGED_PERCENT
        ),
    ]


def _word_error_rate(sounds: Sequence[Sound], texts: Mapping[str, str]) -> float | None:
    """Of what was said alone; None where it is not known what is right."""
    pairs = [(sound.said, texts[sound.name]) for sound in sounds if sound.said]
    return round(100 * word_error_rate(pairs), 2) if any(normalise(said) for said, _ in pairs) else None


def picture(result: Mapping[str, Any]) -> str:
    """Latency, wait and throughput by concurrency, as SVG; the knee is marked."""
    steps, ranks = result["steps"], ("p50", "p95", "p99")

    def lines(part: str) -> list[Line]:
        return [Line(rank, [(s["concurrency"], s[part].get(rank, 0)) for s in steps]) for rank in ranks]

    carried = Line("throughput", [(s["concurrency"], s["throughput"]) for s in steps])
    across, knee = "requests at a time", result["knee"]
    return write(
        [
            Chart("Latency", across, "ms", lines("latency_ms"), mark=knee),
            Chart("Wait for a turn", across, "ms", lines("queue_wait_ms"), mark=knee),
            Chart("Throughput", across, "seconds of audio in a second", [carried], mark=knee),
        ]
    )
