"""What is remembered of lists, and who is asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from rtc_stt.hypothesis import Tier
from rtc_stt.replicas import roster as roster_module
from rtc_stt.replicas.occupancy import Occupancy
from rtc_stt.replicas.replica import Replica
from rtc_stt.replicas.roster import Remembered, Roster
from tests.replicas.test_choice import replica
from tools.replicas.processes import KEY, Directory


def test_who_is_listed_no_more_is_used_a_while() -> None:
    remembered = Remembered()
    a, b = replica("a"), replica("b")
    assert remembered.take([a, b], 0.0) == [a, b]
    assert remembered.take([b], 9.0) == [a, b]
    assert remembered.take([b], 10.5) == [b]
    assert remembered.take([a, b], 11.0) == [b, a]


def test_of_one_that_is_listed_anew_the_newest_counts() -> None:
    remembered = Remembered()
    remembered.take([replica("a")], 0.0)
    assert remembered.take([replica("a", draining=True)], 1.0)[0].draining


async def until(ready: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not ready():
            await asyncio.sleep(0.005)


async def test_another_place_is_asked_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_module, "EVERY_S", 0.02)
    heard: list[list[Replica]] = []
    async with Directory() as directory:
        directory.list(replica("a"))
        roster = Roster(["127.0.0.1:1", directory.place], KEY)
        roster.join(Tier.FAST, heard.append)
        roster.join(Tier.ACCURATE, lambda replicas: heard.append(replicas) if replicas else None)
        await until(lambda: heard)
        assert heard[0] == [replica("a")], "and none of the accurate tier"
        assert roster.trouble is None
        await roster.leave(Tier.FAST)
        await roster.leave(Tier.ACCURATE)
        asked = directory.asked
        await asyncio.sleep(0.1)
        assert directory.asked == asked


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (web.Response(status=401), "does not take WORKERS_KEY"),
        (web.Response(status=302, headers={"Location": "/other"}), "answers 302"),
        (web.Response(text="no list"), "cannot be understood"),
        (web.Response(body=b" " * 2**21), "more replicas than there can be"),
    ],
)
async def test_what_is_no_list_is_said_in_words(
    answer: web.Response, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tell(_: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get("/replicas", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    roster = Roster([f"127.0.0.1:{runner.addresses[0][1]}"], KEY)
    roster.join(Tier.FAST, lambda replicas: pytest.fail("there is no list"))
    try:
        await until(lambda: roster.trouble and trouble in roster.trouble)
        assert roster.is_refused is (answer.status == 401)
        assert KEY not in str(roster.trouble)
    finally:
        await roster.leave(Tier.FAST)
        await runner.cleanup()


def test_how_busy_replicas_were() -> None:
    occupancy = Occupancy(0.0)
    assert occupancy.look(0.0) == 0.0
    occupancy.change(1, 2, 0.0)
    assert occupancy.look(1.0) == pytest.approx(0.5)
    occupancy.change(3, 2, 2.0)
    assert occupancy.look(3.0) == pytest.approx(0.75), "what waits at the door does not run"
    occupancy.change(0, 0, 3.0)
    assert occupancy.look(9.0) == 0.0
