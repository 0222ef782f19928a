"""A call: real sessions, and a source that does as it is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.errors import NotFound, TooMany, Unavailable
from signaling.key_file import parse_keys
from signaling.telephony import leg as leg_module
from signaling.telephony.call import MAX_LEGS_EVER
from tests.line import until
from tests.signaling.telephony.fakes import HIGH, LOW, a_house, ended, utterance


def texts(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Finals, and whose they are."""
    return [(event["leg"], event["text"]) for event in told if event["type"] == "transcript.final"]


def kinds(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in told]


async def test_it_is_told_in_one_order_from_beginning_to_end():
    async with a_house() as house:
        call, source = house.begin(external_id="x@y", caller="1", callee="2", parameters={"a": "b"})
        leg = call.add_leg("caller")
        leg.receive_audio(utterance(LOW))
        call.digit("caller", "5", duration_ms=100)
        call.end("hung_up")
        assert call.is_over
        assert source.reasons == []
        assert await ended(call) == "hung_up"
        told = house.told(call)
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert {event["call_id"] for event in told} == {call.id}
        assert kinds(told)[:2] == ["call.started", "leg.started"]
        assert kinds(told)[-2:] == ["leg.ended", "call.ended"]
        assert texts(told) == [("caller", "low")]
        assert told[0] | {"started_at": 0} == {
            "type": "call.started",
            "seq": 1,
            "at_ms": 0,
            "call_id": call.id,
            "source": "sip",
            "external_id": "x@y",
            "caller": "1",
            "callee": "2",
            "parameters": {"a": "b"},
            "started_at": 0,
        }
        assert abs(told[0]["started_at"] - time.time()) < 10
        (digit,) = [event for event in told if event["type"] == "dtmf"]
        assert (digit["digit"], digit["duration_ms"], digit["leg"]) == ("5", 100, "caller")
        assert told[-1]["reason"] == "hung_up"
        assert told[-1]["legs"] == {"caller": 2_100}
        assert source.reasons == ["hung_up"]
        assert source.played_out == 1
        assert [event.type for _, event in source.told][-1] == "session.ended"
        assert not any("resume" in event.text for _, event in house.heard)
        assert house.notes.told == [("began", "sip"), ("ended", "sip", "hung_up")]


async def test_two_legs_are_never_mixed():
    async with a_house() as house:
        call, source = house.begin()
        caller, agent = call.add_leg("caller"), call.add_leg("agent")
        for low, high in zip(_pieces(utterance(LOW)), _pieces(utterance(HIGH)), strict=True):
            caller.receive_audio(low)
            agent.receive_audio(high)
        call.end("hung_up")
        await ended(call)
        assert sorted(texts(house.told(call))) == [("agent", "high"), ("caller", "low")]
        assert {(leg, event.text) for leg, event in source.told if event.type == "transcript.final"} == {  # type: ignore[attr-defined]
            ("agent", "high"),
            ("caller", "low"),
        }


def _pieces(audio: Any) -> list[Any]:
    return [audio[start : start + 320] for start in range(0, len(audio), 320)]


async def test_a_leg_that_comes_late_is_on_the_clock_of_the_call():
    async with a_house() as house:
        call, _ = house.begin()
        call.add_leg("caller").receive_audio(utterance(LOW))
        await asyncio.sleep(0.3)
        agent = call.add_leg("agent")
        agent.begin_now()
        at_ms = call.at_ms
        assert abs(agent.clock.at_ms - at_ms) < 50
        agent.receive_audio(utterance(HIGH))
        call.end("hung_up")
        await ended(call)
        starts = {
            event["leg"]: event["audio_start_ms"]
            for event in house.told(call)
            if event["type"] == "speech.started"
        }
        assert 200 <= starts["agent"] - starts["caller"] <= at_ms + 150


async def test_stamped_audio_is_put_where_its_stamp_says():
    async with a_house() as house:
        call, _ = house.begin()
        call.began = time.monotonic() - 10
        leg = call.add_leg("caller")
        leg.clock._began = call.began
        leg.receive_at(1_000, utterance(LOW))
        assert leg.clock.at_ms == 3_100
        leg.receive_at(3_100, utterance(LOW)[:1_600])
        leg.receive_at(3_240, utterance(LOW)[:1_600], lost=True)  # 40 ms: no gap
        assert leg.clock.at_ms == 3_300
        call.end("hung_up")
        await ended(call)
        assert house.told(call)[-1]["legs"] == {"caller": 3_300}
        (final,) = [event for event in house.told(call) if event["type"] == "transcript.final"]
        assert final["audio_start_ms"] >= 1_200


async def test_it_ends_once_whoever_ends_it():
    async with a_house() as house:
        call, source = house.begin()
        legs = [call.add_leg("caller"), call.add_leg("agent")]
        for leg in legs:
            leg.receive_audio(utterance(LOW))
        call.end("hung_up")
        call.end("deleted")
        legs[0].finish("closed")
        await ended(call)
        call.end("late")
        call.warn("late", "")
        call.digit("caller", "1")
        call.hold("caller", True)
        call.note({"late": "1"})
        legs[0].receive_audio(utterance(LOW))
        legs[0].finish("late")
        await asyncio.sleep(0.05)
        assert kinds(house.told(call)).count("call.ended") == 1
        assert kinds(house.told(call))[-1] == "call.ended"
        assert source.reasons == ["hung_up"]
        with pytest.raises(TooMany):
            call.add_leg("late")


async def test_it_ends_with_its_last_leg():
    async with a_house() as house:
        call, source = house.begin()
        caller, agent = call.add_leg("caller"), call.add_leg("agent")
        caller.finish("closed")
        await asyncio.shield(caller.session.ended)
        await asyncio.sleep(0)
        assert not call.is_over
        agent.session.expel("quota_exceeded", "no more")
        assert await ended(call) == "quota_exceeded"
        assert source.reasons == ["quota_exceeded"]


async def test_a_drain_tells_the_last_words_before_it_hangs_up():
    async with a_house() as house:
        call, source = house.begin()
        _, nobody = house.begin()
        call.add_leg("caller").receive_audio(utterance(LOW)[: SAMPLE_RATE // 2])
        await asyncio.gather(house.registry.drain(5.0), house.hub.drain(5.0))
        await ended(call)
        told = house.told(call)
        assert texts(told) == [("caller", "low")]
        assert any(event.get("code") == "draining" for event in told)
        assert told[-1]["reason"] == "drained"
        assert source.reasons == nobody.reasons == ["drained"]
        with pytest.raises(Unavailable):
            house.begin()


async def test_a_leg_without_a_place_leaves_nothing_behind():
    async with a_house(server={"max_sessions": 1}) as house:
        call, source = house.begin()
        call.add_leg("caller")
        with pytest.raises(Unavailable):
            call.add_leg("agent")
        assert list(call.legs) == ["caller"]
        assert (house.door.sessions, len(house.registry)) == (1, 1)
        refused, other = house.begin()
        with pytest.raises(Unavailable):
            refused.add_leg("caller")
        refused.end("no_room")
        await ended(refused)
        assert house.told(refused) == []
        assert other.reasons == ["no_room"]
        call.end("hung_up")
        await ended(call)
        assert texts(house.told(call)) == []
        assert source.reasons == ["hung_up"]
        house.begin()[0].add_leg("caller")  # its place is free


async def test_nor_does_one_that_comes_while_the_server_drains():
    async with a_house() as house:
        call, _ = house.begin()
        house.registry.draining = True
        with pytest.raises(Unavailable):
            call.add_leg("caller")
        assert (house.door.half_open, house.door.sessions, len(house.registry)) == (0, 0, 0)
        assert not call.legs


async def test_the_limit_of_a_key_is_that_of_its_phones_too():
    async with a_house(access={"max_sessions_per_key": 1}) as house:
        house.begin(owner="k")[0].add_leg("caller")
        with pytest.raises(TooMany):
            house.begin(owner="k")[0].add_leg("caller")
        house.begin(owner="other")[0].add_leg("caller")


async def test_calls_are_still_of_an_account_whose_key_was_changed():
    old, new = "first-key-of-acme-000", "second-key-of-acme-00"
    async with a_house(
        keys=parse_keys(f"{old} name=acme\nkey-of-somebody-else0 name=other", "keys")
    ) as house:
        owner, other = (house.authority.identify(f"Bearer {key}") for key in (old, "key-of-somebody-else0"))
        before, _ = house.begin(owner=owner.key_id)
        house.authority.replace(parse_keys(f"{new} name=acme\nkey-of-somebody-else0 name=other", "keys"))
        after, _ = house.begin(owner=owner.key_id)
        shown = house.authority.identify(f"Bearer {new}")
        assert house.hub.calls_of(shown) == [after, before]
        assert house.hub.find(before.id, shown) is before
        assert house.hub.calls_of(other) == []
        with pytest.raises(NotFound):
            house.hub.find(before.id, other)


async def test_there_is_a_limit_to_calls():
    async with a_house(max_calls=2) as house:
        call, _ = house.begin()
        house.begin()
        with pytest.raises(Unavailable):
            house.hub.check_room()
        with pytest.raises(Unavailable):
            house.begin()
        assert house.notes.told.count(("refused", "full")) == 2
        call.end("hung_up")
        await ended(call)
        house.begin()


async def test_a_call_that_lasts_too_long_is_ended():
    async with a_house(max_call_s=0.1) as house:
        call, source = house.begin()
        call.add_leg("caller")
        assert await ended(call) == "max_duration"
        assert source.reasons == ["max_duration"]


async def test_a_session_that_does_not_end_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(leg_module, "FINISH_S", 0.2)
    async with a_house(delay_s=1.0) as house:
        call, source = house.begin()
        call.add_leg("caller").receive_audio(utterance(LOW)[: SAMPLE_RATE // 2])
        await until(lambda: house.engine.requests)
        began = time.monotonic()
        call.end("hung_up")
        assert await ended(call) == "hung_up"
        assert time.monotonic() - began < 0.8
        assert "utterance.dropped" in kinds(house.told(call))
        assert source.reasons == ["hung_up"]


async def test_keys_are_told_and_nothing_else():
    async with a_house() as house:
        call, _ = house.begin()
        for digit in ("1", "x", "", "12", "#", "A"):
            call.digit("caller", digit, at_ms=7)
        told = [event for event in house.told(call) if event["type"] == "dtmf"]
        assert [(event["digit"], event["at_ms"]) for event in told] == [("1", 7), ("#", 7), ("A", 7)]
        for _ in range(1_000):
            call.digit("caller", "0")
        assert kinds(house.told(call)).count("dtmf") <= 21


async def test_a_hold_is_told_once_and_notes_have_a_limit():
    async with a_house() as house:
        call, _ = house.begin(parameters={"a": "0"})
        call.add_leg("caller")
        for on in (False, True, True, False, False):
            call.hold("caller", on)
        call.hold("nobody", True)
        call.note({"a": "1", "b": "\x00two\n"})
        call.note({})
        told = house.told(call)[2:]
        assert kinds(told) == ["call.held", "call.retrieved", "call.updated"]
        assert told[-1]["parameters"] == {"a": "1", "b": "two"}
        assert call.describe()["parameters"] == {"a": "1", "b": "two"}
        for number in range(1_000):
            call.note({f"n{number}": "x" * 1_000})
            call.warn("odd", "…")
        assert len(house.told(call)) < 30
        assert len(call.parameters) <= 32


async def test_labels_are_as_told_and_never_twice():
    async with a_house() as house:
        call, _ = house.begin()
        assert call.add_leg("agent\n\ud800").label == "agent"
        twin = call.add_leg("agent")
        assert twin.label == "agent-2"
        with pytest.raises(TooMany):
            call.add_leg("third")
        for _ in range(MAX_LEGS_EVER - 2):
            twin.finish("closed")
            await asyncio.shield(twin.session.ended)
            await asyncio.sleep(0)
            twin = call.add_leg("x" * 1_000)
        assert len(twin.label) < 80
        twin.finish("closed")
        await asyncio.shield(twin.session.ended)
        with pytest.raises(TooMany):
            call.add_leg("agent")
        assert not call.is_over


async def test_options_are_of_every_leg_and_wrong_ones_are_told():
    async with a_house() as house:
        call, _ = house.begin(options={"language": "de", "nonsense": 1})
        call.add_leg("caller").receive_audio(utterance(LOW))
        call.end("hung_up")
        await ended(call)
        told = house.told(call)
        assert [event["leg"] for event in told if event.get("code") == "configure"] == ["caller"]
        assert [event["language"] for event in told if event["type"] == "transcript.final"] == ["de"]


async def test_a_subscriber_or_a_source_that_fails_does_not_break_the_call(caplog):
    async with a_house() as house:
        secret = "+1 555" + "0100"

        def fail(*_: object) -> None:
            raise ZeroDivisionError(secret)

        undo = house.hub.subscribe(fail)
        call, source = house.begin()
        source.fails = True
        call.add_leg("caller").receive_audio(utterance(LOW))
        call.end("hung_up")
        await ended(call)
        assert texts(house.told(call)) == [("caller", "low")]
        assert source.reasons == ["hung_up"]
        assert "ZeroDivisionError" in caplog.text
        assert secret not in caplog.text
        undo()


async def test_no_task_and_no_timer_is_left(monkeypatch):
    async with a_house(max_call_s=100) as house:
        before = asyncio.all_tasks()
        for _ in range(20):
            call, _ = house.begin()
            call.add_leg("caller").receive_audio(utterance(LOW)[:1_600])
            call.add_leg("agent")
            call.end("hung_up")
            await ended(call)
        await until(lambda: not house.registry._tasks)
        assert asyncio.all_tasks() == before
        timers = [t for t in asyncio.get_running_loop()._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
        assert not [timer for timer in timers if "Call.end" in repr(timer) or "abort" in repr(timer)]
        assert len([timer for timer in timers if "CallHub" in repr(timer)]) == 1  # what is to be forgotten
        assert house.door.sessions == 0


async def test_what_is_remembered_of_a_call_does_not_hold_its_legs():
    import gc
    import weakref

    async with a_house() as house:
        call, source = house.begin()
        leg = weakref.ref(call.add_leg("caller").session)
        call.end("hung_up")
        await ended(call)
        await until(lambda: not house.registry._tasks)
        call_id = call.id
        del call
        source.told.clear()
        gc.collect()
        assert leg() is None
        assert house.hub._past[call_id].describe()["state"] == "ended"
