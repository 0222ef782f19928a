"""RTP and RTCP as bytes."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSdesPacket
from hypothesis import given
from hypothesis import strategies as st

from signaling.rtp import (
    Goodbye,
    ReceptionStatistics,
    SenderReport,
    build_report,
    parse_rtcp,
    parse_rtp,
    signed,
)
from tests.rtp import rtp


@given(
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=40),
    payload_type=st.integers(0, 127),
    ssrc=st.integers(0, 0xFFFFFFFF),
    marker=st.booleans(),
    words=st.none() | st.integers(0, 5),
    sources=st.integers(0, 15),
    padding=st.integers(0, 255),
)
def test_what_was_packed_is_read(
    sequence: int,
    timestamp: int,
    payload: bytes,
    payload_type: int,
    ssrc: int,
    marker: bool,
    words: int | None,
    sources: int,
    padding: int,
) -> None:
    packet = parse_rtp(
        rtp(
            sequence,
            timestamp,
            payload,
            payload_type=payload_type,
            ssrc=ssrc,
            marker=marker,
            extension=None if words is None else bytes(4 * words),
            sources=sources,
            padding=padding,
        )
    )
    assert packet is not None
    assert (packet.sequence, packet.timestamp, packet.ssrc) == (sequence, timestamp, ssrc)
    assert (packet.payload_type, packet.marker, packet.payload) == (payload_type, marker, payload)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        rtp(1, 2, b"")[:11],
        bytes([0x40]) + rtp(1, 2, b"x")[1:],  # version 1
        bytes([0x8F]) + rtp(1, 2, b"x")[1:],  # fifteen sources in one byte
        bytes([0x90]) + rtp(1, 2, b"\xbe\xde\x00")[1:],  # half an extension
        bytes([0x90]) + rtp(1, 2, b"\xbe\xde\xff\xff")[1:],  # an extension longer than the packet
        bytes([0xA0]) + rtp(1, 2, b"\x00")[1:],  # padding of nothing
        bytes([0xA0]) + rtp(1, 2, b"\x09")[1:],  # more padding than there is payload
    ],
)
def test_what_contradicts_itself_is_none(data: bytes) -> None:
    assert parse_rtp(data) is None


@given(st.binary(max_size=80))
def test_nothing_that_comes_raises(data: bytes) -> None:
    packet = parse_rtp(data)
    assert packet is None or len(packet.payload) <= len(data) - 12
    assert len(parse_rtcp(data)) <= 16


@given(st.integers(-(2**40), 2**40), st.sampled_from([16, 32]))
def test_differences_go_the_shorter_way_round(difference: int, bits: int) -> None:
    assert signed(difference, bits) % 2**bits == difference % 2**bits
    assert -(2 ** (bits - 1)) <= signed(difference, bits) < 2 ** (bits - 1)


def sender_report(ssrc: int) -> bytes:
    return struct.pack("!BBHIIIIII", 0x80, 200, 6, ssrc, 0x1122AABB, 0xCCDD3344, 960, 1, 100)


def goodbye(*ssrcs: int) -> bytes:
    return struct.pack(f"!BBH{len(ssrcs)}I", 0x80 | len(ssrcs), 203, len(ssrcs), *ssrcs)


class TestCompounds:
    def test_a_sender_report_and_a_goodbye_are_found(self) -> None:
        feedback = struct.pack("!BBHII", 0x81, 205, 2, 1, 2)
        assert parse_rtcp(sender_report(7) + feedback + goodbye(7, 8)) == [
            SenderReport(7, 0xAABBCCDD, 960),
            Goodbye((7, 8)),
        ]

    def test_what_is_cut_off_is_left_out(self) -> None:
        assert parse_rtcp(sender_report(7) + goodbye(7)[:-1]) == [SenderReport(7, 0xAABBCCDD, 960)]

    def test_a_goodbye_cannot_name_more_than_it_holds(self) -> None:
        assert parse_rtcp(struct.pack("!BBHI", 0x80 | 31, 203, 1, 7)) == []

    def test_a_flood_of_packets_is_read_in_part(self) -> None:
        assert len(parse_rtcp(goodbye(7) * 300)) == 16


class TestStatistics:
    def test_losses_since_the_last_report_and_in_all(self) -> None:
        statistics = ReceptionStatistics(48_000)
        for number in range(100):
            if number % 4:
                statistics.receive(65_500 + number & 0xFFFF, number * 960, number * 0.02)
        fraction, lost, highest, *_ = statistics.report_block(2.0)
        assert (lost, highest) == (24, 65_500 + 99)  # the first one was never known of
        assert fraction == (24 << 8) // 99
        assert statistics.report_block(3.0)[:2] == (0, 24)

    def test_jitter_is_that_of_the_formula(self) -> None:
        statistics, expected = ReceptionStatistics(8_000), 0.0
        for number in range(200):
            statistics.receive(number, number * 160, number * 0.02 + (0.005 if number % 2 else 0.0))
            if number:
                expected += (0.005 - expected) / 16
        assert statistics.jitter_s == pytest.approx(expected, rel=1e-6)

    def test_a_pause_is_no_jitter(self) -> None:
        statistics = ReceptionStatistics(48_000)
        for number, at in enumerate([0.0, 0.02, 60.02, 60.04]):
            statistics.receive(number, number * 960, at)
        assert statistics.jitter_s == 0.0

    def test_a_restart_keeps_what_was_lost(self) -> None:
        statistics = ReceptionStatistics(48_000)
        for number in (10, 11, 13, 50_000, 50_001):
            statistics.receive(number, 0, 0.0)
        statistics.restart(50_000)
        assert (statistics.expected, statistics.lost) == (6, 1)

    def test_the_sender_hears_when_its_report_came(self) -> None:
        statistics = ReceptionStatistics(48_000)
        statistics.receive(1, 0, 10.0)
        assert statistics.report_block(10.0)[4:] == (0, 0)
        statistics.receive_sender_report(SenderReport(7, 0xAABBCCDD, 0), 10.0)
        assert statistics.report_block(10.5)[4:] == (0xAABBCCDD, 32_768)


def test_a_report_is_read_by_others() -> None:
    statistics = ReceptionStatistics(48_000)
    for number in (1, 2, 4, 4, 4, 4):  # three duplicates: fewer lost than none
        statistics.receive(number, number * 960, number * 0.02)
    report = build_report(5, 7, statistics.report_block(1.0), "someone")
    rr, sdes = RtcpPacket.parse(report)
    assert isinstance(rr, RtcpRrPacket)
    assert isinstance(sdes, RtcpSdesPacket)
    (block,) = rr.reports
    assert (rr.ssrc, block.ssrc, block.packets_lost, block.highest_sequence) == (5, 7, -2, 4)
    assert [(chunk.ssrc, chunk.items) for chunk in sdes.chunks] == [(5, [(1, b"someone")])]
