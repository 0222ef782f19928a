"""The session of a service, from before there is one until it is over: real sockets, and waits are short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rtc_stt.client import State, StreamClient, reconnect
from rtc_stt.errors import (
    BadAudio,
    BadRequest,
    Forbidden,
    NotFound,
    QuotaExceeded,
    RtcSttError,
    ServerError,
    TooMany,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from rtc_stt.events import Event, SessionError, SpeechStarted
from rtc_stt.plugins.pipecat import line as module
from rtc_stt.plugins.pipecat.line import Line, is_hopeless
from tests.plugins.pipecat.gateway import Gateway, until

RATE = 16_000


class Ear:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures: list[tuple[type[RtcSttError], bool]] = []
        self.states: list[State] = []

    async def on_event(self, event: Event) -> None:
        self.events.append(event)

    async def on_failure(self, error: RtcSttError, *, lasts: bool) -> None:
        self.failures.append((type(error), lasts))

    def on_state(self, state: State) -> None:
        self.states.append(state)


class Call:
    """A line to a gateway, and who hears."""

    def __init__(self, url: str, patience_s: float = 5.0) -> None:
        self.ear = Ear()

        def make(on_state: Any) -> StreamClient:
            return StreamClient(url, patience_s=patience_s, first_patience_s=0, on_state=on_state)

        self.line = Line(make, self.ear, bytes_per_s=2 * RATE, patience_s=patience_s)

    async def __aenter__(self) -> Call:
        self.running = asyncio.create_task(self.line.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def gateway(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    monkeypatch.setattr(reconnect, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_TOLD_S", 0.02)
    made = Gateway()
    async with made.http:
        yield made


async def test_what_is_said_before_there_is_a_session_comes_first_and_in_order(gateway: Gateway) -> None:
    call = Call(gateway.url)
    call.line.push(b"\1\0" * 160)
    call.line.finalize()
    call.line.push(b"\2\0" * 160)
    await call.line.mute(True)
    await call.line.configure({"prompt": "x"})
    async with call:
        connection = await gateway.connection(1)
        await until(lambda: connection.of("configure"))
        call.line.push(b"\3\0" * 160)
        await until(lambda: len(connection.audio) == 3 * 320)
    kinds = [said["type"] if isinstance(said, dict) else said[:1] for said in connection.said]
    assert kinds[:5] == [b"\1", "finalize", b"\2", "mute", "configure"]
    assert connection.audio == b"\1\0" * 160 + b"\2\0" * 160 + b"\3\0" * 160


async def test_only_the_newest_is_kept_for_long(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_S", 0.02)
    call = Call(gateway.url)
    await call.line.configure({"prompt": "x"})
    for number in range(5):
        call.line.push(bytes([number, 0]) * 160)
    async with call:
        connection = await gateway.connection(1)
        await until(lambda: len(connection.audio) == 640)
    assert connection.audio == b"\3\0" * 160 + b"\4\0" * 160
    assert connection.first["prompt"] == "x", "an option outlives the audio after it"


async def test_options_and_mute_hold_in_the_session_after_a_lost_one(gateway: Gateway) -> None:
    async with Call(gateway.url) as call:
        first = await gateway.connection(1)
        await until(lambda: call.ear.events)
        await call.line.configure({"language": "de"})
        await call.line.mute(True)
        await until(lambda: first.of("mute"))
        await first.end("connection_lost")
        second = await gateway.connection(2)
        await until(lambda: second.of("mute"))
    assert second.first["language"] == "de"
    assert call.ear.failures == [(Unavailable, True)]


async def test_a_stopped_line_tells_all_and_ends(gateway: Gateway) -> None:
    async with Call(gateway.url) as call:
        await gateway.connection(1)
        await until(lambda: call.ear.states)
        assert await call.line.stop()
        await asyncio.wait_for(call.running, 2)
    assert [event.type for event in call.ear.events] == ["session.started", "session.ended"]
    assert not call.ear.failures
    assert gateway.requests == 1


async def test_a_line_that_was_never_spoken_to_stops_at_once(gateway: Gateway) -> None:
    assert not await Call(gateway.url).line.stop()


async def test_what_was_spoken_before_there_is_a_session_is_said_before_the_stop(gateway: Gateway) -> None:
    gateway.refusals = [(503, "full"), (503, "full")]
    async with Call(gateway.url) as call:
        call.line.push(b"\1\0" * 160)
        assert await call.line.stop()
        await asyncio.wait_for(call.running, 2)
    assert gateway.connections[0].audio == b"\1\0" * 160
    assert call.ear.events[-1].type == "session.ended"


async def test_a_stop_without_a_connection_waits_for_the_next(gateway: Gateway) -> None:
    async with Call(gateway.url) as call:
        first = await gateway.connection(1)
        await until(lambda: call.ear.states)
        call.line.push(b"\1\0" * 160)
        await until(lambda: first.audio)
        first.cut()
        await until(lambda: call.ear.states[-1] is State.RECONNECTING)
        assert await call.line.stop()
        await asyncio.wait_for(call.running, 2)
    assert gateway.connections[1].of("stop")
    assert not call.ear.failures


async def test_what_cannot_be_said_any_more_is_told(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.1)
    gateway.refusals, gateway.refuses_all = [(503, "full")], True
    async with Call(gateway.url) as call:
        call.line.push(b"\1\0" * 160)
        assert not await call.line.stop()
    assert call.ear.failures[-1] == (Unreachable, True)


async def test_a_refusal_for_good_ends_the_wait(gateway: Gateway) -> None:
    gateway.refusals, gateway.refuses_all = [(401, "no")], True
    async with Call(gateway.url) as call:
        call.line.push(b"\1\0" * 160)
        assert await call.line.stop()
    assert call.ear.failures == [(Unauthorized, True)]


async def test_a_server_that_is_not_there_yet_is_told_once_and_then_given_up(unused_tcp_port: int) -> None:
    async with Call(f"http://127.0.0.1:{unused_tcp_port}", patience_s=0.4) as call:
        await until(lambda: len(call.ear.failures) == 2)
        assert call.ear.failures == [(Unreachable, False), (Unreachable, True)]
        assert not call.running.done(), "it may come back"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequest), (401, Unauthorized), (403, Forbidden), (404, NotFound)]
)
async def test_a_wrong_request_is_not_made_again(
    gateway: Gateway, status: int, kind: type[RtcSttError]
) -> None:
    gateway.refusals, gateway.refuses_all = [(status, "no")], True
    async with Call(gateway.url) as call:
        await asyncio.wait_for(call.running, 2)
    assert call.ear.failures == [(kind, True)]
    assert gateway.requests == 1


@pytest.mark.parametrize(("status", "kind"), [(429, TooMany), (503, Unavailable), (502, Unreachable)])
async def test_a_busy_server_is_asked_again_and_found_well(
    gateway: Gateway, status: int, kind: type[RtcSttError]
) -> None:
    gateway.refusals, gateway.refuses_all = [(status, "later")], True
    async with Call(gateway.url, patience_s=0.1) as call:
        await until(lambda: len(call.ear.failures) == 2)
        assert call.ear.failures == [(kind, False), (kind, True)], "at once, and when patience ends"
        gateway.refusals = []
        await until(lambda: call.ear.states == [State.CONNECTED])


@pytest.mark.parametrize(
    ("code", "kind", "goes_on"),
    [
        ("overloaded", Unavailable, True),
        ("vad_failed", ServerError, True),
        ("quota_exceeded", QuotaExceeded, False),
        ("bad_audio", BadAudio, False),
    ],
)
async def test_why_a_session_ended_is_told(
    gateway: Gateway, code: str, kind: type[RtcSttError], goes_on: bool
) -> None:
    async with Call(gateway.url) as call:
        connection = await gateway.connection(1)
        await connection.tell(SessionError(at_ms=0, code=code, message="because", fatal=True))
        await connection.end(code)
        if goes_on:
            await gateway.connection(2)
        else:
            await asyncio.wait_for(call.running, 2)
    assert call.ear.failures == [(kind, True)]


async def test_a_broken_connection_is_the_clients_affair(gateway: Gateway) -> None:
    async with Call(gateway.url) as call:
        connection = await gateway.connection(1)
        await until(lambda: call.ear.states)
        connection.cut()
        again = await gateway.connection(2)
        await again.tell(SpeechStarted(at_ms=0, utterance_id=1, audio_start_ms=0))
        await until(lambda: len(call.ear.events) == 3)
    assert not call.ear.failures
    assert call.ear.states[:3] == [State.CONNECTED, State.RECONNECTING, State.CONNECTED]


def test_what_is_hopeless() -> None:
    hopeless = [Unauthorized("x"), Forbidden("x"), NotFound("x"), BadRequest("x"), QuotaExceeded("x")]
    assert all(map(is_hopeless, hopeless))
    assert not any(map(is_hopeless, [TooMany("x"), Unavailable("x"), Unreachable("x"), ServerError("x")]))
