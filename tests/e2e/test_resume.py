"""A client that loses its connection and comes back, with real speech and the demo models."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import pytest_asyncio
from aiortc import RTCSessionDescription

from rtc_stt.commands import Stop
from rtc_stt.session import Speech
from signaling.calls import Call, Connected, Resume
from signaling.registry import Registry
from signaling.settings import Server, WebRtc
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tools.live_line.client import LiveClient

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Client(LiveClient):
    """A client that calls a registry without a door between."""

    registry: Registry | None = None
    resume: Resume | None = None
    connected: Connected | None = field(default=None, init=False)

    async def connect(self) -> None:
        assert self.registry is not None
        await self.connection.setLocalDescription(await self.connection.createOffer())
        self.connected = await self.registry.connect(Call(self.connection.localDescription.sdp, self.resume))
        await self.connection.setRemoteDescription(RTCSessionDescription(self.connected.sdp, "answer"))
        await self.wait_until(lambda: [r.event for r in self.received[:1]], 10)

    async def close(self) -> None:
        self.speaker.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.connection.close(), 3)

    def vanish(self) -> None:
        """Without a word, as a telephone does in a tunnel."""
        for sock in self.connection.getSenders()[0].transport.transport._connection._protocols:
            sock.transport.abort()

    def comeback(self) -> Client:
        """The next connection of the same client."""
        started = self.events("session.started")[0]
        last = self.received[-1].event.seq
        return Client("", registry=self.registry, resume=Resume(started.resume_token, last))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech() -> AsyncIterator[Speech]:
    speech = support.demo_speech()
    yield speech
    await speech.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def registry(speech: Speech) -> AsyncIterator[Registry]:
    registry = Registry(speech, Server(), WebRtc(resume_seconds=20))
    yield registry
    await registry.drain(5)
    assert not registry._tasks
    assert len(registry) == 0


def told(*clients: Client) -> list[int]:
    return [received.event.seq for client in clients for received in client.received]


async def test_a_final_that_was_told_into_the_dark_is_told_again(
    registry: Registry, sentences: list[Clip]
) -> None:
    async with Client("", registry=registry) as first:
        await first.say(np.concatenate([silence(0.3), sentences[0].audio, silence(0.2)]))
        first.vanish()
        await asyncio.sleep(1.5)  # the endpoint and the final come meanwhile
        assert not first.events("transcript.final")
        async with first.comeback() as second:
            final = await second.wait_for("transcript.final")
            resumed = await second.wait_for("session.resumed")
            assert final.text == sentences[0].text
            assert final.seq < resumed.seq
            assert resumed.resent >= 2, "the endpoint and the final at least"
            assert 1_000 < resumed.gap_ms < 5_000
            assert resumed.session_id == first.events("session.started")[0].session_id
            await second.say(np.concatenate([silence(0.3), sentences[1].audio]))
            after = await second.wait_for("transcript.final", count=2)
            assert after.text == sentences[1].text, "it goes on as if nothing had been"
            assert after.utterance_id == final.utterance_id + 1
            second.send(Stop())
            ended = await second.wait_for("session.ended")
            assert ended.stats["connections"] == 2
            assert told(first, second) == list(range(1, ended.seq + 1)), "nothing twice, nothing left out"


async def test_who_comes_back_within_a_word_goes_on_with_the_same_utterance(
    registry: Registry, sentences: list[Clip]
) -> None:
    audio = sentences[0].audio
    half = len(audio) // 2
    async with Client("", registry=registry) as first:
        await first.say(np.concatenate([silence(0.3), audio[:half]]))
        first.vanish()
        async with first.comeback() as second:
            second.speaker.speak(audio[half:])
            final = await second.wait_for("transcript.final")
            begun = [*first.events("speech.started"), *second.events("speech.started")]
            assert [event.utterance_id for event in begun] == [1]
            assert final.lost_ms > 0
            (gap,) = [w for w in second.events("warning") if w.code == "audio_gap"]
            assert gap.seq == final.seq - 1
            assert final.text
            second.send(Stop())
            await second.wait_for("session.ended")


async def test_who_does_not_come_back_is_concluded(speech: Speech, sentences: list[Clip]) -> None:
    registry = Registry(speech, Server(), WebRtc(resume_seconds=0.5))
    ended: list[str] = []
    registry.watch = lambda _, what: ended.append(what)
    async with Client("", registry=registry) as client:
        await client.say(np.concatenate([silence(0.3), sentences[0].audio]))
        await client.connection.close()
        assert await until(lambda: "ended" in ended, 10)
        assert ended == ["connected", "lost", "ended"]
        assert len(registry) == 0
    await registry.drain(1)
