"""What a client may do below the data channel; after each abuse nothing has been raised into aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from struct import pack
from typing import Any

import pytest
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, InitChunk, SackChunk

from signaling.sctp import MAX_CHANNELS_OPENED, MAX_GAP, MAX_STREAMS, RECEIVE_WINDOW
from tests.line import Line, a_line, until

DCEP, STRING, BINARY = 50, 51, 53


@pytest.fixture
async def line(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Line]:
    """A connection that stands. At its end nobody may have logged a traceback of aiortc's reader."""
    async with a_line() as made:
        await made.connect()
        yield made
        await asyncio.sleep(0.05)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def attacker(line: Line) -> Any:
    """The client's SCTP, whose methods send what no honest client would."""
    return line.client.sctp


async def assert_alive(line: Line) -> None:
    """Messages and audio still arrive."""
    got: list[object] = []
    line.heard.channels[0].on("message", got.append)
    line.channel.send("are you there?")
    packets = len(line.heard.rtp)
    await until(lambda: "are you there?" in got and len(line.heard.rtp) > packets)
    assert line.transport.state == "connected"


def an_open(label: bytes) -> bytes:
    return pack("!BBHLHH", 3, 0, 0, 0, len(label), 0) + label


@pytest.mark.parametrize(
    ("stream", "protocol", "data", "reason"),
    [
        pytest.param(1, DCEP, an_open(b"rtc-stt"), "channel", id="a second OPEN of the stream"),
        pytest.param(9, DCEP, an_open(b"\xff\xfe"), "channel", id="a label that is no UTF-8"),
        pytest.param(9, DCEP, b"\x03\x00", "channel", id="half an OPEN"),
        pytest.param(9, DCEP, b"\x02", "channel", id="an ACK of nothing"),
        pytest.param(9, DCEP, b"\x77", "channel", id="an unknown message"),
        pytest.param(9, STRING, b"hello", "channel", id="a message without a channel"),
        pytest.param(1, STRING, b"\xff\xfe", "utf8", id="a string that is no UTF-8"),
        pytest.param(1, 4711, b"hello", "protocol", id="an unknown protocol"),
        pytest.param(1, 54, b"hello", "protocol", id="a deprecated protocol"),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_the_connection_goes_on(
    line: Line, stream: int, protocol: int, data: bytes, reason: str
) -> None:
    stream = line.channel.id if stream == 1 else stream
    await attacker(line)._send(stream, protocol, data)
    await until(lambda: line.heard.refused == [reason])
    assert not line.heard.violations
    await assert_alive(line)


async def test_a_string_that_is_no_utf8_arrives_as_bytes_so_that_it_can_be_answered(line: Line) -> None:
    got: list[object] = []
    line.heard.channels[0].on("message", got.append)
    await attacker(line)._send(line.channel.id, STRING, b"\xff\xfe")
    await until(lambda: got == [b"\xff\xfe"])


async def test_many_channels_are_a_violation(line: Line) -> None:
    for number in range(MAX_CHANNELS_OPENED + 5):
        line.client.createDataChannel(f"channel {number}")
    await until(lambda: line.heard.violations)
    assert line.heard.violations == ["channels"], "told once"
    assert len(line.heard.channels) == MAX_CHANNELS_OPENED


def a_chunk(sctp: Any, ahead: int, *, stream: int = 0, data: bytes = b"x", flags: int = 3) -> DataChunk:
    chunk = DataChunk()
    chunk.flags, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = (
        flags,
        stream,
        0,
        BINARY,
        data,
    )
    chunk.tsn = (sctp._local_tsn + ahead) % 2**32
    return chunk


async def test_more_than_the_window_is_a_violation(line: Line) -> None:
    """The first piece of a message that never ends."""
    sctp = attacker(line)
    for number in range(RECEIVE_WINDOW // 1_000 + 5):
        await sctp._send_chunk(a_chunk(sctp, number, data=b"x" * 1_000, flags=2 if number == 0 else 0))
        if number % 50 == 0:
            await asyncio.sleep(0.01)
    await until(lambda: line.heard.violations)
    assert line.heard.violations == ["window"]


@pytest.mark.parametrize("ahead", [MAX_GAP + 10, 100_000, 2**30])
async def test_a_number_far_ahead_is_a_violation(line: Line, ahead: int) -> None:
    """It would not fit into an acknowledgement, and aiortc would raise while it makes one."""
    sctp = attacker(line)
    await sctp._send_chunk(a_chunk(sctp, ahead))
    await until(lambda: line.heard.violations == ["window"])


async def test_many_streams_are_a_violation(line: Line) -> None:
    sctp = attacker(line)
    for number in range(MAX_STREAMS + 5):
        await sctp._send_chunk(a_chunk(sctp, number, stream=number))
    await until(lambda: line.heard.violations == ["streams"])


async def test_skipping_on_many_streams_is_a_violation(line: Line) -> None:
    sctp, chunk = attacker(line), ForwardTsnChunk()
    chunk.cumulative_tsn = sctp._local_tsn
    chunk.streams = [(number, 0) for number in range(250)]
    await sctp._send_chunk(chunk)
    await until(lambda: line.heard.violations == ["streams"])


async def test_acknowledging_a_million_gaps_is_a_violation_before_they_are_counted(line: Line) -> None:
    sctp, chunk = attacker(line), SackChunk()
    chunk.cumulative_tsn = line.transport._connection.sctp._last_sacked_tsn
    chunk.gaps = [(2, 65_535)] * 200
    begun = asyncio.get_running_loop().time()
    await sctp._send_chunk(chunk)
    await until(lambda: line.heard.violations == ["sack"])
    assert asyncio.get_running_loop().time() - begun < 0.5


async def test_what_raises_in_aiortc_is_a_violation_and_goes_no_further(line: Line) -> None:
    """An INIT goes alone: aiortc asserts it."""
    from aiortc import rtcsctptransport as module

    sctp, chunk = attacker(line), InitChunk()
    body = bytes(chunk)
    packet = module.serialize_packet(5000, 5000, 0, chunk)
    header, rest = packet[:12], packet[12:]
    doubled = pack("!HHL", 5000, 5000, 0) + pack("<L", module.crc32c(header[:8] + b"\0\0\0\0" + rest + body))
    await sctp.transport._send_data(doubled + rest + body)
    await until(lambda: line.heard.violations == ["sctp"])


async def test_after_a_violation_nothing_is_taken_any_more(line: Line) -> None:
    got: list[object] = []
    line.heard.channels[0].on("message", got.append)
    sctp = attacker(line)
    await sctp._send_chunk(a_chunk(sctp, 100_000))
    await until(lambda: line.heard.violations)
    line.channel.send("hello")
    await asyncio.sleep(0.1)
    assert not got
