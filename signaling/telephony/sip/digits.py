"""Keys that are pressed, out of RTP (RFC 4733 ``telephone-event``). Pure; time is an argument.

A press is a stream of packets with one timestamp, the last of which has the E bit and is sent three times.
It is told once: when its end comes, when the next press begins, or when nothing has come for a while, since
all three may be lost::

    packet of a timestamp that was told       a retransmission, or late: skipped
    ─ of the press that is open               its duration grows; E: told
    ─ right behind it, same key, no marker    another segment of one long press (§2.5.1.3)
    ─ newer                                   the open press is told, another one opens; E: told too
    ─ older                                   told where it has the E bit: a press that was overtaken

Sequence numbers are not looked at: some senders count events by themselves.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass

from signaling.rtp import RtpPacket, signed

__all__ = ["DigitReceiver", "Press"]

KEYS = "0123456789*#ABCD"
"""Events 0 to 15 (§3.2). Others are flashes, tones of fax machines and trunks."""

LOST_END_S = 0.5
"""Without a packet: senders repeat an event that goes on every 50 ms or less (§2.5.1.2)."""

FORGET_S = 2.0
"""A timestamp that was told may be another press by then: some senders play one recording twice."""

MAX_TOLD = 16

_EVENT = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class Press:
    """One key, pressed once."""

    digit: str
    duration_ms: int


@dataclass(slots=True)
class _Open:
    """A press that goes on."""

    key: tuple[int, int]
    """SSRC and timestamp."""
    event: int
    rate: int
    before: int
    """Ticks of its earlier segments."""
    ticks: int
    at: float

    def press(self) -> Press:
        return Press(KEYS[self.event], (self.before + self.ticks) * 1000 // self.rate)


class DigitReceiver:
    """The keys of one stream."""

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._told: OrderedDict[tuple[int, int], float] = OrderedDict()

    def receive(self, packet: RtpPacket, rate: int, now: float) -> list[Press]:
        """Take a packet of a telephone event.

        Args:
            rate: ticks of RTP time a second.
        """
        if len(packet.payload) < _EVENT.size:
            return []
        event, flags, ticks = _EVENT.unpack_from(packet.payload)
        if event >= len(KEYS):
            return []
        is_end, key = bool(flags & 0x80), (packet.ssrc, packet.timestamp)
        told_at = self._told.get(key)
        if told_at is not None and now < told_at + FORGET_S:
            self._told[key] = now
            return []
        presses = list[Press]()
        current = self._open
        if current is not None and current.key == key:
            current.ticks, current.at = max(current.ticks, ticks), now
        else:
            if current is not None and current.key[0] == key[0]:
                ahead = signed(key[1] - current.key[1], 32)
                if ahead < 0:
                    return self._tell(_Open(key, event, rate, 0, ticks, now), now) if is_end else []
                if event == current.event and not packet.marker and 0 <= ahead - current.ticks <= rate // 50:
                    self._remember(current.key, now)
                    current.key, current.before, current.ticks = key, current.before + current.ticks, ticks
                    current.at = now
                    return self._close(now) if is_end else []
            presses = self._close(now)
            self._open = _Open(key, event, rate, 0, ticks, now)
        return presses + self._close(now) if is_end else presses

    def handle_timer(self, now: float) -> list[Press]:
        """A press whose end has been lost. To be called now and then."""
        return self._close(now) if self._open and now >= self._open.at + LOST_END_S else []

    def flush(self, now: float) -> list[Press]:
        """A press that is open: the stream has ended."""
        return self._close(now)

    def _close(self, now: float) -> list[Press]:
        current, self._open = self._open, None
        return self._tell(current, now) if current else []

    def _tell(self, press: _Open, now: float) -> list[Press]:
        self._remember(press.key, now)
        return [press.press()]

    def _remember(self, key: tuple[int, int], now: float) -> None:
        self._told[key] = now
        self._told.move_to_end(key)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
