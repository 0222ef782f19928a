"""Places for requests, and how those who have one end in a drain."""

from __future__ import annotations

import asyncio

import pytest

from rtc_stt.errors import BadAudio, Unavailable
from signaling.in_flight import InFlight


async def work(in_flight: InFlight, gate: asyncio.Event) -> str:
    async with in_flight.admit():
        await gate.wait()
    return "done"


@pytest.fixture
def refusals() -> list[str]:
    return []


async def test_a_place_is_free_again_whatever_became_of_its_holder(refusals):
    in_flight = InFlight(1, refusals.append)

    async def fail(error: type[BaseException]) -> None:
        async with in_flight.admit():
            assert len(in_flight) == 1
            raise error

    for error in (BadAudio, asyncio.CancelledError, TimeoutError):
        with pytest.raises(error):
            await fail(error)
        assert len(in_flight) == 0
    assert refusals == []


async def test_no_more_than_the_limit(refusals):
    in_flight = InFlight(2, refusals.append)
    async with in_flight.admit(), in_flight.admit():
        with pytest.raises(Unavailable, match="2 recordings") as refused:
            async with in_flight.admit():
                pass
    assert refused.value.retry_after_s > 0
    assert refusals == ["requests"]


async def test_a_drain_waits_for_all(refusals):
    in_flight, gate = InFlight(5, refusals.append), asyncio.Event()
    tasks = [asyncio.create_task(work(in_flight, gate)) for _ in range(3)]
    await asyncio.sleep(0)
    draining = asyncio.create_task(in_flight.drain(5))
    await asyncio.sleep(0.01)
    assert not draining.done()
    gate.set()
    await asyncio.wait_for(draining, 1)
    assert [task.result() for task in tasks] == ["done"] * 3
    with pytest.raises(Unavailable, match="shutting down"):
        await work(in_flight, gate)
    assert refusals == ["draining"]


async def test_but_not_for_ever(refusals):
    in_flight, gate = InFlight(5, refusals.append), asyncio.Event()
    task = asyncio.create_task(work(in_flight, gate))
    await asyncio.sleep(0)
    await asyncio.wait_for(in_flight.drain(0.01), 1)
    with pytest.raises(Unavailable, match="shutting down"):
        await task
    await in_flight.drain(0)  # twice does no harm


async def test_a_time_out_of_the_holders_own_is_its_own(refusals):
    in_flight = InFlight(5, refusals.append)

    async def dawdle() -> None:
        async with in_flight.admit(), asyncio.timeout(0.001):
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        await dawdle()
