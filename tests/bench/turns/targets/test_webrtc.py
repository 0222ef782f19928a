"""What a bad network does to what leaves."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from rtc_stt.bench.link import Conditions, Link
from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.turns.targets.webrtc import Microphone, through
from tests.bench.turns.virtual import virtually

RTP, DTLS = b"\x80", b"\x16"


async def leave(bad: Conditions, datagrams: list[bytes]) -> list[tuple[float, bytes]]:
    """What arrives when, in ms, where one leaves every 20 ms."""
    loop = asyncio.get_running_loop()
    begun, arrived = loop.time(), []

    async def send(datagram: bytes) -> None:
        arrived.append((round((loop.time() - begun) * 1000, 3), datagram))

    worn = through(Link(bad), send)
    for datagram in datagrams:
        await worn(datagram)
        await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    return arrived


def test_a_pattern_loses_what_it_says_and_nothing_else():
    packets = [RTP + bytes([n]) for n in range(10)]
    arrived = virtually(leave(Conditions(pattern="....x"), packets))
    assert [packet[1] for _, packet in arrived] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert [at for at, _ in arrived] == [0, 20, 40, 60, 100, 120, 140, 160]


def test_what_is_no_media_is_late_too_but_never_lost():
    arrived = virtually(leave(Conditions(pattern="x", delay_s=0.05), [DTLS, RTP, DTLS]))
    assert arrived == [(50.0, DTLS), (90.0, DTLS)]


def test_jitter_delays_and_keeps_the_order():
    packets = [RTP + bytes([n]) for n in range(50)]
    arrived = virtually(leave(Conditions(jitter_s=0.06), packets))
    assert [packet for _, packet in arrived] == packets
    late = [at - 20 * n for n, (at, _) in enumerate(arrived)]
    assert all(-0.01 < ms < 60.01 for ms in late)
    assert max(late) > 30


def test_reordered_packets_arrive_after_later_ones():
    packets = [RTP + bytes([n]) for n in range(50)]
    arrived = virtually(leave(Conditions(reorder=0.2), packets))
    assert sorted(packet for _, packet in arrived) == packets
    assert [packet for _, packet in arrived] != packets


def test_a_connection_that_closes_meanwhile_is_no_error():
    tried = []

    async def go() -> None:
        async def send(datagram: bytes) -> None:
            tried.append(datagram)
            raise ConnectionError

        await through(Link(Conditions(delay_s=0.01)), send)(RTP)
        await asyncio.sleep(0.1)

    virtually(go())
    assert tried == [RTP]


async def test_a_microphone_gives_each_frame_at_once():
    microphone = Microphone()
    for level in (0.0, 0.5):
        microphone.put(np.full(FRAME, level, np.float32))
    first, second = await microphone.recv(), await microphone.recv()
    assert (first.pts, second.pts, first.samples, first.sample_rate) == (0, FRAME, FRAME, 16_000)
    assert second.to_ndarray().max() == 16_384
    microphone.stop()
    with pytest.raises(MediaStreamError):
        await microphone.recv()
