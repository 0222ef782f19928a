"""Who hears calls by the SDK: a gateway with real sockets, and calls that do as they are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rtc_stt.client import CallEvent, CallEvents
from rtc_stt.errors import NotFound, TooMany, Unauthorized, Unreachable
from tests.line import until
from tests.signaling.telephony.fakes import FakeSource
from tests.signaling.telephony.test_call_routes import ACME, House, a_house, announce, talk


def url(house: House) -> str:
    return str(house.client.make_url("/"))


async def collect(events: CallEvents, into: list[CallEvent]) -> None:
    async for event in events:
        into.append(event)  # noqa: PERF401 — what came before an error counts


async def cut(house: House) -> None:
    """Every connection that hears calls breaks."""
    for seat in list(house.hub.audience._seats.values()):
        seat.listener._outbox.abort()  # type: ignore[attr-defined]
    await until(lambda: not house.hub.audience._seats)


async def test_a_call_is_heard_whole_however_often_the_connection_breaks():
    async with a_house() as house:
        call, _ = house.begin()
        call.digit("caller", "1")
        told: list[CallEvent] = []
        async with CallEvents(url(house), key=ACME, call_id=call.id) as events:
            hearing = asyncio.create_task(collect(events, told))
            for digit in "234":
                await until(lambda: told and told[-1].seq == call.log.after(0)[-1].seq)
                await cut(house)
                call.digit("caller", digit)
            talk(call)
            call.end("hangup")
            async with asyncio.timeout(10):
                await hearing
            assert events.last_seq == told[-1].seq
        assert [event.seq for event in told] == sorted({event.seq for event in told})
        assert [event.fields["digit"] for event in told if event.type == "dtmf"] == list("1234")
        assert [(e.leg, e.fields["text"]) for e in told if e.type == "transcript.final"] == [
            ("caller", "hello")
        ]
        assert (told[0].type, told[-1].type, told[-1].call_id) == ("call.started", "call.ended", call.id)


async def test_one_may_go_on_from_where_another_was():
    async with a_house() as house:
        call, _ = house.begin()
        call.digit("caller", "1")
        call.digit("caller", "2")
        call.end("hangup")
        token = (await house.ask("POST", f"/v1/calls/{call.id}/tokens"))[1]["token"]
        async with CallEvents(url(house), token=token, call_id=call.id, last_seq=2) as events:
            assert [event.type async for event in events] == ["dtmf", "call.ended"]


async def test_all_calls_are_heard_also_after_a_break():
    async with a_house() as house:
        told: list[CallEvent] = []
        async with CallEvents(url(house), key=ACME) as events:
            hearing = asyncio.create_task(collect(events, told))
            await until(lambda: house.hub.audience._seats)
            for number in (1, 2):
                call, _ = house.begin()
                call.digit("caller", "1")
                call.end("hangup")
                await until(lambda number=number: len(told) == 3 * number)
                assert {event.call_id for event in told[-3:]} == {call.id}
                await cut(house)
                await until(lambda: house.hub.audience._seats)
            hearing.cancel()
            await asyncio.wait([hearing])


async def test_what_is_refused_is_told_as_an_error():
    async with a_house() as house:
        for how, error in (
            ({"key": "wrong-key-0000000000"}, Unauthorized),
            ({"key": ACME, "call_id": "x" * 16}, NotFound),
            ({"key": ACME, "call_id": "../../v1/usage"}, NotFound),
        ):
            with pytest.raises(error):
                await CallEvents(url(house), **how).__aenter__()  # type: ignore[arg-type]
        call, _ = house.begin()
        ears: list[Any] = []
        for _ in range(16):
            ears.append(CallEvents(url(house), key=ACME, call_id=call.id))
            await ears[-1].__aenter__()
        with pytest.raises(TooMany):
            await CallEvents(url(house), key=ACME, call_id=call.id, patience_s=0.1).__aenter__()
        for ear in ears:
            await ear.__aexit__()
    with pytest.raises(Unreachable):
        await CallEvents("http://127.0.0.1:9").__aenter__()


async def test_a_call_that_does_not_come_is_told_as_an_error():
    async with a_house() as house:
        expected = (await announce(house))[1]
        async with CallEvents(url(house), key=ACME, call_id=expected["call_id"]) as events:
            hearing = asyncio.create_task(collect(events, []))
            assert (await house.ask("DELETE", f"/v1/calls/{expected['call_id']}"))[0] == 204
            with pytest.raises(NotFound):
                await hearing


async def test_one_that_comes_is_heard_from_its_beginning():
    async with a_house() as house:
        expected = (await announce(house))[1]
        async with CallEvents(url(house), key=ACME, call_id=expected["call_id"]) as events:
            found = house.hub.claim(expected["uuid"])
            assert found
            call = house.hub.begin(found.details, FakeSource(), call_id=found.call_id)
            call.digit("caller", "1")
            call.end("hangup")
            assert [event.seq async for event in events] == [1, 2, 3]
