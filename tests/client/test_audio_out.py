"""Frames of 20 ms, and what a connection sends of them."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client import audio_out
from rtc_stt.client.audio_out import FRAME, MAX_WAITING, Outlet, Packer


@given(st.lists(st.integers(0, 1_000), max_size=10))
def test_any_chunks_become_frames_of_20_ms_in_order(sizes):
    audio = np.linspace(-1, 1, sum(sizes) or 1, dtype=np.float32)[: sum(sizes)]
    packer, frames, at = Packer(), [], 0
    for size in sizes:
        frames += packer.push(audio[at : at + size])
        at += size
    assert [frame.samples for frame in frames] == [FRAME] * (len(audio) // FRAME)
    assert [frame.pts for frame in frames] == [i * FRAME for i in range(len(frames))]
    if frames:
        sent = np.concatenate([frame.to_ndarray()[0] for frame in frames]) / 32767
        np.testing.assert_allclose(sent, audio[: len(sent)], atol=1e-4)


def test_what_is_too_loud_is_clipped():
    [frame] = Packer().push(np.full(FRAME, 7.0, np.float32))
    assert set(frame.to_ndarray()[0]) == {32767}


async def test_an_outlet_gives_what_is_put_in_and_waits_for_more():
    outlet = Outlet()
    outlet.put("a")
    assert await outlet.recv() == "a"
    waiting = asyncio.create_task(outlet.recv())
    await asyncio.sleep(0)
    assert not waiting.done()
    outlet.put("b")
    assert await waiting == "b"


async def test_an_outlet_says_how_much_has_not_left(monkeypatch):
    monkeypatch.setattr(audio_out, "CATCH_UP_S", 0)
    outlet = Outlet()
    assert outlet.waiting == 0
    outlet.say_again(["a"])
    outlet.put("b")
    assert outlet.waiting == 2
    await outlet.recv()
    await outlet.recv()
    assert outlet.waiting == 0


async def test_an_outlet_that_is_not_emptied_drops_the_oldest():
    outlet = Outlet()
    for number in range(MAX_WAITING + 3):
        outlet.put(number)
    assert await outlet.recv() == 3


async def test_an_outlet_that_stops_lets_its_reader_go():
    outlet = Outlet()
    waiting = asyncio.create_task(outlet.recv())
    await asyncio.sleep(0)
    outlet.stop()
    with pytest.raises(MediaStreamError):
        await waiting


async def test_what_is_said_again_leaves_first_and_what_comes_meanwhile_behind_it():
    outlet = Outlet()
    outlet.say_again(["a", "b"])
    outlet.put("c")
    assert outlet.is_behind
    assert [await outlet.recv() for _ in range(3)] == ["a", "b", "c"]
    assert not outlet.is_behind
    outlet.put("d")
    assert await outlet.recv() == "d"
