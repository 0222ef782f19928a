"""A link over a real socket: large messages, one end for both sides, and a reader that does not read."""

from __future__ import annotations

import asyncio
import socket
import time

import numpy as np
import pytest

from signaling.workers import link as module
from signaling.workers.frames import Frame
from signaling.workers.link import Link, open_link


class Side:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.lost: list[str] = []

    async def open(self, sock: socket.socket) -> Link:
        return await open_link(sock, self.frames.append, self.lost.append)


async def pair() -> tuple[Link, Side, Link, Side]:
    ours, theirs = socket.socketpair()
    a, b = Side(), Side()
    return await a.open(ours), a, await b.open(theirs), b


async def wait_for(ready) -> None:
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.001)


async def test_messages_keep_their_order_whatever_their_size() -> None:
    link, _, other, side = await pair()
    sizes = [0, 10, 500_000, 3, 5_000, 1_000_000]
    bodies = [np.full(size, number, np.float32) for number, size in enumerate(sizes)]
    for number, body in enumerate(bodies):
        link.send({"type": "audio", "number": number}, body)
    await wait_for(lambda: len(side.frames) == len(sizes))
    assert [frame.header["number"] for frame in side.frames] == list(range(len(sizes)))
    for frame, body in zip(side.frames, bodies, strict=True):
        assert bytes(frame.body) == body.tobytes()
    link.close("enough")
    other.close("enough")


@pytest.mark.alone
@pytest.mark.usefixtures("no_garbage_collection")
async def test_the_loop_is_not_held_up_by_a_large_message() -> None:
    """Thirty seconds of audio; the longest that a model is asked to decode."""
    link, _, other, side = await pair()
    link.send({"type": "audio"}, np.zeros(480_000, np.float32))  # memory and code are warm
    await wait_for(lambda: len(side.frames) == 1)
    rounds = [await longest_turn(link, side) for _ in range(3)]
    link.close("enough")
    other.close("enough")
    assert min(rounds) < 0.005, "what holds it up does so each time, a busy machine now and then"


async def longest_turn(link: Link, side: Side) -> float:
    """Processor seconds of the loop between two looks, while five such messages go over."""
    longest, last, wanted = 0.0, time.thread_time(), len(side.frames) + 5

    def turn() -> None:
        nonlocal longest, last
        now = time.thread_time()  # the machine may have other work
        longest, last = max(longest, now - last), now
        if len(side.frames) < wanted:
            asyncio.get_running_loop().call_soon(turn)

    turn()
    for _ in range(5):
        link.send({"type": "audio"}, np.zeros(480_000, np.float32))
        await asyncio.sleep(0)
    await wait_for(lambda: len(side.frames) == wanted)
    return longest


async def test_both_sides_hear_of_the_end_once() -> None:
    link, side, other, there = await pair()
    link.close("I have had enough")
    link.close("twice")
    await wait_for(lambda: there.lost)
    assert side.lost == ["I have had enough"]
    assert there.lost == ["the connection was closed"]
    link.send({"type": "x"})
    other.send({"type": "x"})
    assert (side.frames, there.frames) == ([], [])


async def test_what_cannot_be_understood_or_handled_ends_it() -> None:
    ours, theirs = socket.socketpair()
    side = Side()
    await side.open(ours)
    theirs.sendall(b"GET / HTTP/1.1\r\n")
    await wait_for(lambda: side.lost)
    assert side.lost == ["the other side speaks another protocol"]
    theirs.close()

    def fail(_frame: Frame) -> None:
        raise ValueError

    ours, theirs = socket.socketpair()
    await open_link(ours, fail, side.lost.append)
    other = await Side().open(theirs)
    other.send({"type": "x"})
    await wait_for(lambda: len(side.lost) == 2)
    assert side.lost[1] == "a message could not be handled"
    other.close("enough")


async def test_who_does_not_read_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_UNSENT", 1_000_000)
    ours, theirs = socket.socketpair()
    side = Side()
    link = await side.open(ours)
    for _ in range(100):
        link.send({"type": "audio"}, np.zeros(10_000, np.float32))
    assert side.lost == ["the other side does not read"]
    await asyncio.sleep(0)
    theirs.close()
