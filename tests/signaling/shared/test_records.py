"""Records on a real Redis: who writes, who finds, and that of two who claim a session one gets it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rtc_stt.events import Pong, SpeechStarted
from rtc_stt.handover import Sheet
from signaling.shared.link import Link
from signaling.shared.nodes import Nodes
from signaling.shared.record import digest, hand_over
from signaling.shared.records import Records
from signaling.shared.settings import Sharing
from tests.e2e.support import until
from tools.shared.redis_server import RedisServer, running

pytestmark = pytest.mark.slow

TOKEN = "a.one~secret"


@dataclass
class Gateway:
    link: Link
    nodes: Nodes
    records: Records
    lost: list[str] = field(default_factory=list)

    def begin(self, token: str = TOKEN) -> str:
        session_id = token.partition("~")[0]
        self.records.began(session_id, digest(token), "websocket")
        return session_id

    async def written(self, session_id: str, seq: int) -> bool:
        found = await self.records.find(session_id)
        return found is not None and found.record.sheet.seq >= seq


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path) as server:
        yield server


Make = Callable[[str], "asyncio.Future[Gateway]"]


@pytest.fixture
async def make(redis: RedisServer) -> AsyncIterator[Callable[[str], Gateway]]:
    made: list[Gateway] = []

    def gateway(name: str) -> Gateway:
        sharing = Sharing(redis_url=redis.url, node_name=name, redis_timeout_ms=1000)
        link = Link(sharing)
        nodes, lost = Nodes(link, sharing, 8080), list[str]()
        records = Records(
            link,
            nodes,
            resume_seconds=60,
            keeps_events=True,
            owner=lambda _: ("key", "ab"),
            on_lost=lost.append,
        )
        made.append(Gateway(link, nodes, records, lost))
        return made[-1]

    yield gateway
    for one in made:
        await one.records.aclose()
        await one.nodes.aclose()
        await one.link.aclose()


async def eventually(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not await what():  # type: ignore[misc]
            await asyncio.sleep(0.02)


async def test_what_one_writes_another_finds(make: Callable[[str], Gateway]) -> None:
    a, b = make("a"), make("b")
    await a.link.start()
    await b.link.start()
    session_id = a.begin()
    for seq in range(1, 6):
        a.records.told(session_id, Pong(at_ms=100 * seq, seq=seq, id=""))
    a.records.told(session_id, SpeechStarted(at_ms=900, seq=6, utterance_id=2, audio_start_ms=800))
    a.records.acknowledged(session_id, 4)
    a.records.sheets({session_id: Sheet(seq=6, position=16_000, utterances=2, options={"language": "en"})})
    await eventually(lambda: b.written(session_id, 6))
    found = await b.records.find(session_id)
    assert found
    assert (found.record.node, found.record.key_id, found.record.nonce) == ("a", "key", "ab")
    assert found.record.sheet.options == {"language": "en"}
    assert [event.seq for event in found.events] == [5, 6]
    assert found.age_ms < 2_000
    assert [record.session_id for record in (await b.records.page(0, 10))[0]] == [session_id]
    a.records.watch(session_id, "ended")
    await asyncio.sleep(0.3)
    assert await b.records.find(session_id) is None


async def test_of_those_who_claim_at_once_one_gets_it(make: Callable[[str], Gateway]) -> None:
    a, *others = (make(name) for name in ("a", "b", "c", "d"))
    for one in (a, *others):
        await one.link.start()
    for round_ in range(20):
        session_id = a.begin(f"a.r{round_}~secret")
        a.records.told(session_id, Pong(at_ms=1, seq=1, id=""))
        await eventually(lambda name=session_id: a.written(name, 1))  # type: ignore[misc]
        found = await a.records.find(session_id)
        assert found
        won = await asyncio.gather(*(one.records.claim(found.record) for one in others))
        assert sorted(won) == [False, False, True]
        after = await a.records.find(session_id)
        assert after
        assert after.record.node == "bcd"[won.index(True)]


async def test_who_has_lost_a_session_ends_it_and_writes_no_more(make: Callable[[str], Gateway]) -> None:
    a, b = make("a"), make("b")
    await a.link.start()
    await b.link.start()
    session_id = a.begin()
    a.records.told(session_id, Pong(at_ms=1, seq=1, id=""))
    await eventually(lambda: b.written(session_id, 1))
    found = await b.records.find(session_id)
    assert found
    assert await b.records.claim(found.record)
    b.records.adopt(found.record, hand_over(found.record, found.events, 1, 0, None))
    a.records.told(session_id, Pong(at_ms=2, seq=2, id=""))
    assert await until(lambda: a.lost, 5) == [session_id]
    assert session_id not in a.records
    a.records.watch(session_id, "ended")  # its end here is not its end
    b.records.began(session_id, digest(TOKEN), "websocket")
    await asyncio.sleep(0.2)
    after = await a.records.find(session_id)
    assert after
    assert (after.record.node, after.record.sheet.seq) == ("b", 1)


async def test_redis_comes_back_empty_and_is_told_anew(
    make: Callable[[str], Gateway], redis: RedisServer
) -> None:
    a = make("a")
    await a.link.start()
    session_id = a.begin()
    for seq in (1, 2, 3):
        a.records.told(session_id, Pong(at_ms=1, seq=seq, id=""))
    await eventually(lambda: a.written(session_id, 3))
    redis.kill()
    a.records.told(session_id, Pong(at_ms=1, seq=4, id=""))
    a.records.acknowledged(session_id, 1)
    await until(lambda: a.link.is_away, 5)
    redis.start()
    await until(lambda: not a.link.is_away, 10)
    await eventually(lambda: a.written(session_id, 4))
    found = await a.records.find(session_id)
    assert found
    assert [event.seq for event in found.events] == [2, 3, 4]


async def test_what_stands_there_and_is_no_record_is_nothing(make: Callable[[str], Gateway]) -> None:
    a = make("a")
    await a.link.start()
    await a.link.ask("test", lambda r: r.hset(a.link.key("s", "a.bad"), "body", "[]"))
    assert await a.records.find("a.bad") is None
    assert (await a.records.page(0, 10))[0] == []
