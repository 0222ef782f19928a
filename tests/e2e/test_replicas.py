"""``rtc-stt serve --engine ray://…`` before real replicas, and what happens when one dies or stands still."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from rtc_stt.bench.words import normalise
from rtc_stt.client import StreamClient
from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.hypothesis import Tier
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tools.replicas.processes import KEY, Directory, ReplicaProcess

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

DEADLINE_S = 10.0
"""DECODE_DEADLINE_MS."""


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ReplicaProcess]]:
    """Two of the fast tier, which may be replaced, and one of the accurate tier."""
    folder = tmp_path_factory.mktemp("replicas")
    tiers = {"fast-1": Tier.FAST, "fast-2": Tier.FAST, "accurate-1": Tier.ACCURATE}
    started = {id_: ReplicaProcess(folder, tier, id_) for id_, tier in tiers.items()}
    try:
        yield started
    finally:
        for process in started.values():
            process.kill()


@dataclass
class Gateway:
    url: str
    process: support.Process
    directory: Directory


@pytest.fixture
async def gateway(replicas: dict[str, ReplicaProcess], tmp_path: Path) -> AsyncIterator[Gateway]:
    """Before those of them that run."""
    async with Directory() as directory:
        for process in replicas.values():
            if process.process.poll() is None:
                directory.list(await asyncio.to_thread(process.replica))
        server = support.Process(
            tmp_path / "server.log", "serve", "--port", "0", "--engine", f"ray://{directory.place}",
            WORKERS_KEY=KEY, CONF_LOGPROB_THRESHOLD="0.9", CARRY_CONTEXT="false",
            COMMIT_AFTER_S="4", API_KEYS="",
        )  # fmt: skip
        try:
            url = await asyncio.to_thread(server.url)
            yield Gateway(url, server, directory)
            await asyncio.to_thread(server.stop)
        finally:
            server.kill()


@dataclass
class Heard:
    events: list[tuple[float, Event]]

    @property
    def finals(self) -> list[str]:
        return [event.text for _, event in self.events if isinstance(event, TranscriptFinal)]

    @property
    def delays(self) -> list[int]:
        """From the endpoint to each final, in ms."""
        finals = [event for _, event in self.events if isinstance(event, TranscriptFinal)]
        return [event.timing.endpoint_to_final_ms for event in finals]


@contextlib.asynccontextmanager
async def speaking(url: str, clips: list[Clip]) -> AsyncIterator[tuple[StreamClient, Heard]]:
    """A client that says these, each after a pause; it hears until it is told to finish."""
    heard = Heard([])
    audio = np.concatenate([silence(0.3), *[part for clip in clips for part in (clip.audio, silence(0.9))]])
    pcm = np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()

    async def read(live: StreamClient) -> None:
        async for event in live:
            heard.events.append((time.monotonic(), event))

    async def speak(live: StreamClient) -> None:
        for start in range(0, len(pcm), 3200):
            await live.send(pcm[start : start + 3200])

    async with StreamClient(url) as live:
        tasks = [asyncio.create_task(part) for part in (read(live), speak(live))]
        try:
            yield live, heard
            await tasks[1]
            async with asyncio.timeout(20):
                await live.stop()
                await tasks[0]
        finally:
            for task in tasks:
                task.cancel()


async def figures(url: str, name: str) -> dict[str, float]:
    """A metric, by its labels."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        text = await answer.text()
    return {
        labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    }


def said(clips: list[Clip]) -> list[str]:
    return [normalise(clip.text) for clip in clips]


async def test_what_is_said_is_heard_by_replicas(gateway: Gateway, sentences: list[Clip]) -> None:
    async with speaking(gateway.url, sentences[:3]) as (_, heard):
        pass
    assert [normalise(text) for text in heard.finals] == said(sentences[:3])
    states = await figures(gateway.url, "rtc_stt_replicas")
    assert states['state="ready",tier="fast"'] == 2
    assert states['state="ready",tier="accurate"'] == 1
    calls = await figures(gateway.url, "rtc_stt_replica_calls_total")
    assert calls['outcome="ok",tier="fast"'] > 3
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.url}/v1/ready") as answer:
        assert answer.status == 200


async def test_a_replica_that_stops_for_five_seconds_holds_up_no_final(
    gateway: Gateway, replicas: dict[str, ReplicaProcess], sentences: list[Clip]
) -> None:
    async def stop_and_go() -> dict[str, float]:
        process = replicas["fast-1"].process
        await asyncio.sleep(1.5)
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(4)
            seen = await figures(gateway.url, "rtc_stt_replicas")
            await asyncio.sleep(1)
        finally:
            process.send_signal(signal.SIGCONT)
        return seen

    pausing = asyncio.create_task(stop_and_go())
    async with contextlib.AsyncExitStack() as stack:
        everyone = [await stack.enter_async_context(speaking(gateway.url, sentences[:5])) for _ in range(3)]
    assert (await pausing)['state="silent",tier="fast"'] == 1
    for _, heard in everyone:
        assert [normalise(text) for text in heard.finals] == said(sentences[:5])
        assert max(heard.delays) < DEADLINE_S * 1000
    states = {}

    async def both_ready() -> bool:
        states.update(await figures(gateway.url, "rtc_stt_replicas"))
        return states['state="ready",tier="fast"'] + states['state="slow",tier="fast"'] == 2

    for _ in range(40):
        if await both_ready():
            break
        await asyncio.sleep(0.1)
    assert await both_ready(), states


async def test_a_replica_that_is_killed_costs_no_final(
    gateway: Gateway, replicas: dict[str, ReplicaProcess], sentences: list[Clip]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        everyone = [await stack.enter_async_context(speaking(gateway.url, sentences[:4])) for _ in range(3)]
        heard = everyone[0][1]
        assert await until(lambda: heard.finals, 20), "somebody was heard before"
        replicas["fast-1"].kill()
    for _, heard in everyone:
        assert [normalise(text) for text in heard.finals] == said(sentences[:4])
        assert max(heard.delays) < DEADLINE_S * 1000
    states = await figures(gateway.url, "rtc_stt_replicas")
    assert states['state="silent",tier="fast"'] == 1


async def test_without_a_replica_serving_does_not_begin_and_says_why(tmp_path: Path) -> None:
    async with Directory(key="another key of the workers") as directory:
        server = support.Process(
            tmp_path / "server.log",
            "serve",
            "--port",
            "0",
            "--engine",
            f"ray://{directory.place}",
            WORKERS_KEY=KEY,
        )
        try:
            code = await asyncio.to_thread(server.wait)
        finally:
            server.kill()
    assert code != 0
    assert "WORKERS_KEY" in server.log
    assert "Traceback" not in server.log
    assert KEY not in server.log
