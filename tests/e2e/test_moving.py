"""A gateway is killed in mid-speech, and another one goes on with its sessions: real ones, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.client import StreamClient
from rtc_stt.client.session_pump import SessionPump
from rtc_stt.events import Event, SessionResumed, SessionStarted, TranscriptFinal
from tests import gateways
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tests.gateways import Gateways

pytestmark = pytest.mark.e2e


def spoken(*clips: Clip) -> Samples:
    return np.concatenate([silence(0.3), *[part for clip in clips for part in (clip.audio, silence(0.9))]])


async def read(live: SessionPump, heard: list[tuple[float, Event]]) -> None:
    loop = asyncio.get_running_loop()
    async for event in live:
        heard.append((loop.time(), event))  # noqa: PERF401 — a test looks at it while it grows


def only(heard: list[tuple[float, Event]], kind: type[Event]) -> list[Event]:
    return [event for _, event in heard if isinstance(event, kind)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with gateways.running(tmp_path_factory.mktemp("moving"), "a", "b", RESUME_ACROSS_NODES="true") as made:
        yield made


async def start_again(two: Gateways, name: str) -> None:
    two.start(name)
    await asyncio.to_thread(two.processes[name].url)


async def test_a_websocket_goes_on_elsewhere_and_no_word_is_lost(
    two: Gateways, sentences: list[Clip]
) -> None:
    heard: list[tuple[float, Event]] = []
    said = sentences[:3]
    async with StreamClient(two.url) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))
        speaking = asyncio.create_task(live.send(spoken(*said)))
        # After the first final, in the midst of the second sentence.
        assert await until(lambda: only(heard, TranscriptFinal), 20)
        await asyncio.sleep(1.5)
        name, died_at = two.of(live.session_id or ""), asyncio.get_running_loop().time()
        two.kill(name)
        await speaking
        await live.stop()
        await reading
    await start_again(two, name)
    texts = [normalise(final.text) for final in support.finals([event for _, event in heard])]
    assert texts == [normalise(clip.text) for clip in said]
    [started] = only(heard, SessionStarted)
    [resumed] = only(heard, SessionResumed)
    assert isinstance(started, SessionStarted)
    assert isinstance(resumed, SessionResumed)
    assert resumed.moved
    assert resumed.session_id == started.session_id
    assert [event.seq for _, event in heard] == list(range(1, len(heard) + 1))
    recovered_s = next(at for at, event in heard if event is resumed) - died_at
    print(f"recovered after {recovered_s:.2f} s")
    assert recovered_s < 3
