"""Spoiled offers, through the sanitiser into a real aiortc: an answer or an error of ours, and an end."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from rtc_stt.errors import ClientError
from signaling.candidates import Reach
from signaling.sanitiser import clean_offer
from tests.signaling.mutations import spoiled_offer

COUNT = 2_000
"""Seeds from 0; tests/e2e/test_fuzzed_offers.py sends them over HTTP."""


def test_each_is_understood_or_refused_in_no_time():
    understood, slowest = 0, 0.0
    for seed in range(COUNT):
        offer = spoiled_offer(seed)
        start = time.perf_counter()
        try:
            clean_offer(offer, Reach())
            understood += 1
        except ClientError:
            pass
        slowest = max(slowest, time.perf_counter() - start)
    assert 200 < understood < 1_800, "the seeds should make both kinds"
    assert slowest < 0.05


async def answer(sdp: str) -> str:
    """What aiortc says; raises whatever it raises."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        async with asyncio.timeout(5):
            await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp
    finally:
        async with asyncio.timeout(5):
            await connection.close()


@pytest.mark.slow
async def test_aiortc_answers_what_is_left_of_them():
    seen = set()
    for seed in range(COUNT):
        try:
            offer = clean_offer(spoiled_offer(seed), Reach(), reject_video=seed % 2 == 0)
        except ClientError:
            continue
        if offer.sdp in seen:
            continue
        seen.add(offer.sdp)
        assert "m=audio" in await answer(offer.sdp), f"seed {seed}"
    assert len(seen) > 60
