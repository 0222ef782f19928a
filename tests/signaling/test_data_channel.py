"""Events out, commands in, and nothing that could harm the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rtc_stt.commands import Command, Mute, Stop
from rtc_stt.events import DropReason, Event, Pong, UtteranceDropped
from signaling import data_channel
from signaling.audio_format import AudioFormat
from signaling.data_channel import MAX_OUTSTANDING_BYTES, MAX_WAITING, TICK_INTERVAL_S, EventChannel
from signaling.dialects.dialect import Act, Ask, Beginning, Hear, Leave, Say
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

    def __init__(
        self,
        receive: Callable[[str | bytes], None] | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        self.now = 0.0
        self.received: list[str | bytes] = []
        self.complaints: list[str] = []
        self.given_up: list[str] = []
        self.refused: list[str] = []
        self.outstanding = 0
        self.asked: list[Command] = []
        self._receive = receive or self.received.append
        self.channel = EventChannel(self, lambda: self.outstanding, lambda: self.now, beginning)

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
    client, stranger, wire, second = Client(), Wire("stranger"), Wire(), Wire()
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


# ── Other dialects ──


class Curt:
    """Says one word of each event; does as it is told in as few."""

    resumes = False
    tick: str | None = None

    def __init__(self, beginning: Beginning) -> None:
        self.beginning = beginning

    def begin(self) -> Sequence[Act]:
        return Say(f"hello {self.beginning.text}"), Ask(Mute(True))

    def receive(self, message: str | bytes) -> Sequence[Act]:
        match message:
            case "audio":
                return (Hear(AudioFormat("pcm_s16le", 16_000, 1), b"\x00"),)
            case "leave":
                return Say("bye"), Leave(1000, "bye")
        return Ask(Stop()), Say("so be it")

    def tell(self, event: Event) -> Sequence[Act]:
        return (Say(event.type),)

    def farewell(self, reason: str) -> tuple[int, str]:
        raise AssertionError("a data channel has no words to close with")


@pytest.fixture
def curt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_channel, "LABELS", {**data_channel.LABELS, "curt": Curt})


@pytest.mark.usefixtures("curt")
def test_the_label_says_which_dialect_is_spoken():
    client, wire = Client(beginning=Beginning(text="you")), Wire("curt")
    client.told(1)
    assert client.channel.attach(wire)
    wire.emit("message", "stop")
    client.told(2)
    assert wire.sent == ["hello you", "pong", "so be it", "pong"]
    assert client.asked == [Mute(True), Stop()]
    assert client.received == []
    assert not client.channel.resumes, "its client knows no token"


@pytest.mark.usefixtures("curt")
def test_of_two_channels_the_first_is_spoken_over():
    client, wire, ours = Client(), Wire("curt"), Wire()
    assert [client.channel.attach(channel) for channel in (wire, ours)] == [True, False]
    assert ours.closed


@pytest.mark.usefixtures("curt")
def test_what_a_dialect_says_waits_until_the_channel_is_open():
    client, wire = Client(), Wire("curt", state="connecting")
    client.channel.attach(wire)
    assert wire.sent == []
    assert client.asked == [Mute(True)]
    wire.readyState = "open"
    client.told(1)
    assert wire.sent == ["hello ", "pong"]


@pytest.mark.usefixtures("curt")
def test_who_leaves_says_first_what_is_to_be_said():
    client, wire = Client(), Wire("curt")
    client.channel.attach(wire)
    wire.emit("message", "leave")
    assert wire.sent == ["hello ", "bye"]
    assert client.asked == [Mute(True), Stop()], "the end of the session sees that all arrives"


@pytest.mark.usefixtures("curt")
def test_audio_comes_as_a_track_and_not_over_the_channel():
    client, wire = Client(), Wire("curt")
    client.channel.attach(wire)
    wire.emit("message", "audio")
    assert client.refused == ["binary"]


@pytest.mark.usefixtures("curt")
def test_limits_are_the_same_in_every_dialect():
    client, wire = Client(), Wire("curt")
    client.channel.attach(wire)
    for _ in range(MESSAGE_BURST + 20):
        wire.emit("message", "x")
    wire.emit("message", "x" * (MAX_MESSAGE_BYTES + 1))
    assert client.asked.count(Stop()) == MESSAGE_BURST
    assert client.complaints == ["rate_limited"]
    client.outstanding = MAX_OUTSTANDING_BYTES + 1
    client.told(1)
    assert client.given_up == ["client_does_not_read"]


@pytest.mark.usefixtures("curt")
async def test_a_dialect_without_a_tick_gets_none():
    client, wire = Client(), Wire("curt")
    client.channel.attach(wire)
    client.told_what_lasts(1)
    await asyncio.sleep(4 * TICK_INTERVAL_S)
    assert wire.sent == ["hello ", "utterance.dropped"]
