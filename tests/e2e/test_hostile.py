"""Attacks on a server in a process of its own, while somebody honest speaks: they must not notice.

Offers and messages that are merely wrong are in test_bad_input.py; these are meant to harm. After them the
server holds what it held before. ``python -m tools.ingest hostile`` does the same on a larger scale.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from tests.e2e import support
from tests.e2e.support import Clip, silence
from tools.ingest import attacks, opus
from tools.ingest.bystander import Bystander
from tools.ingest.speaker import Refused, Speaker
from tools.ingest.watch import Holdings, metric

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

T = TypeVar("T")

HONEST = "key-of-the-honest-one-for-tests-only"
OTHER = "key-of-the-attacker-for-tests-only"
TOKEN_SECONDS = 5
LATE = 0.05
"""Whoever holds the loop for longer than this makes others wait."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[support.Process]:
    process = support.Process(
        tmp_path_factory.mktemp("hostile") / "server.log",
        "demo", "--port", "0", API_KEYS=f"{HONEST},{OTHER}", TOKEN_SECONDS=str(TOKEN_SECONDS),
        RESUME_SECONDS="1", RATE_LIMIT_RPS="500", RATE_LIMIT_BURST="1000",
    )  # fmt: skip
    try:
        process.url()
        yield process
        process.stop()
    finally:
        process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bystander(server: support.Process, sentences: list[Clip]) -> AsyncIterator[Bystander]:
    clip = sentences[2]
    packets = opus.encode(np.concatenate([silence(0.2), clip.audio]))
    async with Bystander(server.url(), clip.text, packets, key=HONEST) as honest:
        yield honest
        assert await honest.leave()


@pytest.fixture
def unnoticed(
    server: support.Process, bystander: Bystander
) -> Callable[[Coroutine[Any, Any, T]], Coroutine[Any, Any, T]]:
    """Runs an attack; gives its result, once the honest one was understood all the while and all is gone."""

    async def run(attack: Coroutine[Any, Any, T]) -> T:
        before = Holdings.of(server.process.pid, 0)
        calm = await bystander.during(attack)
        assert not calm.wrong, "the honest one was misunderstood"
        # Once or twice it may be the machine that was late; whoever blocks the loop does it again.
        assert calm.lag.over(LATE) <= 2, calm.lag.to_json()
        assert not calm.lag.over(2 * LATE), calm.lag.to_json()

        def gone() -> bool:
            now = Holdings.of(server.process.pid, 0)
            return now.descriptors <= before.descriptors and now.threads <= before.threads + 2

        assert await support.until(gone, 20), (before, Holdings.of(server.process.pid, 0))
        assert Holdings.of(server.process.pid, 0).rss_mib < before.rss_mib + 24
        server.assert_calm()
        return calm.result

    return run


async def refusals(url: str, name: str = "rtc_stt_rejected_total") -> float:
    return sum((await metric(url, name, HONEST)).values())


async def test_offers_that_block_reflect_or_never_end(server: support.Process, unnoticed: Any) -> None:
    url, good = server.url(), await attacks.offer()
    offers = attacks.hostile_offers(good)

    async def attack() -> dict[str, int]:
        async with aiohttp.ClientSession(url) as http:
            return {each.name: (await attacks.post(http, each.sdp, OTHER))[0] for each in offers}

    statuses = await unnoticed(attack())
    assert not {each.name: statuses[each.name] for each in offers if statuses[each.name] not in each.statuses}


async def test_three_hundred_fuzzed_offers(server: support.Process, unnoticed: Any) -> None:
    url, good, chance = server.url(), await attacks.offer(), random.Random(4)

    async def attack() -> set[int]:
        async with aiohttp.ClientSession(url) as http:
            return {(await attacks.post(http, attacks.mutated(good, chance), OTHER))[0] for _ in range(300)}

    assert await unnoticed(attack()) <= {201, 400, 422, 429}


async def test_three_hundred_half_open_offers(server: support.Process, unnoticed: Any) -> None:
    """Only a few of one key are taken; all others are told to come back later, and the rest times out."""
    url = server.url()
    before = await refusals(url)
    answers = await unnoticed(attacks.half_open(url, await attacks.offer(), 300, OTHER))
    assert answers[201] <= 40, answers
    assert set(answers) <= {201, 429, 503}
    assert answers.total() == 300
    assert await refusals(url) - before == answers.total() - answers[201]


async def test_requests_that_take_for_ever(server: support.Process, unnoticed: Any) -> None:
    url = server.url()

    async def attack() -> list[Any]:
        return await asyncio.gather(attacks.slow_bodies(url, 60, 8, OTHER), attacks.slow_headers(url, 60, 8))

    bodies, _ = await unnoticed(attack())
    assert set(bodies) == {"400"}, bodies


@pytest.mark.parametrize("kind", ["rtp", "stun", "dtls", "junk"])
async def test_floods_of_strangers(
    server: support.Process, bystander: Bystander, unnoticed: Any, kind: str
) -> None:
    """To the very port of the honest one."""
    to = attacks.media_address(bystander.speaker.connection.remoteDescription.sdp)
    went, back = await unnoticed(attacks.flood(to, kind, rate=2_000, seconds=2))
    assert went > 50_000
    assert back <= went, "the server amplifies"


async def test_abuse_of_data_channels(server: support.Process, unnoticed: Any) -> None:
    """Every kind, each in a session of its own."""
    url = server.url()
    before = await refusals(url, "rtc_stt_messages_refused_total")

    await unnoticed(attacks.abuse_channels(url, OTHER))
    assert await refusals(url, "rtc_stt_messages_refused_total") - before >= len(attacks.CHANNEL_ABUSE) - 2


async def test_tokens_that_are_wrong_old_or_used(server: support.Process, unnoticed: Any) -> None:
    good = await attacks.offer()
    answers = await unnoticed(attacks.misuse_tokens(server.url(), good, OTHER, TOKEN_SECONDS))
    assert answers.pop("first use") == 201
    assert set(answers.values()) == {401}, answers


async def test_resume_tokens_that_are_guessed(server: support.Process, unnoticed: Any) -> None:
    url = server.url()

    async def attack() -> set[int]:
        statuses = set[int]()
        for guess in ("x" * 32, "", "../../x", "w3-" + "y" * 30, "z" * 4_000):
            try:
                async with Speaker(url, token=OTHER, resume=(guess, 0)):
                    statuses.add(201)
            except Refused as refused:
                statuses.add(refused.status)
        return statuses

    assert await unnoticed(attack()) <= {400, 404}
