"""SIGTERM while many speak: nobody loses what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from rtc_stt.events import SessionEnded
from tests.e2e import support
from tests.e2e.support import Clip, silence
from tools.ingest import opus
from tools.ingest.speaker import Speaker

pytestmark = pytest.mark.e2e

SESSIONS = 20


async def test_twenty_sessions_in_mid_utterance_lose_no_final(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server(
        "demo", "--port", "0",
        MAX_HALF_OPEN_PER_KEY="32", RATE_LIMIT_RPS="50", RATE_LIMIT_BURST="50", DRAIN_SECONDS="15",
    )  # fmt: skip
    url = server.url()
    said = [sentences[n % len(sentences)] for n in range(SESSIONS)]
    # The last word is cut off, and no pause follows: the drain's patience has to come to its end. Not the
    # same sentence again and again: a model that says so is not believed.
    voices = [
        opus.encode(
            np.concatenate(
                [silence(0.2), clip.audio[: -len(clip.audio) // 4]]
                + [sentences[(n + more) % len(sentences)].audio for more in range(1, 6)]
            )
        )
        for n, clip in enumerate(said)
    ]
    speakers = [Speaker(url) for _ in said]
    try:
        for speaker in speakers:
            await speaker.connect()
        for speaker, packets in zip(speakers, voices, strict=True):
            speaker.say(packets)
        await asyncio.gather(*(s.ear.wait_for("transcript.partial", timeout=20) for s in speakers))
        server.terminate()
        ends = await asyncio.gather(*(s.ear.wait_for("session.ended", timeout=20) for s in speakers))
    finally:
        for speaker in speakers:
            await speaker.close(politely=False)
    assert await asyncio.to_thread(server.wait) == 0
    server.assert_calm()
    for speaker, clip, ended in zip(speakers, said, ends, strict=True):
        assert isinstance(ended, SessionEnded)
        assert ended.reason == "drained"
        assert speaker.ear.is_whole, [heard.event.seq for heard in speaker.ear.heard]
        events = [heard.event for heard in speaker.ear.heard]
        started = [event.utterance_id for event in events if event.type == "speech.started"]
        assert started
        assert support.conclusions(events) == started, "an utterance has no final"
        first = speaker.ear.finals[0].text.split()
        assert first[:1] == clip.text.split()[:1], "the final is not of what was said"
        assert "draining" in [warning.code for warning in speaker.ear.events("warning")]
