"""The Python SDK against ``rtc-stt demo``: it speaks, hears, and comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.client import LiveSession, State, session_pump
from rtc_stt.client.pulse import Heartbeat
from rtc_stt.events import Event, SessionEnded, SessionResumed, SessionStarted, SpeechStarted, TranscriptFinal
from tests.e2e import support
from tests.e2e.support import Clip, Voice

pytestmark = pytest.mark.e2e


def kill_transport(live: LiveSession) -> None:
    """The network goes away without a word to either side; the client's ICE notices, the server does not."""
    assert live._connection
    connection = live._connection._peer.sctp.transport.transport._connection
    for protocol in list(connection._protocols):
        protocol.transport.abort()
    live._lose()


async def read(live: LiveSession, heard: list[Event]) -> None:
    async for event in live:
        heard.append(event)  # noqa: PERF401 — a test looks at it while it grows


def only(heard: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in heard if isinstance(event, kind)]


def assert_numbers(heard: list[Event]) -> None:
    """Each event once and in order. (Pongs have numbers too, and are not shown.)"""
    assert [e.seq for e in heard] == sorted({e.seq for e in heard})


async def test_a_track_is_spoken_and_its_end_is_the_end_of_the_session(
    demo: str, sentences: list[Clip]
) -> None:
    clip = sentences[0]
    track = Voice(np.concatenate([support.silence(0.3), clip.audio, support.silence(0.8)]))
    heard: list[Event] = []
    async with LiveSession(demo, track=track) as live, asyncio.timeout(20):
        reading = asyncio.create_task(read(live, heard))
        await track.said.wait()
        track.stop()
        await reading
    assert support.text_of(heard) == clip.text
    assert isinstance(heard[0], SessionStarted)
    assert isinstance(heard[-1], SessionEnded)
    assert heard[-1].reason == "stopped"
    assert heard[0].session_id == live.session_id
    assert_numbers(heard)


async def test_audio_that_is_given_is_paced_and_commands_are_obeyed(demo: str, sentences: list[Clip]) -> None:
    clip = sentences[2]
    heard: list[Event] = []
    async with LiveSession(demo) as live, asyncio.timeout(30):
        reading = asyncio.create_task(read(live, heard))
        await live.configure(language="es", partials=False, word_timestamps=True)
        begun = asyncio.get_running_loop().time()
        audio: Samples = np.concatenate([support.silence(0.3), clip.audio, support.silence(0.1)])
        await live.send(audio)
        assert asyncio.get_running_loop().time() - begun > len(audio) / 16_000 - 0.5
        await asyncio.sleep(0.3)
        answer = await live.finalize()
        assert answer.utterance_id == 1
        await live.stop()
        await reading
    [final] = support.finals(heard)
    assert final.language == "es"
    assert final.words
    assert not [e for e in heard if e.type == "transcript.partial"]
    assert [e.type for e in heard if e.type == "finalized"] == ["finalized"]
    assert_numbers(heard)


async def test_a_server_that_dies_and_starts_again_gets_a_new_session(
    start_server: Callable[..., support.Process], sentences: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_pump, "Heartbeat", partial(Heartbeat, ping_s=0.5, lost_s=1.5))
    heard: list[Event] = []
    clip = np.concatenate([support.silence(0.3), sentences[0].audio, support.silence(0.9)])
    server = start_server("demo", "--port", "0")
    url = await asyncio.to_thread(server.url)
    async with LiveSession(url) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))
        await live.send(clip)
        assert await support.until(lambda: len(only(heard, TranscriptFinal)) == 1)
        server.kill()
        server = start_server("demo", "--port", url.rsplit(":", 1)[1])
        assert await support.until(lambda: len(only(heard, SessionStarted)) == 2, 40)
        await live.send(clip)
        await live.stop()
        await reading
    first, second = only(heard, SessionStarted)
    assert first.session_id != second.session_id
    assert [final.text for final in support.finals(heard)] == [sentences[0].text] * 2
    assert [final.utterance_id for final in support.finals(heard)] == [1, 1]
    again = heard.index(second)
    assert_numbers(heard[:again])
    assert_numbers(heard[again:])


async def test_a_lost_connection_is_made_anew_and_no_final_is_lost(demo: str, sentences: list[Clip]) -> None:
    """Lost between two sentences, in the midst of one, and while a final is on its way."""
    heard: list[Event] = []
    states: list[State] = []
    first, second, third = sentences[0], sentences[1], sentences[2]
    async with LiveSession(demo, on_state=states.append) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))

        async def say(audio: Samples) -> None:
            await live.send(np.concatenate([support.silence(0.2), audio, support.silence(0.9)]))

        await say(first.audio)
        assert await support.until(lambda: len(only(heard, TranscriptFinal)) == 1)
        kill_transport(live)
        assert await support.until(lambda: len(only(heard, SessionResumed)) == 1)
        name = live.session_id

        half = len(second.audio) // 2
        await live.send(np.concatenate([support.silence(0.2), second.audio[:half]]))
        assert await support.until(lambda: len(only(heard, SpeechStarted)) >= 2)
        kill_transport(live)
        assert await support.until(lambda: len(only(heard, SessionResumed)) == 2)
        await live.send(np.concatenate([second.audio[half:], support.silence(0.9)]))

        await live.send(np.concatenate([support.silence(0.2), third.audio, support.silence(0.1)]))
        answer = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        kill_transport(live)
        await answer
        assert await support.until(lambda: len(only(heard, SessionResumed)) == 3)
        await live.stop()
        await reading
    assert live.session_id == name
    assert len(only(heard, SessionStarted)) == 1
    finals = support.finals(heard)
    assert finals[0].text == first.text
    assert sorted({e.utterance_id for e in only(heard, SpeechStarted)}) == support.conclusions(heard)
    assert any(final.lost_ms for final in finals), "the second sentence has a hole"
    assert not [e for e in heard if e.type == "warning" and e.code == "events_lost"]
    assert isinstance(heard[-1], SessionEnded)
    assert_numbers(heard)
    assert states.count(State.RECONNECTING) == 3
    assert states[-1] is State.ENDED
