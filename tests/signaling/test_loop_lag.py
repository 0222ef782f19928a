"""The lag of the event loop is seen, and nothing is left behind."""

from __future__ import annotations

import asyncio
import time

from signaling.loop_lag import INTERVAL_S, LoopLag


async def test_what_blocks_the_loop_is_seen() -> None:
    lags: list[float] = []
    lag = LoopLag(lags.append)
    lag.start()
    await asyncio.sleep(5 * INTERVAL_S)
    before = len(lags)
    assert before >= 2
    time.sleep(0.15)  # noqa: ASYNC251 - this is what is to be seen
    await asyncio.sleep(2 * INTERVAL_S)
    lag.stop()
    assert max(lags[before:]) >= 0.15 - INTERVAL_S
    told = len(lags)
    await asyncio.sleep(3 * INTERVAL_S)
    assert len(lags) == told, "it went on after its end"
