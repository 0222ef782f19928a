"""A gateway is killed in mid-speech, and another goes on with its sessions: real ones, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.client import LiveSession, StreamClient
from rtc_stt.client.session_pump import SessionPump
from rtc_stt.events import (
    Event,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SessionWarning,
    TranscriptFinal,
)
from tests import gateways
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tests.gateways import Gateways

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


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
    own = {"a": {}, "b": {"MEDIA_WORKERS": "1"}}
    with gateways.running(tmp_path_factory.mktemp("moving"), own, RESUME_ACROSS_NODES="true") as made:
        yield made


async def start_again(two: Gateways, name: str) -> None:
    two.start(name)
    await asyncio.to_thread(two.processes[name].url, 90)


class Numbers:
    """Those of all events that come, pongs too, which nobody is shown."""

    def __init__(self, live: SessionPump) -> None:
        self.seen: list[int] = []
        keep = live._keep

        def note(event: Event) -> None:
            self.seen.append(event.seq)
            keep(event)

        live._keep = note  # type: ignore[method-assign]


def assert_one_session(heard: list[tuple[float, Event]], said: list[Clip], died_at: float) -> float:
    """All words once, numbers without a gap, one id; gives the seconds until the session went on."""
    texts = [normalise(final.text) for final in support.finals([event for _, event in heard])]
    assert texts == [normalise(clip.text) for clip in said]
    [started], [resumed, *others] = only(heard, SessionStarted), only(heard, SessionResumed)
    assert not others, heard
    assert isinstance(started, SessionStarted)
    assert isinstance(resumed, SessionResumed)
    assert resumed.moved
    assert resumed.session_id == started.session_id
    assert not [event for event in only(heard, SessionWarning) if event.code == "events_lost"]
    return next(at for at, event in heard if event is resumed) - died_at


async def test_a_websocket_goes_on_elsewhere_and_no_word_is_lost(
    two: Gateways, sentences: list[Clip]
) -> None:
    heard: list[tuple[float, Event]] = []
    said = sentences[:3]
    live = StreamClient(two.url)
    numbers = Numbers(live)
    async with live, asyncio.timeout(90):
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
    assert assert_one_session(heard, said, died_at) < 5
    assert numbers.seen == list(range(1, numbers.seen[-1] + 1))
    begun = [final.audio_start_ms for final in support.finals([event for _, event in heard])]
    assert begun == sorted(begun)


@pytest.mark.parametrize("name", ["a", "b"])
async def test_webrtc_goes_on_elsewhere_and_no_word_is_lost(
    two: Gateways, sentences: list[Clip], name: str
) -> None:
    """From a gateway's own process to another one's media worker, and back."""
    heard: list[tuple[float, Event]] = []
    said = sentences[:2]
    for _ in range(8):
        live = LiveSession(two.url)
        numbers = Numbers(live)
        await live.__aenter__()
        if two.of(live.session_id or "") == name:
            break
        await live.__aexit__()
    assert (live.session_id or "").startswith({"a": "a.", "b": "b.w0-"}[name])
    try:
        async with asyncio.timeout(90):
            reading = asyncio.create_task(read(live, heard))
            speaking = asyncio.create_task(live.send(spoken(*said)))
            assert await until(lambda: only(heard, TranscriptFinal), 20)
            await asyncio.sleep(0.7)
            died_at = asyncio.get_running_loop().time()
            two.kill(name)
            await speaking
            assert await until(lambda: len(only(heard, TranscriptFinal)) == 2, 20)
            await live.stop()
            await reading
    finally:
        await live.__aexit__()
    await start_again(two, name)
    assert assert_one_session(heard, said, died_at) < 10
    assert numbers.seen == list(range(1, numbers.seen[-1] + 1))


# ── A gateway that lives ──


async def test_what_is_asked_of_the_wrong_gateway_is_answered_by_the_right_one(two: Gateways) -> None:
    heard: list[tuple[float, Event]] = []
    async with LiveSession(two.at("a")) as live, aiohttp.ClientSession() as http, asyncio.timeout(30):
        reading = asyncio.create_task(read(live, heard))
        assert live._resource
        path = urlsplit(live._resource).path
        assert path.startswith("/whip/a.")
        wrong = two.at("b") + path
        fragment = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": '"not it"'}
        async with http.patch(wrong, data="a=end-of-candidates\r\n", headers=fragment) as answer:
            assert answer.status == 412, "as its own gateway says"
        async with http.get(wrong) as answer:
            assert answer.status == 204
        async with http.delete(wrong, headers={"X-Rtc-Stt-Forwarded": "x"}) as answer:
            assert answer.status == 404, "what has been handed on once is not handed on again"
        async with http.patch(wrong, data="x" * 1_000_000, headers=fragment) as answer:
            assert answer.status == 413
        for name in ("a.unknown", "c.unknown", "a.%2e%2e%2fv1", "a..x", "b.x", "A.x"):
            async with http.delete(f"{two.at('b')}/whip/{name}") as answer:
                assert answer.status == 404, name
        async with http.delete(wrong) as answer:
            assert answer.status == 200
        await reading
    [ended] = only(heard, SessionEnded)
    assert isinstance(ended, SessionEnded)
    assert ended.reason == "deleted"


@pytest.mark.parametrize("kind", [StreamClient, LiveSession])
async def test_a_session_that_lives_is_resumed_by_way_of_another_gateway(
    two: Gateways, sentences: list[Clip], kind: type[StreamClient | LiveSession]
) -> None:
    heard: list[tuple[float, Event]] = []
    said = sentences[:2]
    async with kind(two.at("a")) as live, asyncio.timeout(60):
        reading = asyncio.create_task(read(live, heard))
        await live.send(spoken(said[0]))
        assert await until(lambda: only(heard, TranscriptFinal), 10)
        live._session_url = live._session_url.replace(two.at("a"), two.at("b"))
        live._lose()
        assert await until(lambda: only(heard, SessionResumed), 10)
        await live.send(spoken(said[1]))
        assert await until(lambda: len(only(heard, TranscriptFinal)) == 2, 10)
        await live.stop()
        await reading
    [resumed] = only(heard, SessionResumed)
    assert isinstance(resumed, SessionResumed)
    assert not resumed.moved, "it is where it was"
    texts = [normalise(final.text) for final in support.finals([event for _, event in heard])]
    assert texts == [normalise(clip.text) for clip in said]


# ── Who is there ──


async def test_operators_see_the_sessions_of_all_gateways(two: Gateways) -> None:
    async with (
        StreamClient(two.at("a")) as first,
        StreamClient(two.at("b")) as second,
        aiohttp.ClientSession() as http,
        asyncio.timeout(30),
    ):
        await first.send(silence(0.5))

        async def seen() -> dict[str, dict[str, Any]]:
            async with http.get(two.at("b") + "/v1/sessions") as answer:
                assert answer.status == 200
                told = await answer.json()
                assert told["scope"] == "all"
                return {session["id"]: session for session in told["sessions"]}

        ids = {first.session_id: "a", second.session_id: "b"}
        async with asyncio.timeout(5):
            while not (ids.keys() <= (told := await seen()).keys()):
                await asyncio.sleep(0.1)
        for session_id, node in ids.items():
            session = told[str(session_id)]
            assert (session["node"], session["transport"], session["state"]) == (
                node,
                "websocket",
                "connected",
            )
            assert session["key"] == "open"
            assert 0 <= session["age_s"] < 30
        for wrong in ("limit=x", "limit=-1", "limit=100000", "cursor=y", "cursor=" + "9" * 40):
            async with http.get(f"{two.at('a')}/v1/sessions?{wrong}") as answer:
                assert answer.status == 400, wrong


# ── Who may not ──


async def test_what_is_forged_is_gone(two: Gateways) -> None:
    """Tokens of sessions that are not, names of gateways that are not, a right id with a wrong secret."""
    async with StreamClient(two.at("a")) as live, aiohttp.ClientSession() as http, asyncio.timeout(30):
        forged = [f"{live.session_id}~wrong", "z.session~secret", "a.~x", "a.*~x", "b.x~" + "y" * 200, "~"]
        for token in forged:
            async with http.ws_connect(two.at("b") + "/v1/stream?resume=1") as ws:
                audio = {"encoding": "pcm_s16le", "sample_rate": 16_000}
                await ws.send_json({"type": "configure", "audio": audio, "resume_token": token})
                told = await ws.receive_json()
                assert (told["type"], told["code"]) == ("error", "session_gone"), token
                await ws.receive()
                assert ws.close_code == 4404
        await live.send(silence(0.2))
        await live.stop()
