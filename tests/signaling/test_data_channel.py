"""Events out, commands in, and nothing that could harm the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from rtc_stt.commands import Command
from rtc_stt.events import DropReason, Pong, UtteranceDropped
from signaling.data_channel import MAX_OUTSTANDING_BYTES, MAX_WAITING, TICK_INTERVAL_S, EventChannel
from signaling.dialects.native import LABEL, Native
from signaling.message_gate import ACK_BURST, MAX_MESSAGE_BYTES, MESSAGE_BURST


class Wire:
    """Stands in for aiortc's channel: what it sends and is sent."""

    def __init__(self, label: str = LABEL, state: str = "open") -> None:
        self.label, self.readyState = label, state
        self.sent: list[str] = []
        self.closed = False
        self.broken = False
        self._handlers: dict[str, Callable[..., None]] = {}

    def on(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers[event] = handler

    def emit(self, event: str, *arguments: Any) -> None:
        self._handlers[event](*arguments)

    def send(self, text: str) -> None:
        if self.broken:
            raise ConnectionError
        self.sent.append(text)

    def close(self) -> None:
        self.closed = True


TICK = Native.tick


class Client:
    """Whose channel it is."""

    def __init__(self, receive: Callable[[str | bytes], None] | None = None) -> None:
        self.now = 0.0
        self.received: list[str | bytes] = []
        self.complaints: list[str] = []
        self.given_up: list[str] = []
        self.refused: list[str] = []
        self.outstanding = 0
        self.asked: list[Command] = []
        self._receive = receive or self.received.append
        self.channel = EventChannel(self, lambda: self.outstanding, lambda: self.now)

    def receive_message(self, message: str | bytes) -> None:
        self._receive(message)

    def receive_command(self, command: Command) -> None:
        self.asked.append(command)

    def complain(self, code: str, message: str) -> None:
        self.complaints.append(code)

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)

    def refuse_message(self, reason: str) -> None:
        self.refused.append(reason)

    def told(self, number: int) -> None:
        self.channel.send(Pong(at_ms=0, seq=number, id="x"))

    def told_what_lasts(self, number: int) -> None:
        self.channel.send(UtteranceDropped(at_ms=0, seq=number, utterance_id=1, reason=DropReason.NO_SPEECH))


def numbers(wire: Wire) -> list[int]:
    return [json.loads(text)["seq"] for text in wire.sent]


def test_events_wait_until_the_client_has_opened_its_channel():
    client, wire = Client(), Wire()
    client.told(1)
    client.told(2)
    assert not client.channel.is_attached
    client.channel.attach(wire)
    client.told(3)
    assert numbers(wire) == [1, 2, 3]


def test_events_wait_while_the_channel_is_not_open_yet():
    client, wire = Client(), Wire(state="connecting")
    client.channel.attach(wire)
    client.told(1)
    assert wire.sent == []
    wire.readyState = "open"
    client.told(2)
    assert numbers(wire) == [1, 2]


def test_a_client_that_never_opens_a_channel_is_given_up_and_costs_no_memory():
    client = Client()
    for number in range(MAX_WAITING + 1):
        client.told(number)
    assert client.given_up == ["no_data_channel"]


def test_a_client_that_does_not_read_is_given_up():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    client.outstanding = MAX_OUTSTANDING_BYTES + 1
    client.told(1)
    assert client.given_up == ["client_does_not_read"]
    assert wire.sent == []


def test_channels_that_are_none_of_ours_and_second_ones_are_closed():
    client, stranger, wire, second = Client(), Wire("chat"), Wire(), Wire()
    assert [client.channel.attach(channel) for channel in (stranger, wire, second)] == [False, True, False]
    assert (stranger.closed, wire.closed, second.closed) == (True, False, True)
    assert client.refused == ["channel", "channel"]
    client.told(1)
    assert numbers(wire) == [1]


def test_a_channel_that_closes_under_an_event_does_no_harm():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    wire.broken = True
    client.told(1)
    wire.emit("close")
    assert client.given_up == ["data_channel_closed"]
    assert wire.sent == []


def test_messages_of_the_client_are_handed_on():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    wire.emit("message", "hello")
    wire.emit("message", b"\xff")
    assert client.received == ["hello", b"\xff"]


def test_too_many_messages_are_skipped_and_complained_of_once_a_second():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    for _ in range(MESSAGE_BURST + 20):
        wire.emit("message", "x")
    assert len(client.received) == MESSAGE_BURST
    assert client.complaints == ["rate_limited"]
    assert client.refused == ["rate"] * 20
    client.now = 1.0
    wire.emit("message", "x")
    assert len(client.received) == MESSAGE_BURST + 1


def test_a_handler_that_raises_does_not_reach_the_connection(caplog):
    def raises(_: object) -> None:
        raise RuntimeError("what was said")

    client, wire = Client(raises), Wire()
    client.channel.attach(wire)
    wire.emit("message", "x")
    assert "could not be handled" in caplog.text


@pytest.mark.parametrize("state", ["connecting", "closing", "closed"])
def test_nothing_is_sent_through_a_channel_that_is_not_open(state):
    client, wire = Client(), Wire(state=state)
    client.channel.attach(wire)
    client.told(1)
    assert wire.sent == []


@pytest.mark.parametrize(
    "message", ["x" * (MAX_MESSAGE_BYTES + 1), "é" * (MAX_MESSAGE_BYTES // 2 + 1), b"x" * 20_000]
)
def test_a_message_that_is_too_long_is_complained_of_and_not_handed_on(message):
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    wire.emit("message", message)
    wire.emit("message", "x" * MAX_MESSAGE_BYTES)
    assert (client.complaints, client.refused) == (["message_too_long"], ["size"])
    assert client.received == ["x" * MAX_MESSAGE_BYTES]


def test_acknowledgements_are_counted_apart():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    for _ in range(ACK_BURST + 5):
        wire.emit("message", '{"type":"ack","seq":7}')
    assert len(client.received) == ACK_BURST
    wire.emit("message", '{"type":"ping","id":"1"}')
    assert client.received[-1] == '{"type":"ping","id":"1"}'


async def test_ticks_follow_what_lasts_and_come_to_an_end():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    client.told_what_lasts(1)
    assert len(wire.sent) == 1, "not at once: they are to come after it, on their own"
    await asyncio.sleep(8 * TICK_INTERVAL_S)
    assert wire.sent[1:] == [TICK, TICK, TICK]
    client.told(2)
    await asyncio.sleep(3 * TICK_INTERVAL_S)
    assert wire.sent[-1] != TICK, "what is replaced by the next needs none"


async def test_events_that_follow_serve_as_ticks():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    client.told_what_lasts(1)
    for number in (2, 3, 4):
        client.told(number)
    await asyncio.sleep(8 * TICK_INTERVAL_S)
    assert numbers(wire) == [1, 2, 3, 4]
    client.told_what_lasts(5)
    client.told(6)
    await asyncio.sleep(8 * TICK_INTERVAL_S)
    assert wire.sent[6:] == [TICK, TICK]


async def test_no_tick_comes_after_the_end():
    client, wire = Client(), Wire()
    client.channel.attach(wire)
    client.told_what_lasts(1)
    client.channel.close()
    await asyncio.sleep(3 * TICK_INTERVAL_S)
    assert len(wire.sent) == 1
