"""WebRTC clients of other makers: each speaks a clip and must be understood."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from rtc_stt.events import Event, SessionEnded, TranscriptFinal
from rtc_stt.instrument import Instrument
from tests.e2e import support
from tests.e2e.support import Clip, until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


class Listener(Instrument):
    """Hears what the server tells, for clients that have no data channel."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def event_sent(self, event: Event) -> None:
        self.told.append(event)

    @property
    def finals(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, TranscriptFinal)]

    @property
    def end_reasons(self) -> list[str]:
        return [event.reason for event in self.told if isinstance(event, SessionEnded)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[support.Gateway]:
    speech = support.demo_speech(Listener())
    async with support.run_gateway(speech) as running:
        yield running
    await speech.aclose()


@pytest.fixture
def listener(gateway: support.Gateway) -> Listener:
    instrument = gateway.speech.instrument
    assert isinstance(instrument, Listener)
    instrument.told.clear()
    return instrument


async def run(*command: str, seconds: float = 30) -> str:
    """What a client in a process of its own says; it must end by itself, and well."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=support.ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds):
            out, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return out.decode()


@pytest.mark.parametrize("role", ["passive", "active"])
async def test_ffmpeg_in_either_dtls_role(
    gateway: support.Gateway, listener: Listener, sentences: list[Clip], tmp_path: Path, role: str
) -> None:
    clip = sentences[0]
    np.save(tmp_path / "clip.npy", clip.audio)
    module = "tests.e2e.clients.ffmpeg_whip"
    await run(
        sys.executable, "-m", module, f"{gateway.url}/whip", str(tmp_path / "clip.npy"), role, str(tmp_path)
    )
    assert await until(lambda: listener.end_reasons)
    assert listener.finals == [clip.text]
    assert listener.end_reasons == ["deleted"], "FFmpeg ends with DELETE"


async def test_gstreamer(
    gateway: support.Gateway, gstreamer: str, sentences: list[Clip], tmp_path: Path
) -> None:
    clip = sentences[1]
    support.write_wav(tmp_path / "clip.wav", clip.audio)
    script = str(Path(__file__).parent / "clients" / "gstreamer_whip.py")
    told = await run(gstreamer, script, f"{gateway.url}/whip", str(tmp_path / "clip.wav"))
    events = [json.loads(line) for line in told.splitlines()]
    numbers = [event["seq"] for event in events if "seq" in event]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event["text"] for event in events if event["type"] == "transcript.final"] == [clip.text]
    assert events[-1]["type"] in ("session.ended", "tick")
