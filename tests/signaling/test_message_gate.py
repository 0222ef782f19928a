"""What of a client's messages reaches its session."""

from __future__ import annotations

import pytest

from signaling.message_gate import (
    ACK_BURST,
    ACK_RATE,
    MAX_MESSAGE_BYTES,
    MESSAGE_BURST,
    MESSAGE_RATE,
    MessageGate,
)


class Gate:
    def __init__(self) -> None:
        self.received: list[str | bytes] = []
        self.complaints: list[str] = []
        self.refused: list[str] = []
        self.gate = MessageGate(
            self.received.append, lambda code, _: self.complaints.append(code), self.refused.append
        )


@pytest.mark.parametrize(
    ("message", "rate", "burst"),
    [("{}", MESSAGE_RATE, MESSAGE_BURST), ('{"type":"ack","seq":1}', ACK_RATE, ACK_BURST)],
)
def test_messages_have_a_rate_of_their_kind(message, rate, burst):
    client = Gate()
    for number in range(1_000):
        client.gate.take(message, number / 1_000)
    assert burst + rate - 2 <= len(client.received) <= burst + rate
    assert set(client.refused) == {"rate"}
    assert client.complaints == ["rate_limited"], "once a second at most"


@pytest.mark.parametrize(
    "message", ["x" * MAX_MESSAGE_BYTES, b"x" * MAX_MESSAGE_BYTES, "ü" * (MAX_MESSAGE_BYTES // 2)]
)
def test_a_message_has_a_longest(message):
    client = Gate()
    client.gate.take(message, 0.0)
    client.gate.take(message + message[:1], 0.0)
    assert client.received == [message]
    assert client.complaints == ["message_too_long"]
    assert client.refused == ["size"]
