"""RTP and RTCP as bytes (RFC 3550). Pure: what cannot be read is None, never an exception.

Nothing here is encrypted: SRTP is taken off before and put on after.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = [
    "MAX_DROPOUT",
    "MAX_MISORDER",
    "Goodbye",
    "ReceptionStatistics",
    "RtpPacket",
    "SenderReport",
    "build_report",
    "parse_rtcp",
    "parse_rtp",
    "signed",
]

MAX_RTCP_PACKETS = 16
"""Of one compound are looked at. A browser sends two or three."""

MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""A sequence number further ahead or behind is not believed before the next one confirms it (§A.1)."""

MAX_SOURCES = 31
"""The five bits of a BYE's count can say no more (RFC 3550 §6.6)."""

_HEADER = struct.Struct("!BBHII")
_REPORT = struct.Struct("!BBHIIIIIII")
_SENDER_INFO = struct.Struct("!IIIIII")

_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
_CNAME = 1


@dataclass(slots=True, init=False)  # as AudioFrame
class RtpPacket:
    """One RTP packet (§5.1)."""

    payload_type: int
    marker: bool
    sequence: int
    """16 bits."""
    timestamp: int
    """32 bits, in ticks of the codec's RTP clock."""
    ssrc: int
    payload: bytes
    """Without padding; empty where a packet is padding only."""

    def __init__(
        self, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes
    ) -> None:
        self.payload_type = payload_type
        self.marker = marker
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload


def parse_rtp(data: bytes) -> RtpPacket | None:
    """The packet in a datagram; None where it is none, or where its lengths contradict each other."""
    size = len(data)
    if size < 12:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first & 0xC0 != 0x80:
        return None
    start, end = 12, size
    if first & 0x3F:  # padding, an extension, contributing sources
        start += (first & 0x0F) * 4
        if first & 0x10:
            if start + 4 > size:
                return None
            start += 4 + 4 * (data[start + 2] << 8 | data[start + 3])
        if first & 0x20:
            padding = data[-1]
            if padding == 0:
                return None
            end -= padding
        if start > end:
            return None
    return RtpPacket(second & 0x7F, second & 0x80 != 0, sequence, timestamp, ssrc, data[start:end])


def signed(difference: int, bits: int) -> int:
    """A difference of wrapping counters as the shorter way round: in ``[-2^(bits-1), 2^(bits-1))``."""
    half = 1 << (bits - 1)
    return ((difference + half) & ((1 << bits) - 1)) - half


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What of an SR a receiver needs (§6.4.1)."""

    ssrc: int
    ntp_middle: int
    """The middle 32 bits of the NTP timestamp: the LSR of our report."""
    rtp_timestamp: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A BYE (§6.6)."""

    ssrcs: tuple[int, ...]


def parse_rtcp(data: bytes) -> list[SenderReport | Goodbye]:
    """The sender reports and goodbyes of a compound; what else is in it, or cannot be read, is left out."""
    found: list[SenderReport | Goodbye] = []
    at = 0
    for _ in range(MAX_RTCP_PACKETS):
        if at + 4 > len(data) or data[at] & 0xC0 != 0x80:
            break
        end = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
        if end > len(data):
            break
        kind, count = data[at + 1], data[at] & MAX_SOURCES
        if kind == _SR and end - at >= 28:
            ssrc, seconds, fraction, timestamp, _, _ = _SENDER_INFO.unpack_from(data, at + 4)
            middle = (seconds & 0xFFFF) << 16 | fraction >> 16
            found.append(SenderReport(ssrc, middle, timestamp))
        elif kind == _BYE and end - at >= 4 + 4 * count:
            found.append(Goodbye(struct.unpack_from(f"!{count}I", data, at + 4)))
        at = end
    return found


class ReceptionStatistics:
    """What a receiver reports of one source: losses by §A.3, jitter by §A.8.

    Args:
        clock_rate: ticks of RTP time a second.
    """

    def __init__(self, clock_rate: int) -> None:
        self._clock_rate = clock_rate
        self._first: int | None = None
        self._highest = 0
        self._received = 0
        self._jitter = 0.0
        self._transit = 0.0
        self._last_timestamp: int | None = None
        self._expected_before = 0
        self._received_before = 0
        self._sender_report: tuple[int, float] | None = None

    def receive(self, sequence: int, timestamp: int | None, now: float) -> None:
        """Count a packet, in whatever order it comes. A duplicate counts too, as §6.4.1 wants it.

        Args:
            timestamp: None where it does not say when the packet was sent.
        """
        self._received += 1
        if self._first is None:
            self._first = self._highest = sequence
        else:
            ahead = (sequence - self._highest) & 0xFFFF  # one behind the highest is far ahead
            if 0 < ahead < MAX_DROPOUT:
                self._highest += ahead
        if timestamp is None:
            return
        # The difference is taken of wrapping ticks, so that 32 bits may overflow (§A.8).
        arrival = now * self._clock_rate
        if self._last_timestamp is not None:
            passed = timestamp - self._last_timestamp
            if not 0 <= passed < 0x80000000:
                passed = signed(passed, 32)
            difference = abs(arrival - self._transit - passed)
            # A pause of the sender or a restart of its clock says nothing about the network.
            if difference < self._clock_rate:
                self._jitter += (difference - self._jitter) / 16
        self._transit = arrival
        self._last_timestamp = timestamp

    def restart(self, sequence: int) -> None:
        """The sender has begun a new count at ``sequence``, and the one after it has come too (§A.1).

        What was expected and received before stays.
        """
        self._first = sequence - self.expected
        self._highest = sequence + 1

    def receive_sender_report(self, report: SenderReport, now: float) -> None:
        """Remember when which report came, for LSR and DLSR."""
        self._sender_report = (report.ntp_middle, now)

    @property
    def expected(self) -> int:
        """Packets that the sender has sent as far as its sequence numbers tell."""
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def lost(self) -> int:
        """Cumulative number of packets lost (§6.4.1); duplicates may make it negative."""
        return self.expected - self._received

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter / self._clock_rate

    def report_block(self, now: float) -> tuple[int, int, int, int, int, int]:
        """Fraction lost, cumulative lost, extended highest sequence number, jitter, LSR and DLSR (§6.4.1).

        The fraction is of the time since the last call.
        """
        expected = self.expected - self._expected_before
        received = self._received - self._received_before
        self._expected_before, self._received_before = self.expected, self._received
        missing = expected - received
        fraction = 0 if expected <= 0 or missing <= 0 else min(255, (missing << 8) // expected)
        lost = max(-0x800000, min(0x7FFFFF, self.lost))
        last, delay = 0, 0
        if self._sender_report is not None:
            last, came_at = self._sender_report
            delay = max(0, min(0xFFFFFFFF, int((now - came_at) * 65_536)))
        return fraction, lost & 0xFFFFFF, self._highest & 0xFFFFFFFF, int(self._jitter), last, delay


def build_report(
    local_ssrc: int, remote_ssrc: int, block: tuple[int, int, int, int, int, int], cname: str
) -> bytes:
    """A compound of a receiver report with one block and the SDES CNAME that §6.1 demands.

    Args:
        block: of :meth:`ReceptionStatistics.report_block`.
        cname: at most 255 bytes of UTF-8.
    """
    fraction, lost, highest, jitter, last, delay = block
    report = _REPORT.pack(
        0x81,
        _RR,
        7,
        local_ssrc,
        remote_ssrc,
        fraction << 24 | lost,
        highest,
        jitter & 0xFFFFFFFF,
        last,
        delay,
    )
    name = cname.encode()
    chunk = struct.pack("!IBB", local_ssrc, _CNAME, len(name)) + name
    chunk += b"\0" * (4 - len(chunk) % 4)  # ends with at least one zero, on a border of 32 bits (§6.5)
    return report + struct.pack("!BBH", 0x81, _SDES, len(chunk) // 4) + chunk
