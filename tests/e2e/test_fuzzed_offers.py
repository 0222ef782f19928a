"""Two thousand spoiled offers over HTTP into a server with real peers: answered or refused, and no trace."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter

import aiohttp
import psutil
import pytest

from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad
from rtc_stt.vad import VadBatcher
from signaling import peer
from signaling.keys import GATE, HOST
from signaling.settings import Access, WebRtc
from tests.e2e import support
from tests.e2e.support import until
from tests.signaling.front import OFFERS
from tests.signaling.mutations import spoiled_offer

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

COUNT, AT_A_TIME = 2_000, 8
ROOMY = Access(
    max_half_open=10_000, max_half_open_per_key=10_000, rate_limit_rps=10_000, rate_limit_burst=10_000
)


async def lag(worst: list[float]) -> None:
    """How late the loop comes to what is due."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        worst.append(time.perf_counter() - before - 0.01)


async def test_two_thousand_spoiled_offers_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.3)
    pool = DecodePool({Tier.FAST: ScriptedEngine([])}, concurrency=1)
    speech = Speech(VadBatcher(ScriptedVad([])), pool)
    statuses: Counter[int] = Counter()
    late: list[float] = []
    async with (
        support.run_gateway(
            speech, webrtc=WebRtc(resume_seconds=0), access=ROOMY, max_sessions=10_000
        ) as gateway,
        aiohttp.ClientSession(gateway.url) as http,
    ):

        async def send(offer: str, *, whip: bool) -> None:
            if whip:
                request = http.post("/whip", data=offer.encode(), headers={"Content-Type": "application/sdp"})
            else:
                request = http.post("/api/offer", json={"type": "offer", "sdp": offer})
            async with request as response:
                body = await response.text()
                assert response.status in (200, 201, 400, 422), body
                assert ("m=audio" in body) is (response.status < 300)
                statuses[response.status] += 1

        # The connections of HTTP, kept alive, belong to the base.
        await asyncio.gather(*(send(OFFERS["chromium-full"], whip=True) for _ in range(AT_A_TIME)))
        assert await until(lambda: not gateway.app[HOST].health().sessions)
        gc.collect()
        process = psutil.Process()
        files, tasks = process.num_fds(), len(asyncio.all_tasks())
        watch = asyncio.create_task(lag(late))
        for start in range(0, COUNT, AT_A_TIME):
            seeds = range(start, start + AT_A_TIME)
            await asyncio.gather(*(send(spoiled_offer(seed), whip=seed % 2 == 0) for seed in seeds))
        watch.cancel()
        assert await until(lambda: not gateway.app[HOST].health().sessions, 20)
        assert await until(lambda: len(asyncio.all_tasks()) <= tasks, 10)
        assert gateway.app[GATE].door.half_open == 0
        gc.collect()
        assert await until(lambda: process.num_fds() <= files, 5)
    await speech.aclose()
    assert statuses[200] + statuses[201] > 100, statuses
    assert statuses[400] > 100, statuses
    late.sort()
    assert late[len(late) * 99 // 100] < 0.1, f"the loop was {late[-1]:.3f} s late"
