"""OpenAI's own SDK, LiveKit's and Pipecat's services for it, a real browser, against ``rtc-stt demo``."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from openai import AsyncOpenAI
from playwright.async_api import async_playwright

from rtc_stt.bench.words import normalise
from tests.e2e import browser, support
from tests.e2e.support import Clip, Voice, silence
from tools.ports import free_port

pytestmark = pytest.mark.e2e

KEY = "a-key-of-sixteen-chars"
RATE = 24_000
PACE = 2.0
"""How much faster than it is spoken audio is sent: slower than the server reads."""

PIECE = RATE // 20

TRANSCRIPTION = {"model": "gpt-4o-transcribe", "language": "en"}


@pytest.fixture(scope="module")
def page_port() -> int:
    """Of a page of ours, whose origin the server lets in."""
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[str]:
    """The URL of a server that asks for a key."""
    started = support.Process(
        tmp_path_factory.mktemp("openai") / "server.log",
        *("demo", "--port", "0"),
        API_KEYS=KEY,
        ALLOWED_ORIGINS=f"http://localhost:{page_port}",
    )
    try:
        yield started.url()
        started.stop()
        assert KEY not in started.log
    finally:
        started.kill()


@pytest.fixture
async def client(server: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def recording(sentences: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences with a pause between."""
    parts = (part for clip in sentences[:2] for part in (clip.audio, silence(1.4)))
    return support.write_wav(
        tmp_path_factory.mktemp("recording") / "two.wav", np.concatenate([silence(0.3), *parts]), 16_000
    )


def said(*clips: Clip) -> list[str]:
    return normalise(" ".join(clip.text for clip in clips))


def spoken(clip: Clip, tail_s: float = 0.9) -> bytes:
    """s16le at 24 kHz."""
    audio = support.resample(np.concatenate([silence(0.4), clip.audio, silence(tail_s)]), RATE)
    return np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()


async def pieces(pcm: bytes) -> AsyncIterator[bytes]:
    """50 ms each, at their pace."""
    for start in range(0, len(pcm), 2 * PIECE):
        yield pcm[start : start + 2 * PIECE]
        await asyncio.sleep(PIECE / RATE / PACE)


# ── Recordings ──


@pytest.mark.parametrize("form", ["json", "verbose_json", "text", "srt", "vtt"])
async def test_the_sdk_gets_a_recording_in_every_form(client, recording, sentences, form):
    answer = await client.audio.transcriptions.create(
        file=recording, model="whisper-1", response_format=form, language="en"
    )
    if form in ("srt", "vtt"):
        assert answer.count("-->") == 2
        assert sentences[1].text in answer
        return
    text = answer if form == "text" else answer.text
    assert normalise(text) == said(*sentences[:2])
    if form == "verbose_json":
        assert answer.language == "english"
        assert [segment.text for segment in answer.segments] == [clip.text for clip in sentences[:2]]
        assert answer.segments[0].end < answer.segments[1].start < answer.duration
        assert answer.usage.seconds == answer.duration


async def test_the_sdk_gets_words_and_their_log_probabilities(client, recording, sentences):
    create = client.audio.transcriptions.create
    answer = await create(
        file=recording,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        keywords=["table", "kitchen"],
    )
    assert normalise(" ".join(word.word for word in answer.words)) == said(*sentences[:2])
    assert all(word.start <= word.end for word in answer.words)
    answer = await create(file=recording, model="gpt-4o-transcribe", include=["logprobs"])
    assert len(answer.logprobs) == len(answer.text.split())
    assert all(one.logprob <= 0 for one in answer.logprobs)


async def test_the_sdk_gets_a_recording_as_a_stream(client, recording, sentences):
    stream = await client.audio.transcriptions.create(file=recording, model="gpt-4o-transcribe", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert normalise(events[-1].text) == said(*sentences[:2])


async def test_the_sdk_lists_the_models(client, server):
    models = [model async for model in await client.models.list()]
    assert [model.object for model in models] == ["model", "model"]
    assert len({model.id for model in models}) == 2
    assert {model.owned_by for model in models} == {"rtc-stt"}
    assert await client.models.retrieve(models[0].id) == models[0]
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.models.retrieve("gpt-4o-transcribe")
    assert unknown.value.code == "not_found"
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="nobodys-key", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()


async def test_the_sdk_understands_what_is_refused(client, server, recording):
    create = client.audio.transcriptions.create
    with pytest.raises(openai.BadRequestError, match="temperature") as refused:
        await create(file=recording, model="whisper-1", temperature=0.7)
    assert refused.value.code == "bad_request"
    with pytest.raises(openai.BadRequestError, match="response_format is json or"):
        await create(file=recording, model="whisper-1", response_format="diarized_json")
    with pytest.raises(openai.BadRequestError) as refused:
        await create(file=("a.wav", b"no audio at all"), model="whisper-1")
    assert refused.value.code == "bad_audio"
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="nobodys-key", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as unknown:
            await stranger.audio.transcriptions.create(file=recording, model="whisper-1")
    assert "nobodys-key" not in str(unknown.value)


# ── Realtime over a WebSocket ──


async def test_the_sdk_holds_a_session_whose_turns_the_server_finds(client, sentences):
    clip = sentences[0]
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as live:
        assert (await live.recv()).type == "session.created"
        heard = {"transcription": TRANSCRIPTION, "turn_detection": {"type": "server_vad", "threshold": 0.5}}
        await live.session.update(session={"type": "transcription", "audio": {"input": heard}})
        assert (await live.recv()).type == "session.updated"
        async for piece in pieces(spoken(clip)):
            await live.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        events = await until_completed(live)
    kinds = [event.type.removeprefix("input_audio_buffer.") for event in events]
    assert kinds[0] == "speech_started"
    assert [kind for kind in kinds if not kind.endswith("delta")] == [
        "speech_started", "speech_stopped", "committed", "conversation.item.added", "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
    ]  # fmt: skip
    assert normalise(events[-1].transcript) == said(clip)
    deltas = "".join(event.delta for event in events if event.type.endswith("delta"))
    assert normalise(deltas) == said(clip)
    assert kinds.index("speech_stopped") > kinds.index("conversation.item.input_audio_transcription.delta")


async def test_the_sdk_commits_what_belongs_together(client, sentences):
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as live:
        heard = {"transcription": TRANSCRIPTION, "turn_detection": None}
        await live.session.update(
            session={"type": "transcription", "audio": {"input": heard}},
            event_id="mine",
        )
        for clip in sentences[:2]:
            async for piece in pieces(spoken(clip)):
                await live.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        await live.input_audio_buffer.commit()
        events = await until_completed(live)
        assert not [event for event in events if "speech_st" in event.type]
        assert normalise(events[-1].transcript) == said(*sentences[:2])
        await live.input_audio_buffer.commit(event_id="too-soon")
        error = await live.recv()
        assert (error.error.code, error.error.event_id) == ("input_audio_buffer_commit_empty", "too-soon")
        await live.response.create(event_id="speak")
        error = await live.recv()
        assert (error.error.code, error.error.event_id) == ("unknown_event", "speak")


async def until_completed(live: Any) -> list[Any]:
    events = []
    async with asyncio.timeout(15):
        async for event in live:
            events.append(event)
            if event.type.endswith("transcription.completed"):
                return events
    raise AssertionError("the connection ended")


# ── The services of others ──


def frames(clip: Clip) -> Iterator[Any]:
    """As LiveKit has them: 10 ms of 24 kHz."""
    from livekit import rtc

    pcm, size = spoken(clip), RATE // 100
    for start in range(0, len(pcm) - 2 * size, 2 * size):
        yield rtc.AudioFrame(pcm[start : start + 2 * size], RATE, 1, size)


async def test_livekits_plugin_hears_a_buffer_and_a_stream(server: str, sentences: list[Clip]) -> None:
    from livekit.agents import stt as agents
    from livekit.agents import utils
    from livekit.plugins import openai as plugin

    clip = sentences[0]
    async with utils.http_context.open():
        whole = plugin.STT(base_url=f"{server}/v1", api_key=KEY, model="whisper-1")
        event = await whole.recognize(buffer=list(frames(clip)))
        assert normalise(event.alternatives[0].text) == said(clip)
        assert event.alternatives[0].language == "en"
        await whole.aclose()
        await whole._client.close()  # the plugin leaves it to the collector

        live = plugin.STT(
            base_url=f"{server}/v1", api_key=KEY, use_realtime=True, noise_reduction_type="near_field"
        )
        stream = live.stream()

        async def feed() -> None:
            for frame in frames(clip):
                stream.push_frame(frame)
                await asyncio.sleep(0.01 / PACE)

        feeding = asyncio.create_task(feed())
        heard: list[Any] = []
        async with asyncio.timeout(20):
            async for event in stream:
                heard.append(event)
                if event.type is agents.SpeechEventType.RECOGNITION_USAGE:
                    break
        await feeding
        await stream.aclose()
        await live.aclose()
        await live._client.close()
    kinds = [event.type.value for event in heard if event.type.value != "interim_transcript"]
    assert kinds == ["start_of_speech", "end_of_speech", "final_transcript", "recognition_usage"]
    assert len(heard) > len(kinds), "interims"
    assert normalise(heard[-2].alternatives[0].text) == said(clip)


# ── WebRTC ──


async def test_a_call_begun_with_a_client_secret(
    client: AsyncOpenAI, server: str, sentences: list[Clip]
) -> None:
    clip = sentences[0]
    heard = {
        "transcription": TRANSCRIPTION,
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
    }
    secret = await client.realtime.client_secrets.create(
        session={"type": "transcription", "audio": {"input": heard}}
    )
    peer, messages = RTCPeerConnection(), asyncio.Queue[str]()
    peer.createDataChannel("oai-events").on("message", messages.put_nowait)
    peer.addTrack(Voice(np.concatenate([silence(0.5), clip.audio, silence(1.5)])))
    try:
        await peer.setLocalDescription(await peer.createOffer())
        async with AsyncOpenAI(base_url=f"{server}/v1", api_key=secret.value, max_retries=0) as page:
            answer = await page.realtime.calls.create(sdp=peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            told = [json.loads(await asyncio.wait_for(messages.get(), 10))]
            while not told[-1]["type"].endswith("transcription.completed"):
                told.append(json.loads(await asyncio.wait_for(messages.get(), 10)))
            with pytest.raises(openai.AuthenticationError):
                await page.realtime.calls.create(sdp=peer.localDescription.sdp)
        assert told[0]["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 400
        assert normalise(told[-1]["transcript"]) == said(clip)
        call = answer.response.headers["location"].rpartition("/")[2]
        await client.realtime.calls.hangup(call)
    finally:
        await peer.close()


PAGE = """<!doctype html><title>call</title><script type="module">
const server = new URLSearchParams(location.search).get("server");
const secret = new URLSearchParams(location.search).get("secret");
window.told = [];
const peer = new RTCPeerConnection();
const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
peer.addTrack(microphone.getTracks()[0]);
const channel = peer.createDataChannel("oai-events");
channel.addEventListener("message", (event) => window.told.push(JSON.parse(event.data)));
await peer.setLocalDescription(await peer.createOffer());
const answer = await fetch(`${server}/v1/realtime/calls`, {
  method: "POST", body: peer.localDescription.sdp,
  headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/sdp" },
});
await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
</script>"""


@contextlib.asynccontextmanager
async def page_at(port: int) -> AsyncIterator[str]:
    """A page of another origin than the server."""

    async def get(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", get)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    try:
        yield f"http://localhost:{port}/"
    finally:
        await runner.cleanup()


async def test_a_page_of_another_origin_calls_from_a_real_browser(
    client: AsyncOpenAI, server: str, sentences: list[Clip], chromium: str, page_port: int, tmp_path: Path
) -> None:
    clip = sentences[0]
    voice = support.write_wav(tmp_path / "voice.wav", np.concatenate([silence(2), clip.audio, silence(1.2)]))
    secret = await client.realtime.client_secrets.create(
        session={"type": "transcription", "audio": {"input": {"transcription": TRANSCRIPTION}}}
    )
    microphone = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    async with page_at(page_port) as url, async_playwright() as playwright:
        chrome = await playwright.chromium.launch(
            executable_path=chromium,
            args=[*browser.FLAGS, "--no-sandbox", *microphone, f"--use-file-for-fake-audio-capture={voice}"],
        )
        page = await chrome.new_page()
        await page.goto(f"{url}?server={server}&secret={secret.value}")
        done = "window.told.filter(told => told.type.endsWith('transcription.completed'))"
        heard: list[list[str]] = []
        async with asyncio.timeout(25):  # the first one may have begun before the call stood
            while said(clip) not in heard:
                await page.wait_for_function(f"count => {done}.length > count", arg=len(heard))
                heard = [
                    normalise(text) for text in await page.evaluate(f"{done}.map(told => told.transcript)")
                ]
        await chrome.close()
