"""The jitter buffer: packets in, decisions out. Pure; time is an argument.

A packet that is the next one is played at once: a network that keeps order pays no delay. If one is
missing, those behind it wait, as long as the jitter and the reordering of this stream make it likely that it
still comes, :data:`MAX_WAIT_S` at most. Then the gap is bridged. Its length is told by the timestamps, never
by a count of packets:

    ├─ packet ─┼──── conceal ────┼───── lose ─────┼──── pause ────┼─ recover ─┼─ packet ─┤
                 ≤ 200 ms in a     as much as the   what no lost    from the FEC of the
                 row               packets lacking   packet held     packet behind the gap
                                   can have held

So the sum of what is decided is the time of the sender, and no loss shifts what follows it. A gap of the
timestamps without a gap of the sequence numbers is all pause: the sender was silent.

What a sender can do to us is bounded: no more media time passes than real time (:data:`SILENCE_SLACK_S`,
:data:`MEDIA_SLACK_S`), no more than :data:`MAX_WAITING` packets wait, one call decides on :data:`MAX_SLICE_S`
of silence at most, and timestamps that cannot be true are replaced by the clock.

All times of media are in ticks of the stream's RTP clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from signaling.rtp import MAX_DROPOUT, MAX_MISORDER, ReceptionStatistics, signed

__all__ = ["Conceal", "Decision", "JitterBuffer", "Lose", "Packet", "Pause", "Recover"]

MAX_WAIT_S = 0.06
"""No packet waits longer for one before it: beyond this a listener prefers the hole."""

MIN_WAIT_S = 0.01
"""Neighbours that overtake each other on one host do so by less."""

FIRST_WAIT_S = 0.03
"""What a late packet is expected to take before anything is known of the network."""

FORGET_S = 10.0
"""Half-life of the memory of the latest packet."""

MAX_WAITING = 64
"""Packets; those that wait 60 ms are three of 20 ms, or 24 of 2.5 ms."""

DEPTH_S = 0.08
DEPTH = 3
"""So much media and so many packets behind a gap, come in a burst: what is missing is not on the way."""

CONCEAL_S = 0.2
"""In a row; what a codec makes up beyond that is noise of its own invention."""

MAX_SLICE_S = 2.048
"""Of silence in one call, 64 windows of the detector. The rest follows in calls of their own: the deadline is
past until then."""

SILENCE_SLACK_S = 2.0
"""By so much silence may bring media time before real time."""

MEDIA_SLACK_S = 30.0
"""By so much packets may: a queue in the network that empties is legitimate, and so is an utterance that is
said again to the gateway that goes on where another died. A flood is not."""

DRIFT = 1.01
"""A sender's clock may be 1 % fast."""

SETTLE_S = 0.06
"""Differences between media time and clock below this are jitter."""

OVERLAP_S = 0.12
"""A packet may begin so much before the end of the one before it; beyond this its clock was set anew."""

NEAR_S = 10.0
"""A telephone event keeps the timestamp of its begin for as long as the key is held."""

MAX_FLUSH_S = 5.0
"""Of silence at the end of a stream."""

_DUPLICATES = (1 << 128) - 1


@dataclass(slots=True)
class Packet:
    """A packet that is to be decoded and played."""

    sequence: int
    timestamp: int
    duration: int
    """Ticks; 0 for a packet without audio, which only takes its place in the order."""
    payload: bytes
    payload_type: int
    arrived: float
    broken: bool = False
    """Its payload cannot be decoded: its time is concealed."""


@dataclass(slots=True)
class Recover:
    """Decode the forward error correction in ``packet``: ``ticks`` of audio just before it."""

    ticks: int
    packet: Packet


@dataclass(slots=True)
class Conceal:
    """Let the codec make up ``ticks``."""

    ticks: int


@dataclass(slots=True)
class Lose:
    """``ticks`` of silence for what nobody knows."""

    ticks: int


@dataclass(slots=True)
class Pause:
    """``ticks`` of silence that the sender meant."""

    ticks: int


Decision = Packet | Recover | Conceal | Lose | Pause


class JitterBuffer:
    """See above. One for each stream: an SSRC with one clock rate.

    Args:
        clock_rate: ticks a second.
        statistics: its jitter is a hint of how long to wait.
        recoverable: of a payload, the ticks before it that its forward error correction covers; 0 for none.
        begun: when the first stream of the track began, where this is not the first one.
        decided: ticks that those before it have decided on.
    """

    def __init__(
        self,
        clock_rate: int,
        statistics: ReceptionStatistics,
        recoverable: Callable[[Packet], int],
        *,
        begun: float | None = None,
        decided: int = 0,
    ) -> None:
        self._rate = clock_rate
        self._statistics = statistics
        self._recoverable = recoverable
        self._begun = begun
        self._decided = decided
        self._next: int | None = None
        """The next sequence number, unwrapped."""
        self._due = 0
        """The timestamp at which the next packet should begin, 32 bits."""
        self.usual = 0
        """Ticks in the last packet with audio; 0 before the first."""
        self._waiting: dict[int, Packet] = {}
        self._plan: deque[Decision] = deque()
        """Decided and not yet told: a long silence, and the packet behind it."""
        self._missing = 0
        """Packets given up before one without audio: the next with audio says how much time they held."""
        self._came = 0
        """A bit for each of the sequence numbers before the next one: it has come."""
        self._concealed = 0
        """Ticks, in a row."""
        self._suspect: Packet | None = None
        self._gap_at: float | None = None
        """When the latest gap showed."""
        self._reorder = FIRST_WAIT_S
        self._reorder_at = 0.0
        self._wait = FIRST_WAIT_S
        self.late = 0
        """Packets that came after they were given up."""
        self.duplicate = 0
        self.refused = 0
        """Packets in excess of real time, or of what may wait."""
        self.recovered = 0
        self.concealed = 0
        """Packets for which the codec made something up."""
        self.lost = 0
        """Packets that became silence."""

    @property
    def decided(self) -> int:
        """Ticks of media in all decisions so far, those of streams before this one included."""
        return self._decided

    def is_near(self, sequence: int, timestamp: int) -> bool:
        """Whether a packet without audio of its own belongs among those of this stream."""
        if self._next is None:
            return False
        behind, ahead = signed(sequence - self._next, 16), signed(timestamp - self._due, 32)
        return -MAX_MISORDER <= behind < MAX_WAITING and abs(ahead) < NEAR_S * self._rate

    # ── In ──

    def receive(self, packet: Packet, now: float) -> list[Decision]:
        """Take a packet; what can be played now, in order."""
        if self._next is None:
            self._begin(packet, now)
        assert self._next is not None
        if not packet.broken and self.passes(packet.sequence, packet.timestamp, packet.duration, now):
            return [packet]
        ahead = signed(packet.sequence - self._next, 16)
        if ahead < 0 or ahead >= MAX_DROPOUT:
            if -MAX_MISORDER <= ahead < 0:
                self._receive_late(ahead, now)
                return []
            return self._doubt(packet, now)
        sequence = self._next + ahead
        if sequence in self._waiting:
            self.duplicate += 1
            return []
        if len(self._waiting) >= MAX_WAITING:
            self.refused += 1
            return []
        if ahead:
            if not self._waiting:
                self._gap_at = now
                self._choose_wait(now)
        elif self._waiting and self._gap_at is not None:
            self._remember_reordering(now - self._gap_at, now)
        self._waiting[sequence] = packet
        return self._take(now)

    def passes(self, sequence: int, timestamp: int, duration: int, now: float) -> bool:
        """Whether a packet goes on where the last one ended, as nearly all do.

        If so it has been decided on: whoever asks plays it, and nothing is kept or planned. If not, nothing
        has happened, and it is to be taken by :meth:`receive`.

        Args:
            duration: of audio that can be decoded, in ticks; 0 for none.
        """
        if (
            timestamp != self._due
            or self._next is None
            or sequence != self._next & 0xFFFF
            or self._waiting
            or self._plan
            or self._missing
            or not 0 < duration <= self._room(now, MEDIA_SLACK_S)
        ):
            return False
        self._next += 1
        self._came = (self._came << 1 | 1) & _DUPLICATES
        self._due = (timestamp + duration) & 0xFFFFFFFF
        self._concealed, self.usual = 0, duration
        self._decided += duration
        return True

    def handle_timer(self, now: float) -> list[Decision]:
        """What is decided because time has passed."""
        return self._take(now)

    def next_deadline(self) -> float | None:
        """When to call :meth:`handle_timer`; a time in the past where more is decided than was told."""
        if self._plan:
            return 0.0
        if self._waiting:
            return self._oldest() + self._wait
        return None

    def flush(self, now: float) -> list[Decision]:
        """All that waits, without waiting. A silence longer than some seconds is cut short."""
        decisions: list[Decision] = []
        left = round(MAX_FLUSH_S * self._rate)
        while True:
            left = self._tell(decisions, left)
            while self._plan:  # silence beyond the limit is left out, what is behind it is not
                step = self._plan[0]
                if isinstance(step, (Lose, Pause)):
                    self._decided -= step.ticks
                    self._plan.popleft()
                self._tell(decisions, 0)
            if not self._waiting:
                return decisions
            self._schedule_next(now)

    # ── Order ──

    def _take(self, now: float) -> list[Decision]:
        decisions: list[Decision] = []
        left = round(MAX_SLICE_S * self._rate)
        while True:
            left = self._tell(decisions, left)
            if self._plan or not self._waiting:
                return decisions
            if self._next not in self._waiting and not self._gives_up(now):
                return decisions
            self._schedule_next(now)

    def _schedule_next(self, now: float) -> None:
        """Plan the first packet that waits, and what is to be in place of those before it."""
        assert self._next is not None
        sequence = self._next if self._next in self._waiting else min(self._waiting)
        missing = sequence - self._next
        packet = self._waiting.pop(sequence)
        self._came = (self._came << (missing + 1) | 1) & _DUPLICATES if missing < 128 else 1
        self._next = sequence + 1
        if self._waiting and self._next not in self._waiting:
            self._gap_at = self._oldest()
            self._choose_wait(now)
        self._missing += missing
        if packet.duration:
            self._schedule(packet, now)

    def _gives_up(self, now: float) -> bool:
        if now >= self._oldest() + self._wait - 0.0005:  # a timer may fire a little early
            return True
        waiting = self._waiting.values()
        return len(waiting) >= DEPTH and sum(packet.duration for packet in waiting) >= DEPTH_S * self._rate

    def _oldest(self) -> float:
        return min(packet.arrived for packet in self._waiting.values())

    def _receive_late(self, ahead: int, now: float) -> None:
        bit = 1 << (-ahead - 1)
        if self._came & bit:
            self.duplicate += 1
            return
        self._came |= bit
        self.late += 1
        if self._gap_at is not None:
            self._remember_reordering(now - self._gap_at, now)

    def _doubt(self, packet: Packet, now: float) -> list[Decision]:
        """A sequence number far away: a new count, if the next packet confirms it (RFC 3550 §A.1)."""
        before, self._suspect = self._suspect, packet
        if before is None or (before.sequence + 1) & 0xFFFF != packet.sequence:
            self.late += before is not None
            return []
        self._suspect = None
        decisions = self.flush(now)
        self._statistics.restart(before.sequence)
        self._next, self._came, self._gap_at = before.sequence, 0, None
        gap = signed(before.timestamp - self._due, 32)
        if 0 <= gap <= self._room(now, SILENCE_SLACK_S) and self.usual:
            self._missing += gap // self.usual  # the same clock goes on
        else:
            self._set_clock(before, now)
        self._waiting[self._next] = before
        self._waiting[self._next + 1] = packet
        return decisions + self._take(now)

    # ── How long to wait ──

    def _choose_wait(self, now: float) -> None:
        expected = self._reordering(now) * 1.25 + 0.005
        self._wait = min(MAX_WAIT_S, max(MIN_WAIT_S, expected, 2 * self._statistics.jitter_s))

    def _reordering(self, now: float) -> float:
        """By how much packets come after those behind them, at worst of late."""
        return self._reorder * math.pow(0.5, max(0.0, now - self._reorder_at) / FORGET_S)

    def _remember_reordering(self, seconds: float, now: float) -> None:
        if seconds <= MAX_WAIT_S:  # later than that could not have been waited for
            self._reorder = max(seconds, self._reordering(now))
            self._reorder_at = now

    # ── Media time ──

    def _begin(self, packet: Packet, now: float) -> None:
        self._next = packet.sequence
        self._reorder_at = now
        if self._begun is None:
            self._begun = now
        self._set_clock(packet, now)

    def _set_clock(self, packet: Packet, now: float) -> None:
        """Timestamps that have nothing to do with those before: the clock says how much time is between."""
        self._due = packet.timestamp
        if behind := self._behind(now):
            self._add(Pause(behind))

    def _behind(self, now: float) -> int:
        """Ticks by which media time is behind the clock; 0 where that may be jitter."""
        behind = self._room(now, 0.0)
        return behind if behind > SETTLE_S * self._rate else 0

    def _room(self, now: float, slack_s: float) -> int:
        """Ticks until media time is before the clock by more than ``slack_s``."""
        assert self._begun is not None
        rate = DRIFT if slack_s else 1.0
        return int(((now - self._begun) * rate + slack_s) * self._rate) - self._decided

    def _schedule(self, packet: Packet, now: float) -> None:
        if packet.duration > self._room(now, MEDIA_SLACK_S):
            self.refused += 1
            self._missing += 1
            return
        missing, self._missing = self._missing, 0
        gap = signed(packet.timestamp - self._due, 32)
        if gap or missing:
            self._bridge(gap, missing, packet, now)
        self._due = (self._due + packet.duration) & 0xFFFFFFFF
        self.usual = packet.duration
        if packet.broken:
            self._conceal(packet.duration)
        else:
            self._concealed = 0
            self._add(packet)

    def _bridge(self, gap: int, missing: int, packet: Packet, now: float) -> None:
        """Plan what is to be between the last packet and this one."""
        if gap < -OVERLAP_S * self._rate or gap > self._room(now, SILENCE_SLACK_S):
            # This cannot be true: the sender has set its clock anew. Ours says how much time is between.
            self._due, gap = packet.timestamp, self._behind(now)
        if gap <= 0:  # media time waits until the sender's has caught up
            self.lost += missing
            return
        self._due = packet.timestamp
        usual = max(self.usual, packet.duration)
        lost = min(gap, missing * usual)
        recovered = self._recoverable(packet) if lost else 0
        if recovered > lost:
            recovered = 0
        concealed = self._conceal(lost - recovered)
        if gap > lost:
            self._add(Pause(gap - lost))
        if recovered:
            self._add(Recover(recovered, packet))
        made_up = min(missing - bool(recovered), math.ceil(concealed / usual))
        self.recovered += bool(recovered)
        self.concealed += made_up
        self.lost += missing - bool(recovered) - made_up

    def _conceal(self, ticks: int) -> int:
        """Plan concealment, and silence for what is beyond its limit; the ticks concealed."""
        concealed = min(ticks, round(CONCEAL_S * self._rate) - self._concealed)
        self._concealed += concealed
        if concealed:
            self._add(Conceal(concealed))
        if ticks > concealed:
            self._add(Lose(ticks - concealed))
        return concealed

    def _add(self, decision: Decision) -> None:
        self._decided += decision.duration if isinstance(decision, Packet) else decision.ticks
        self._plan.append(decision)

    def _tell(self, decisions: list[Decision], left: int) -> int:
        """Move from the plan what may be told: of silence ``left`` ticks. How many of them are left over."""
        plan = self._plan
        while plan:
            step = plan[0]
            if isinstance(step, (Lose, Pause)):
                if step.ticks > left:
                    if left:
                        decisions.append(type(step)(left))
                        step.ticks -= left
                    return 0
                left -= step.ticks
            decisions.append(plan.popleft())
        return left
