"""Bad networks between a client and ``rtc-stt demo``: what was said is understood, or said to be missing."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest

from rtc_stt.bench.link import Conditions
from rtc_stt.commands import Stop
from rtc_stt.events import SessionEnded
from tests.e2e import support
from tests.e2e.support import Clip, silence
from tools.ingest import opus
from tools.ingest.relay import Relay
from tools.ingest.speaker import Speaker

pytestmark = pytest.mark.e2e

NETWORKS = {
    "a perfect line": Conditions(),
    "every tenth packet lost": Conditions(pattern="....x....."),
    "two in a row lost now and then": Conditions(pattern="x" + "." * 47 + "x" + "." * 50),
    "300 ms away, with 40 ms of jitter": Conditions(delay_s=0.3, jitter_s=0.04),
    "every fifth packet out of order": Conditions(reorder=0.2, reorder_s=0.03),
    "every third packet twice": Conditions(duplicate=0.33),
}


async def say(speaker: Speaker, clip: Clip, *, timeout: float = 15) -> str:
    """Say a clip and a little silence; what was understood."""
    count = len(speaker.ear.finals) + 1
    speaker.say(opus.encode(np.concatenate([silence(0.3), clip.audio])))
    await speaker.said()
    await speaker.ear.wait_for("transcript.final", count=count, timeout=timeout)
    return speaker.ear.finals[count - 1].text


async def stop(speaker: Speaker) -> SessionEnded:
    """End the session; no event may be missing."""
    speaker.send(Stop())
    ended = await speaker.ear.wait_for("session.ended")
    assert isinstance(ended, SessionEnded)
    assert speaker.ear.is_whole, [heard.event.seq for heard in speaker.ear.heard]
    return ended


async def test_what_a_codec_can_mend_is_not_noticed(demo: str, sentences: list[Clip]) -> None:
    """All networks side by side, each with words of its own."""

    async def talk(clip: Clip, conditions: Conditions) -> tuple[str, SessionEnded]:
        async with Relay(up=conditions, down=conditions) as relay, contextlib.AsyncExitStack() as open_now:
            async with turns:
                speaker = await open_now.enter_async_context(Speaker(demo, relay=relay))
            text = await say(speaker, clip)
            return text, await stop(speaker)

    turns = asyncio.Semaphore(3)  # so many from one address may be about to connect
    talks = [talk(clip, bad) for clip, bad in zip(sentences, NETWORKS.values(), strict=True)]
    results = dict(zip(NETWORKS, await asyncio.gather(*talks), strict=True))
    assert {name: text for name, (text, _) in results.items()} == dict(
        zip(NETWORKS, (clip.text for clip in sentences), strict=True)
    )
    stats = {name: ended.stats for name, (_, ended) in results.items()}
    assert stats["a perfect line"]["rtp_packets_lost"] == 0
    tenth = stats["every tenth packet lost"]
    assert tenth["rtp_packets_lost"] > 10
    assert tenth["rtp_packets_recovered"] > 0.5 * tenth["rtp_packets_lost"], "error correction is of no use"
    assert stats["two in a row lost now and then"]["concealed_ms"] > 0
    assert stats["every fifth packet out of order"]["rtp_packets_lost"] == 0
    assert stats["every third packet twice"]["rtp_packets_lost"] == 0
    assert all(figures["lost_ms"] == 0 for figures in stats.values()), stats


async def test_heavy_loss_is_said_to_be_so(demo: str, sentences: list[Clip]) -> None:
    """Three in ten: words may be wrong, but no time is missing and the final says that it had holes."""
    bad = Conditions(loss=0.3, seed=3)
    async with Relay(up=bad) as relay, Speaker(demo, relay=relay) as speaker:
        await say(speaker, sentences[0])
        ended = await stop(speaker)
    final = speaker.ear.finals[0]
    assert final.concealed_ms + final.lost_ms > 100
    warnings = [warning.code for warning in speaker.ear.events("warning")]
    assert "audio_gap" in warnings
    assert ended.stats["audio_ms"] >= 0.97 * speaker.sent * opus.FRAME_MS


async def test_a_nat_that_rebinds_in_mid_sentence(demo: str, sentences: list[Clip]) -> None:
    async with Relay() as relay, Speaker(demo, relay=relay) as speaker:
        first, second = sentences[0], sentences[1]
        speaker.say(opus.encode(np.concatenate([silence(0.3), first.audio])))
        await speaker.ear.wait_for("speech.started")
        await relay.rebind()
        await speaker.ear.wait_for("transcript.final", timeout=15)
        assert speaker.ear.text == first.text
        assert await say(speaker, second) == second.text
        ended = await stop(speaker)
    assert relay.rebinds == 1
    assert ended.stats["lost_ms"] == 0


async def test_a_line_that_is_dead_for_three_seconds_heals(demo: str, sentences: list[Clip]) -> None:
    """In mid-sentence: what was said is cut there, the hole is told, and media time goes on by the clock."""
    async with Relay() as relay, Speaker(demo, relay=relay) as speaker:
        cut, whole = sentences[2], sentences[3]
        speaker.say(opus.encode(np.concatenate([silence(0.3), cut.audio])))
        await speaker.ear.wait_for("speech.started")
        await asyncio.sleep(0.5)
        relay.black_hole(True)
        await asyncio.sleep(3)
        relay.black_hole(False)
        await asyncio.sleep(1)  # what was open is concluded
        assert await say(speaker, whole) == whole.text
        ended = await stop(speaker)
    assert ended.stats["lost_ms"] >= 2_500, "the hole is not in the figures"
    assert abs(ended.stats["audio_ms"] - speaker.sent * opus.FRAME_MS) < 200, "media time has drifted"
    started = [event.utterance_id for event in speaker.ear.events("speech.started")]
    assert support.conclusions([heard.event for heard in speaker.ear.heard]) == started


async def test_a_client_that_comes_back_by_another_way_has_missed_nothing(
    demo: str, sentences: list[Clip]
) -> None:
    """The line dies for good in the middle of an utterance; the client resumes over a new one."""
    first, second = sentences[4], sentences[5]
    async with Relay() as relay, Speaker(demo, relay=relay) as before:
        ear = before.ear
        speech = opus.encode(np.concatenate([silence(0.3), first.audio]))
        before.say(speech)
        await before.said()
        relay.black_hole(True)  # the whole sentence has come; its final is not yet told
        told = len(ear.finals)
        await asyncio.sleep(2)
        assert len(ear.finals) == told == 0
        token = ear.started.resume_token
        async with Speaker(demo, ear=ear, resume=(token, ear.last_seq)) as after:
            resumed = await ear.wait_for("session.resumed")
            assert resumed.session_id == ear.started.session_id
            assert resumed.gap_ms > 1_500
            assert [final.text for final in ear.finals] == [first.text], "the final of the dead time is lost"
            assert await say(after, second) == second.text
            await stop(after)
        await before.close(politely=False)
