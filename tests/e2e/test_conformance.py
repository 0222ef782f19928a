"""Every conversation over every way, on one server that asks for a key, all at once.

Beside other tests the voices stutter: a caller who is sent late says one sentence as two turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from loguru import logger

from rtc_stt.testing.conformance import (
    Conversation,
    Failed,
    Recording,
    Trait,
    Way,
    conversations,
    converse,
    hold_all,
)
from rtc_stt.testing.conformance.ways import WAYS
from rtc_stt.testing.conformance.ways.livekit import LiveKitWay
from rtc_stt.testing.conformance.ways.pipecat import PipecatWay
from tests.e2e import support
from tests.e2e.support import Clip

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

KEY = "a-key-that-no-text-may-hold"

AT_ONCE, LIVE_AT_ONCE = 16, 6
"""Conversations. Most of them are silent most of the time, and the machine carries so many speakers."""

LIVE_WER = 0.35
"""Over WebRTC a packet that a busy machine sends late counts as lost, and its words may be misheard."""

ROOMY = {
    "MAX_HALF_OPEN_PER_KEY": "64",
    "MAX_HALF_OPEN": "64",
    "RATE_LIMIT_RPS": "1000",
    "RATE_LIMIT_BURST": "1000",
    "MAX_SESSIONS": "64",
}
"""All clients have one key and one address."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its URL. At the end nothing alarming may be in its log, and nothing secret."""
    process = support.Process(
        tmp_path_factory.mktemp("conformance") / "server.log", "demo", "--port", "0", API_KEYS=KEY, **ROOMY
    )
    try:
        yield process.url()
        process.stop()
        assert KEY not in process.log
    finally:
        process.kill()


@pytest.fixture(autouse=True)
def quiet_pipecat() -> Iterator[None]:
    """It logs every frame's way, which costs more than the way."""
    logger.disable("")
    yield
    logger.enable("")


def ways(url: str, key: str) -> list[Way]:
    """All of them."""
    plain = [make(url, key) for make in WAYS.values()]
    return [*plain, LiveKitWay(url, key), PipecatWay(url, key), PipecatWay(url, key, server_turns=True)]


def talks(sentences: list[Clip]) -> list[Conversation]:
    """With the shortest sentences that the models understand."""
    short = sorted(sentences, key=lambda clip: clip.seconds)[:3]
    return conversations([Recording(clip.text, clip.audio) for clip in short])


async def test_every_way_holds_every_conversation(server: str, sentences: list[Clip]) -> None:
    everyone, said = ways(server, KEY), talks(sentences)
    live = [way for way in everyone if Trait.LIVE in way.traits]
    others = [way for way in everyone if Trait.LIVE not in way.traits]
    both = await asyncio.gather(
        hold_all(others, said, at_once=AT_ONCE),
        hold_all(live, said, at_once=LIVE_AT_ONCE, max_wer=LIVE_WER),
    )
    outcomes = [outcome for several in both for outcome in several]
    bad = [outcome.violation for outcome in outcomes if outcome.violation]
    assert not bad, "\n\n".join(bad)
    assert {outcome.way for outcome in outcomes} == {way.name for way in everyone}
    assert {outcome.conversation for outcome in outcomes} == {talk.name for talk in said}


async def test_no_way_tells_the_key_that_was_refused(server: str, sentences: list[Clip]) -> None:
    wrong = "a-wrong-key-that-no-text-may-hold"
    [talk] = [talk for talk in talks(sentences) if talk.name == "silence only"]
    records = await asyncio.gather(*[converse(way, talk, patience_s=10) for way in ways(server, wrong)])
    for record in records:
        assert any(isinstance(one, Failed) for one in record.told), record
        assert not record.finals
        assert wrong not in repr(record)
