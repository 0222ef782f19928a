"""Real peers against ``rtc-stt demo``: WebRTC in, transcripts out, in both dialects and several codecs."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCRtpSender

from rtc_stt.commands import Configure, Finalize, Ping, Stop
from rtc_stt.events import TranscriptFinal
from tests.e2e import support
from tests.e2e.support import Clip, Voice, assert_whole, give_voice
from tools.live_line.client import LiveClient

pytestmark = pytest.mark.e2e


async def speak(client: LiveClient, clip: Clip) -> TranscriptFinal:
    """Say a clip and wait for the next final."""
    count = len(client.events("transcript.final")) + 1
    await client.say(clip.audio)
    final = await client.wait_for("transcript.final", count=count)
    assert isinstance(final, TranscriptFinal)
    return final


async def stop(client: LiveClient) -> None:
    client.send(Stop())
    ended = await client.wait_for("session.ended")
    assert ended.reason == "stopped"
    assert_whole(client)


@pytest.mark.parametrize("dialect", ["whip", "offer"])
async def test_the_words_appear_while_they_are_spoken(demo: str, sentences: list[Clip], dialect: str) -> None:
    clip = sentences[0]
    async with LiveClient(demo, dialect) as client:
        begun = client.speaker.speak(np.concatenate([support.silence(0.3), clip.audio])) / 16
        final = await client.wait_for("transcript.final", timeout=15)
        order = [received.event.type for received in client.received]
        assert (
            order.index("transcript.partial")
            < order.index("speech.stopped")
            < order.index("transcript.final")
        )
        first_partial = next(r for r in client.received if r.event.type == "transcript.partial")
        assert first_partial.at < client.wall(begun + 300 + clip.seconds * 1000), "after the last word"
        assert final.text == clip.text
        assert final.language == "en"
        await stop(client)


async def test_every_codec_and_rate_gives_the_right_words_to_the_right_client(
    demo: str, sentences: list[Clip], digits: list[Clip]
) -> None:
    """All at a time, each with words of its own."""
    sources = {
        "44.1 kHz stereo by Opus": (44_100, 2, "audio/opus"),
        "48 kHz stereo by Opus": (48_000, 2, "audio/opus"),
        "8 kHz by PCMU": (8_000, 1, "audio/PCMU"),
        "8 kHz by PCMA": (8_000, 1, "audio/PCMA"),
        "16 kHz by G722": (16_000, 1, "audio/G722"),
        "a human voice, 48 kHz by Opus": (48_000, 1, "audio/opus"),
    }
    said = dict(zip(sources, [*sentences[1:6], digits[0]], strict=True))

    async def say(source: str) -> str:
        rate, channels, codec = sources[source]
        client = LiveClient(demo)
        audio = np.concatenate([support.silence(0.3), said[source].audio])
        give_voice(client, Voice(audio, rate=rate, channels=channels))
        preferred = [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == codec]
        client.connection.getTransceivers()[0].setCodecPreferences(preferred)
        async with client:
            assert codec.removeprefix("audio/").lower() in client.answer_sdp.lower()
            final = await client.wait_for("transcript.final", timeout=20)
            await stop(client)
        assert isinstance(final, TranscriptFinal)
        return final.text

    heard = dict(zip(sources, await asyncio.gather(*map(say, sources)), strict=True))
    assert heard == {source: clip.text for source, clip in said.items()}


async def test_finalize_in_the_middle_of_speech_is_answered_and_speech_goes_on(
    demo: str, sentences: list[Clip]
) -> None:
    async with LiveClient(demo) as client:
        client.speaker.speak(sentences[0].audio)
        await client.wait_for("transcript.partial", timeout=15)
        client.send(Finalize("now"))
        finalized = await client.wait_for("finalized")
        assert (finalized.id, finalized.utterance_id) == ("now", 1)
        order = [r.event.type for r in client.received]
        ends = {"transcript.final", "utterance.dropped"}
        assert ends & set(order[: order.index("finalized")]), "answered before the final"
        second = await client.wait_for("speech.started", count=2)
        await client.wait_until(
            lambda: [
                e for kind in ends for e in client.events(kind) if e.utterance_id == second.utterance_id
            ],
            10,
        )
        await stop(client)


async def test_commands_are_answered_and_wrong_ones_are_survived(demo: str) -> None:
    async with LiveClient(demo) as client:
        client.send(Ping("17"))
        assert (await client.wait_for("pong")).id == "17"
        client.send(Finalize("nothing to end"))
        assert (await client.wait_for("finalized")).utterance_id is None
        wrong = {
            '{"type": "dance"}': "unknown_type",
            '{"type": "ping", "id": "18", "loudly": true}': "unknown_field",
            '{"type": "ping"}': "bad_field",
            '{"type": "configure", "language": "tlh"}': "configure",
            '{"type": "configure", "mood": "good"}': "configure",
            "not JSON": "not_json",
        }
        for message in wrong:
            client.channel.send(message)
        await client.wait_for("warning", count=len(wrong))
        assert [warning.code for warning in client.events("warning")] == list(wrong.values())
        client.send(Ping("19"))
        await client.wait_until(lambda: [p for p in client.events("pong") if p.id == "19"], 5)
        await stop(client)


async def test_configure_changes_the_language_and_the_partials(demo: str, sentences: list[Clip]) -> None:
    clip = sentences[2]
    async with LiveClient(demo) as client:
        client.send(Configure({"language": "es", "partials": False}))
        first = await speak(client, clip)
        assert first.language == "es"
        assert first.language_probability == 1.0
        assert not client.events("transcript.partial")
        client.send(Configure({"language": None, "partials": None, "word_timestamps": True}))
        second = await speak(client, clip)
        assert (second.language, second.text) == ("en", clip.text)
        assert client.events("transcript.partial")
        assert [word.word.strip() for word in second.words] == clip.text.split()
        times = [ms for word in second.words for ms in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert not client.events("warning")
        await stop(client)


async def test_people_with_long_pauses_are_heard_to_the_end(demo: str, human_speech: Path) -> None:
    """The demo models do not know these words, but where speech begins and ends holds for any model."""

    async def follow(name: str) -> None:
        audio = support.load(human_speech / name)
        async with LiveClient(demo, "offer") as client:
            await client.say(audio)
            await stop(client)
        events = [received.event for received in client.received]
        ids = [e.utterance_id for e in events if e.type == "speech.started"]
        assert ids == list(range(1, len(ids) + 1))
        assert support.conclusions(events) == ids, "each concluded once, in the order of speech"
        spans = [
            (start.audio_start_ms, end.audio_end_ms)
            for start, end in zip(
                client.events("speech.started"), client.events("speech.stopped"), strict=True
            )
        ]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
        spoken_ms = sum(end - start for start, end in spans)
        assert spoken_ms > 0.5 * len(audio) / 16, f"only {spoken_ms} ms of speech were heard"

    await asyncio.gather(follow("jfk.flac"), follow("lj001-0004.flac"))
