"""Conversations are held as they say, and whatever a way does wrong comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from rtc_stt.testing.conformance import (
    Conversation,
    Ended,
    Failed,
    Fault,
    Final,
    Flush,
    Flushed,
    Hear,
    Outcome,
    Play,
    Recording,
    Trait,
    Violation,
    WayFailed,
    check,
    conversations,
    converse,
    hold_all,
)
from rtc_stt.testing.conformance.told import Asked, Finished
from rtc_stt.testing.conformance.ways.base import opening

TENTH = np.full(1_600, 0.5, np.float32)


@dataclass
class Line:
    """Says what it is told to, when it is told to."""

    hear: Hear
    way: FakeWay
    pushed: list[bytes] = field(default_factory=list)
    is_closed: bool = False

    async def push(self, pcm: bytes) -> None:
        self.pushed.append(pcm)
        self.way.on_push(self)

    async def flush(self) -> None:
        self.hear(Flushed())

    async def finish(self) -> None:
        await asyncio.sleep(self.way.finish_s)
        self.hear(Final("hello"))
        self.hear(Ended())

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeWay:
    """A way in this process."""

    url: str = ""
    name: str = "fake"
    traits: frozenset[Trait] = frozenset({Trait.TURNS, Trait.FLUSH})
    secrets: tuple[str, ...] = ("key-of-mine",)
    on_push: Callable[[Line], None] = lambda line: None
    finish_s: float = 0.0
    refuses: Exception | None = None
    lines: list[Line] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def at(self, url: str) -> FakeWay:
        return replace(self, url=url)

    async def open(self, hear: Hear) -> Line:
        self.urls.append(self.url)
        if self.refuses:
            raise self.refuses
        self.lines.append(Line(hear, self))
        return self.lines[-1]


HELLO = Conversation("hello", (Play(TENTH), Flush(), Play(TENTH)), ("Hello!",), 1, chunks=(32, 1, 3))


async def test_audio_is_given_at_its_pace_in_the_chunks_that_are_asked_for() -> None:
    way = FakeWay()
    begun = asyncio.get_running_loop().time()
    record = await check(way, HELLO)
    assert 0.18 <= asyncio.get_running_loop().time() - begun < 2
    [line] = way.lines
    assert [len(chunk) for chunk in line.pushed[:6]] == [32, 1, 3, 32, 1, 3]
    assert b"".join(line.pushed) == np.full(3_200, 16_384, "<i2").tobytes()
    assert [type(entry.what) for entry in record.entries] == [Asked, Flushed, Final, Ended, Finished]
    assert line.is_closed


async def test_a_pace_is_the_callers_but_for_those_who_listen_live() -> None:
    loop = asyncio.get_running_loop()
    talk = Conversation("long", (Play(np.zeros(16_000, np.float32)),), ("hello",))
    begun = loop.time()
    await check(FakeWay(), talk, pace=20)
    assert loop.time() - begun < 0.8
    begun = loop.time()
    await check(FakeWay(traits=frozenset({Trait.LIVE})), talk, pace=20)
    assert loop.time() - begun >= 0.98


async def test_a_violation_tells_everything_but_secrets() -> None:
    way = FakeWay(on_push=lambda line: line.hear(Failed("bad key-of-mine")))
    with pytest.raises(Violation) as found:
        await check(way, replace(HELLO, said=("Good night!",)))
    text = str(found.value)
    assert "fake, hello" in text
    assert "said  'Good night!'" in text
    assert "a secret is in failed" in text
    assert "Final(text='hello'" in text
    assert "key-of-mine" not in text


async def test_who_never_ends_is_not_waited_for() -> None:
    way = FakeWay(finish_s=60)
    record = await converse(way, HELLO, patience_s=0.05)
    assert record.told[-1] == Failed("it takes too long")
    assert way.lines[0].is_closed


async def test_what_is_told_after_the_end_is_heard() -> None:
    def late(line: Line) -> None:
        asyncio.get_running_loop().call_later(0.25, line.hear, Final("late"))

    with pytest.raises(Violation, match="after the end"):
        await check(FakeWay(on_push=late), replace(HELLO, said=("hello late",), turns=None))


@pytest.mark.parametrize("error", [WayFailed("no connection: status 401"), RuntimeError("a mistake")])
async def test_who_cannot_be_reached_has_failed(error: Exception) -> None:
    record = await converse(FakeWay(refuses=error), HELLO)
    [told] = record.told
    assert isinstance(told, Failed)
    assert str(error) in told.reason


async def test_a_network_that_fails_stands_between() -> None:
    served: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append((await reader.read()).decode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    class Dials(FakeWay):
        def at(self, url: str) -> FakeWay:
            return Dials(url=url, lines=self.lines, on_push=self.on_push, urls=self.urls)

        async def open(self, hear: Hear) -> Line:
            _, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
            writers.append(writer)
            writer.write(b"hello")
            await writer.drain()
            return await super().open(hear)

    way = Dials(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    steps = (Play(TENTH), Fault.STALL, Fault.RESUME, Fault.REFUSE, Fault.ACCEPT, Fault.DEAFEN, Fault.DROP)
    await converse(way, Conversation("broken", (*steps, Play(TENTH)), ("hello",)))
    assert served == ["hello"]
    assert way.urls[0] != way.url
    server.close()
    for writer in writers:
        writer.transport.abort()


async def test_nothing_is_held_that_a_way_cannot_hold() -> None:
    needy = Conversation("needy", (), needs=frozenset({Trait.SURVIVES_LOSS}))
    spared = Conversation("spared", (), spares=frozenset({Trait.FLUSH}))
    for talk in (needy, spared):
        assert not talk.suits(FakeWay().traits)
        with pytest.raises(ValueError, match="cannot hold"):
            await check(FakeWay(), talk)
    assert await hold_all([FakeWay()], [needy, spared]) == []


async def test_everybody_holds_everything_and_only_so_many_at_once() -> None:
    open_, most = 0, 0

    class Counts(FakeWay):
        async def open(self, hear: Hear) -> Line:
            nonlocal open_, most
            open_ += 1
            most = max(most, open_)
            return await super().open(hear)

    def gone(outcome: Outcome) -> None:
        nonlocal open_
        open_ -= 1

    talks = [replace(HELLO, name=str(i)) for i in range(3)] + [replace(HELLO, name="bad", said=("no",))]
    found = await hold_all([Counts(), Counts(name="other")], talks, at_once=3, on_outcome=gone)
    assert [(one.way, one.conversation) for one in found] == [
        (way, talk) for way in ("fake", "other") for talk in ("0", "1", "2", "bad")
    ]
    assert [one.conversation for one in found if one.violation] == ["bad", "bad"]
    assert most == 3


def test_there_are_conversations_for_everything_that_is_promised() -> None:
    recordings = [Recording(text, np.zeros(16_000, np.float32)) for text in ("a", "b", "c")]
    talks = conversations(recordings)
    assert len({talk.name for talk in talks}) == len(talks)
    assert {trait for talk in talks for trait in talk.needs} == {
        Trait.FLUSH, Trait.FLUSHES, Trait.SURVIVES_LOSS
    }  # fmt: skip
    faults = {step for talk in talks for step in talk.steps if isinstance(step, Fault)}
    assert faults == set(Fault)
    assert all(talk.breaks == (Trait.SURVIVES_LOSS in talk.needs) for talk in talks)
    with pytest.raises(ValueError, match="three"):
        conversations(recordings[:2])


async def test_a_line_that_does_not_come_to_be_is_closed() -> None:
    line = Line(lambda told: None, FakeWay())
    with pytest.raises(WayFailed):
        async with opening(line):
            raise WayFailed("no")
    assert line.is_closed
