"""Pipecat's own browser client in a real Chromium, on a page of another origin, against a demo server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, Playwright

from tests.e2e import support
from tests.e2e.browser import FLAGS, playwright
from tests.e2e.clients.rtvi_channel import RtviChannel
from tests.e2e.conftest import required
from tests.e2e.support import Clip, silence

__all__ = ["playwright"]  # a fixture

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

KEY = "a-key-of-sixteen-chars"
LEAD_S, GAP_S = 1.2, 0.8
"""Silence before and after what the microphone says; it says it again and again."""

BUNDLE = support.ROOT / "build" / "pipecat-client" / "page.js"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[str]:
    """Where the page is: a server of somebody else."""
    script = required(
        "build/pipecat-client/page.js (make pipecat)", BUNDLE.read_text() if BUNDLE.is_file() else None
    )
    text = f"<!doctype html><title>A page</title><link rel=icon href=data:,><script>{script}</script>"

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as running:
        yield f"http://localhost:{running.port}"


@pytest.fixture(scope="module")
def server(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a demo server that asks for a key, and knows the page."""
    process = support.Process(
        tmp_path_factory.mktemp("rtvi") / "server.log",
        *("demo", "--port", "0"),
        API_KEYS=KEY,
        ALLOWED_ORIGINS=origin,
    )
    try:
        yield process.url()
        process.stop()
    finally:
        process.kill()


class Speaker:
    """Somebody in front of the page, who says one sentence again and again."""

    def __init__(self, page: Page, server: str) -> None:
        self.page, self.server = page, server
        self.complaints: list[str] = []
        """What the console said."""
        page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def connect(self, token: str, **request_data: object) -> dict[str, Any]:
        """Gives what ``bot-ready`` says."""
        how = {"endpoint": f"{self.server}/api/offer", "token": token, "requestData": request_data}
        return await self.page.evaluate("how => window.pipecat.connect(how)", how)

    async def act(self, script: str) -> Any:
        return await self.page.evaluate(f"() => window.pipecat.{script}")

    async def told(self, name: str | None = None) -> list[Any]:
        """Callbacks so far, as ``{name, data}``; of one name only their data."""
        told = await self.act("told")
        return [each["data"] for each in told if each["name"] == name] if name else told

    async def until(self, name: str, condition: str, *, after: int = 0, seconds: float = 20) -> int:
        """Wait for a callback for which a JavaScript condition on ``data`` holds; gives its number.

        Args:
            after: only those from this number on count.
        """
        found = await self.page.wait_for_function(
            f"""([name, after]) => window.pipecat.told.findIndex(({{ name: told, data }}, number) =>
                  number >= after && told === name && ({condition})) + 1""",
            arg=[name, after],
            timeout=seconds * 1000,
        )
        return int(await found.json_value()) - 1

    async def until_final(self, text: str, after: int = 0) -> int:
        return await self.until("onUserTranscript", f"data.final && data.text === {text!r}", after=after)


@pytest_asyncio.fixture(loop_scope="module")
async def speaker(
    playwright: Playwright, chromium: str, origin: str, server: str, sentence: Clip, tmp_path: Path
) -> AsyncIterator[Speaker]:
    voice = np.concatenate([silence(LEAD_S), sentence.audio, silence(GAP_S)])
    file = support.write_wav(tmp_path / "microphone.wav", voice)
    flags = [
        *FLAGS,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={file}",
    ]

    browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
    page = await browser.new_page()
    found = Speaker(page, server)
    await page.goto(origin)
    yield found
    await browser.close()
    assert not found.complaints


@pytest.fixture(scope="session")
def sentence(sentences: list[Clip]) -> Clip:
    return min(sentences, key=lambda clip: clip.seconds)


async def ask(server: str, method: str, path: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession() as client, client.request(method, server + path, headers=headers) as r:
        return dict(await r.json())


async def until_sessions(server: str, wanted: int, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while (found := (await ask(server, "GET", "/v1/ready"))["sessions"]) != wanted:
        assert time.monotonic() < deadline, f"{found} sessions instead of {wanted}"
        await asyncio.sleep(0.1)


async def test_pipecats_client_hears_what_is_said_without_a_bot(
    speaker: Speaker, server: str, sentence: Clip
) -> None:
    token = (await ask(server, "POST", "/v1/tokens"))["token"]
    ready = await speaker.connect(token, configure={"language": "en"}, theirs="not looked at")
    assert ready["version"] == "2.2.0"
    assert ready["about"]["library"] == "rtc-stt"
    until = await speaker.until_final(sentence.text)

    # In order: start, interims of which each is the whole text, stop, one final.
    told = (await speaker.told())[: until + 1]
    begun = max(n for n, each in enumerate(told) if each["name"] == "onUserStartedSpeaking")
    mine = [each for each in told[begun:] if each["name"].startswith("onUser")]
    assert [each["name"] for each in mine].count("onUserStoppedSpeaking") == 1
    transcripts = [each["data"] for each in mine if each["name"] == "onUserTranscript"]
    assert [t["final"] for t in transcripts] == [False] * (len(transcripts) - 1) + [True]
    assert len({t["text"] for t in transcripts}) > 1, "it grew while it was spoken"
    assert all(len(t["timestamp"]) == len("2026-01-01T00:00:00.000+00:00") for t in transcripts)
    await speaker.until("onMetrics", "data.ttfb[0].value > 0.4 && data.processing", after=until)
    whole = (await speaker.told("onServerMessage"))[-1]
    assert (whole["type"], whole["text"]) == ("transcript.final", sentence.text)
    assert whole["language_probability"] == 1.0, "it was told in which language"

    # What is asked for is answered, what is not offered is refused.
    assert await speaker.act("ask('finalize')") == {"utterance_id": None}
    assert await speaker.act("ask('configure', {word_timestamps: true})") is None
    refused = await speaker.act("ask('weather', {in: 'Lyon'})")
    assert "weather" in refused["refused"]["data"]["error"]
    await speaker.act("client.sendText('hello')")
    await speaker.until("onMessageError", "data.data.error.includes('send-text')")

    # Muted while it is spoken, nothing more is heard; after that, all of it again.
    before = len(await speaker.told())
    begun = await speaker.until("onUserStartedSpeaking", "true", after=before)
    await speaker.act("client.enableMic(false)")
    muted = await speaker.until("onUserStoppedSpeaking", "true", after=begun, seconds=2)
    await asyncio.sleep(LEAD_S + GAP_S + sentence.seconds)
    assert not [e for e in (await speaker.told())[muted:] if e["name"] == "onUserStartedSpeaking"]
    await speaker.act("client.enableMic(true)")
    await speaker.until_final(sentence.text, after=muted)
    assert (await speaker.told("onServerMessage"))[-1]["words"], "as configured"

    await speaker.act("client.disconnect()")
    await until_sessions(server, 0)
    assert (await speaker.told("onTransportStateChanged"))[-1] == "disconnected"
    assert await speaker.told("onError") == []


async def test_pipecats_client_comes_back_by_itself_and_lets_go_of_a_session_that_has_ended(
    speaker: Speaker, server: str, sentence: Clip
) -> None:
    await speaker.connect(KEY, configure={"language": "en"})
    await until_sessions(server, 1)
    await asyncio.sleep(0.5)  # its candidates are out: those of both connections at once are refused
    # A new connection with a new channel, and no word of who is ready.
    before = len(await speaker.told())
    await speaker.act("comeBack()")
    await speaker.until_final(sentence.text, after=before)
    assert (await speaker.told("onServerMessage"))[-1]["language_probability"] == 1.0, "still in English"
    await until_sessions(server, 1)
    await speaker.act("client.disconnectBot()")
    await speaker.until("onBotDisconnected", "true")
    await speaker.until("onDisconnected", "true")
    await until_sessions(server, 0)
    assert await speaker.told("onError") == []


async def test_with_a_token_that_is_used_up_the_client_stops_instead_of_coming_back(
    speaker: Speaker, server: str
) -> None:
    await speaker.connect((await ask(server, "POST", "/v1/tokens"))["token"])
    await asyncio.sleep(0.5)
    await speaker.act("transport.attemptReconnection(true)")
    await speaker.until("onDisconnected", "true")
    await until_sessions(server, 0)
    assert all("401" in complaint for complaint in speaker.complaints)
    speaker.complaints.clear()


async def test_nonsense_over_the_channel_is_answered_within_bounds_and_harms_nobody(
    server: str, sentence: Clip
) -> None:
    async with (
        RtviChannel(server, KEY, {"configure": {"language": "en"}}) as hostile,
        RtviChannel(server, KEY) as honest,
    ):
        honest.speaker.speak(sentence.audio)
        hostile.say(b"\x00" * 1_000)
        hostile.say("{" * 10_000)
        hostile.say("x" * 20_000)
        hostile.say({"type": "client-message", "data": {"t": "configure", "d": {"x" * 9_000: 1}}})
        for number in range(300):
            hostile.say({"type": "send-text", "id": str(number), "data": {"content": "[" * 500}})
        final = await honest.until(lambda m: m["type"] == "user-transcription" and m["data"]["final"])
        assert final["data"]["text"] == sentence.text
        await asyncio.sleep(1.5)  # its rate is up
        hostile.say({"type": "client-ready", "id": "still there", "data": {"version": "2.1.0"}})
        await hostile.until(lambda m: m["type"] == "bot-ready" and m["id"] == "still there")
        kinds = [message["type"] for message in hostile.told]
        assert set(kinds) <= {"error", "error-response", "bot-ready"}
        assert 30 <= kinds.count("error-response") <= 120, "40 at once, then 20 a second"
        assert kinds.count("error") <= 10
        hostile.say({"type": "disconnect-bot"})
        assert (await hostile.until(lambda m: m["type"] == "signalling"))["message"] == {"type": "peerLeft"}
    await until_sessions(server, 0)
