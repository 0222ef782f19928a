"""Traffic of every kind, for twenty seconds: what goes well, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid

import aiohttp
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.link import Conditions
from rtc_stt.client import StreamClient
from rtc_stt.commands import Ping
from rtc_stt.errors import RtcSttError
from tools.ingest import opus
from tools.ingest.relay import Relay
from tools.ingest.speaker import Speaker
from tools.scrape.fleet import KEY, SESSIONS, Fleet
from tools.services.sounds import encode

__all__ = ["SECONDS", "send"]

SECONDS = 15.0
"""Of the longest of it: streams are looked at every ten seconds, and a rate needs two looks."""

BEARER = {"Authorization": f"Bearer {KEY}"}
UPLOADS_S = 1.2
"""From one recording to the next."""

TOO_MANY = 60
"""Messages at once; a session takes twenty a second."""

UUID, AUDIO, HANG_UP = 0x01, 0x10, 0x00
"""Kinds of messages of AudioSocket."""


async def send(fleet: Fleet, seconds: float = SECONDS) -> None:
    """All of it side by side.

    Raises:
        TimeoutError: it takes four times as long as it should.
        ExceptionGroup: something was not answered as it has to be.
    """
    clear, noisy = ([clip.audio() for clip in recordings.load(kind, limit=4)] for kind in ("clean", "noisy"))
    kinds = (
        lambda http: _browser(fleet, clear, seconds),
        lambda http: _browser(fleet, noisy, seconds - 2.5, after=2.5),
        lambda http: _stream(fleet, noisy, seconds - 6),
        lambda http: _call(fleet, http, clear, seconds - 4),
        lambda http: _recordings(http, fleet.primary, clear, noisy, seconds),
        lambda http: _recordings(http, fleet.gateway, clear, noisy, seconds),
        lambda http: _unwelcome(fleet, http),
    )
    async with (
        asyncio.timeout(4 * seconds),
        aiohttp.ClientSession(headers=BEARER) as http,
        asyncio.TaskGroup() as group,
    ):
        for kind in kinds:
            group.create_task(kind(http))


async def _browser(fleet: Fleet, spoken: list[Samples], seconds: float, *, after: float = 0.0) -> None:
    """A session over WebRTC, with packets lost and out of order on the way."""
    await asyncio.sleep(after)
    bad = Conditions(pattern="....x...." * 20 + "x" * 40, jitter_s=0.01)
    unordered = Conditions(reorder=0.1, reorder_s=0.03)
    async with (
        Relay(up=bad if after else unordered) as relay,
        Speaker(fleet.gateway, token=KEY, relay=relay) as speaker,
    ):
        await speaker.ear.wait_for("session.started")
        for number in range(TOO_MANY):
            speaker.send(Ping(str(number)))
        over = time.monotonic() + seconds - 2  # it says its sentence to the end
        packets = [opus.encode(np.concatenate([_silence(0.3), audio, _silence(1)])) for audio in spoken]
        while time.monotonic() < over:
            speaker.say(packets[0])
            packets.append(packets.pop(0))
            await speaker.said()


async def _stream(fleet: Fleet, spoken: list[Samples], seconds: float) -> None:
    """A session over a WebSocket: doubtful sentences, and a syllable that is too short for one."""
    async with StreamClient(fleet.gateway, key=KEY) as live:
        over = time.monotonic() + seconds
        for audio in [*spoken, *spoken]:
            if time.monotonic() > over:
                break
            start = len(audio) // 2
            syllable = audio[start : start + SAMPLE_RATE // 6]
            await live.send(np.concatenate([_silence(0.3), syllable, _silence(1), audio, _silence(1)]))


async def _call(fleet: Fleet, http: aiohttp.ClientSession, spoken: list[Samples], seconds: float) -> None:
    """A phone call over AudioSocket, and one for which there is no room. Nobody takes their webhooks."""
    ids = []
    for _ in range(2):
        body = {"source": "audiosocket", "options": {"language": "en"}}
        async with http.post(f"{fleet.gateway}/v1/calls", json=body, raise_for_status=True) as answer:
            ids.append(uuid.UUID((await answer.json())["uuid"]))
    reader, writer = await asyncio.open_connection("127.0.0.1", fleet.audiosocket)
    writer.write(_frame(UUID, ids[0].bytes))
    await asyncio.sleep(1)
    _, other = await asyncio.open_connection("127.0.0.1", fleet.audiosocket)
    other.write(_frame(UUID, ids[1].bytes))
    heard = np.concatenate([part for audio in spoken for part in (audio, _silence(1))])
    pcm = np.clip(np.round(np.resize(heard, round(seconds * SAMPLE_RATE))[::2] * 32_767), -32_768, 32_767)
    data, due = pcm.astype("<i2").tobytes(), time.monotonic()
    for at in range(0, len(data), 320):
        writer.write(_frame(AUDIO, data[at : at + 320]))
        due += 0.02
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    writer.write(_frame(HANG_UP))
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(3):
            await reader.read()
    for each in (writer, other):
        each.transport.abort()


async def _recordings(
    http: aiohttp.ClientSession, url: str, clear: list[Samples], noisy: list[Samples], seconds: float
) -> None:
    """Recordings: what is clear, what is doubted, and what is none."""
    bodies = [*(encode(audio, "wav") for audio in (clear[0], noisy[0], noisy[1], clear[1])), b"no recording"]
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        form = aiohttp.FormData()
        form.add_field("audio", bodies[0], filename="clip")
        bodies.append(bodies.pop(0))
        async with http.post(f"{url}/v1/transcribe", data=form) as answer:
            await answer.read()
        await asyncio.sleep(UPLOADS_S)


async def _unwelcome(fleet: Fleet, http: aiohttp.ClientSession) -> None:
    """Who is turned away, and what is not taken."""
    while True:
        async with http.get(f"{fleet.gateway}/v1/ready") as answer:
            if (await answer.json())["sessions"] >= SESSIONS:
                break
        await asyncio.sleep(0.1)
    with contextlib.suppress(RtcSttError):
        async with StreamClient(fleet.gateway, key=KEY, patience_s=0.5, first_patience_s=0.5):
            pass
    await asyncio.to_thread(_knock, fleet.media)


def _knock(ports: range) -> None:
    """Datagrams to ports of media by somebody who has no session."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for port in ports:
            stranger.sendto(b"who is there?", ("127.0.0.1", port))


def _frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
