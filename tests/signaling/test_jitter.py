"""The jitter buffer on lines that lose, delay, repeat and lie. No luck: each line is a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling import jitter
from signaling.jitter import Conceal, Decision, JitterBuffer, Lose, Packet, Pause, Recover
from signaling.rtp import ReceptionStatistics

RATE = 48_000
TICKS = 960
STEP = 0.02


@dataclass
class Sent:
    """A packet on its way: what it says, and when it arrives."""

    at: float
    sequence: int
    timestamp: int
    duration: int = TICKS
    broken: bool = False


def stream(count: int, *, first: int = 0, begin: int = 0) -> list[Sent]:
    """A sender's packets of 20 ms on a line without delay."""
    return [
        Sent(number * STEP, (first + number) & 0xFFFF, (begin + number * TICKS) & 0xFFFFFFFF)
        for number in range(count)
    ]


class Line:
    """Brings packets to a buffer in order of arrival, and its timers in between."""

    def __init__(self, recoverable: Callable[[Packet], int] = lambda packet: TICKS) -> None:
        self.statistics = ReceptionStatistics(RATE)
        self.buffer = JitterBuffer(RATE, self.statistics, recoverable)
        self.told: list[tuple[float, Decision]] = []
        self.now = 0.0

    def bring(self, packets: Iterable[Sent], *, flush: bool = True) -> Line:
        for sent in sorted(packets, key=lambda sent: sent.at):
            self.wait_until(sent.at)
            self.statistics.receive(sent.sequence, sent.timestamp, sent.at)
            packet = Packet(
                sent.sequence, sent.timestamp, sent.duration, b"x", 111, sent.at, broken=sent.broken
            )
            self._tell(self.buffer.receive(packet, sent.at))
        if flush:
            self._tell(self.buffer.flush(self.now))
        return self

    def wait_until(self, now: float) -> None:
        for _ in range(10_000):
            deadline = self.buffer.next_deadline()
            if deadline is None or deadline > now:
                break
            self.now = max(self.now, deadline)
            self._tell(self.buffer.handle_timer(self.now))
        else:
            pytest.fail("a timer without end")
        self.now = max(self.now, now)

    def _tell(self, decisions: list[Decision]) -> None:
        silence = sum(step.ticks for step in decisions if isinstance(step, (Lose, Pause)))
        assert silence <= jitter.MAX_FLUSH_S * RATE
        self.told += [(self.now, step) for step in decisions]

    @property
    def played(self) -> list[int]:
        return [step.sequence for _, step in self.told if isinstance(step, Packet)]

    @property
    def waits(self) -> list[float]:
        return [at - step.arrived for at, step in self.told if isinstance(step, Packet)]

    @property
    def others(self) -> list[tuple[str, int]]:
        """What is not a packet: its kind, and its ticks."""
        return [(type(step).__name__, step.ticks) for _, step in self.told if not isinstance(step, Packet)]

    def ticks(self, *kinds: type) -> int:
        """The media time that was decided, of some kinds or in all."""
        chosen = [step for _, step in self.told if not kinds or isinstance(step, kinds)]
        return sum(step.duration if isinstance(step, Packet) else step.ticks for step in chosen)


def without(packets: list[Sent], *lost: int) -> list[Sent]:
    return [sent for number, sent in enumerate(packets) if number not in lost]


class TestOrder:
    def test_a_network_that_keeps_order_pays_nothing(self) -> None:
        line = Line().bring(stream(100, first=65_500, begin=2**32 - 5 * TICKS))
        assert line.played == [(65_500 + number) & 0xFFFF for number in range(100)]
        assert line.waits == [0.0] * 100
        assert line.others == []
        assert line.buffer.next_deadline() is None

    @pytest.mark.parametrize("by", [0.021, 0.025])
    def test_a_packet_that_is_overtaken_is_waited_for(self, by: float) -> None:
        packets = stream(60)
        packets[30].at += by
        line = Line().bring(packets)
        assert line.played == list(range(60))
        assert line.others == []
        assert max(line.waits) == pytest.approx(by - STEP)

    def test_the_wait_grows_with_what_comes_late_and_shrinks_again(self) -> None:
        packets = stream(3_000)
        for number in (1_000, 1_100, 2_900):  # 35 ms behind the next one
            packets[number].at += STEP + 0.035
        packets = without(packets, 2_000)
        line = Line().bring(packets)
        assert line.buffer.late == 2  # the first one, and the one long after
        assert 1_000 not in line.played
        assert 1_100 in line.played
        waits = dict(zip(line.played, line.waits, strict=True))
        assert waits[2_001] < 0.025 < jitter.MAX_WAIT_S

    def test_no_packet_comes_twice(self) -> None:
        packets = stream(50)
        again = [Sent(sent.at + 0.005, sent.sequence, sent.timestamp) for sent in packets]
        line = Line().bring([*packets, *again])
        assert line.played == list(range(50))
        assert (line.buffer.duplicate, line.buffer.late) == (50, 0)

    def test_what_comes_after_it_was_given_up_is_not_played(self) -> None:
        packets = stream(50)
        packets[20].at += 0.3
        again = Sent(0.75, 20, 20 * TICKS)
        line = Line().bring([*packets, again])
        assert 20 not in line.played
        assert line.ticks() == 50 * TICKS
        assert (line.buffer.late, line.buffer.duplicate, line.buffer.recovered) == (1, 1, 1)

    def test_packets_in_a_burst_do_not_wait_for_one_that_is_not_among_them(self) -> None:
        packets = without(stream(50), 20)
        for sent in packets[15:]:
            sent.at = 1.0
        line = Line().bring(packets, flush=False)
        assert line.played[-1] == 49
        assert max(line.waits) == 0.0


class TestGaps:
    def test_one_packet_is_recovered(self) -> None:
        line = Line().bring(without(stream(50), 20))
        assert line.others == [("Recover", TICKS)]
        assert (line.buffer.recovered, line.buffer.concealed, line.buffer.lost) == (1, 0, 0)

    def test_without_error_correction_it_is_concealed(self) -> None:
        line = Line(lambda packet: 0).bring(without(stream(50), 20))
        assert line.others == [("Conceal", TICKS)]
        assert (line.buffer.recovered, line.buffer.concealed, line.buffer.lost) == (0, 1, 0)

    def test_correction_that_covers_more_than_is_missing_is_not_used(self) -> None:
        assert Line(lambda packet: 2 * TICKS).bring(without(stream(50), 20)).others == [("Conceal", TICKS)]

    def test_beyond_200_ms_it_is_lost(self) -> None:
        line = Line().bring(without(stream(50), *range(10, 30)))
        assert line.others == [("Conceal", 10 * TICKS), ("Lose", 9 * TICKS), ("Recover", TICKS)]
        assert (line.buffer.recovered, line.buffer.concealed, line.buffer.lost) == (1, 10, 9)
        assert line.ticks() == 50 * TICKS

    def test_the_limit_is_for_one_gap(self) -> None:
        line = Line().bring(without(stream(60), *range(10, 20), *range(30, 40)))
        assert line.ticks(Conceal) == 18 * TICKS
        assert line.ticks(Lose) == 0

    def test_a_black_hole_is_told_in_slices(self) -> None:
        line = Line().bring(without(stream(1_000), *range(100, 700)), flush=False)
        assert line.ticks() == 1_000 * TICKS
        assert max(ticks for _, ticks in line.others) <= jitter.MAX_SLICE_S * RATE
        assert line.ticks(Lose) == 600 * TICKS - 10 * TICKS - TICKS
        assert line.played == [*range(100), *range(700, 1_000)]
        assert max(line.waits) <= jitter.MAX_WAIT_S

    def test_a_minute_and_more_of_it(self) -> None:
        packets = without(stream(8_000), *range(100, 7_900))
        line = Line().bring(packets, flush=False)
        assert line.ticks() == 8_000 * TICKS
        assert line.ticks(Lose) >= 7_780 * TICKS

    def test_a_line_that_stalls_and_then_brings_all(self) -> None:
        packets = stream(1_000)
        for sent in packets[100:700]:
            sent.at = 700 * STEP
        line = Line().bring(packets)
        assert line.played == list(range(1_000))
        assert line.others == []

    def test_a_silent_sender_has_lost_nothing(self) -> None:
        packets = stream(20) + [
            Sent(sent.at + 5, sent.sequence + 20, sent.timestamp + 20 * TICKS) for sent in stream(20)
        ]
        for sent in packets[20:]:
            sent.timestamp += 5 * RATE - 20 * TICKS
        line = Line().bring(packets, flush=False)
        assert {kind for kind, _ in line.others} == {"Pause"}
        assert line.ticks(Pause) == 5 * RATE - 20 * TICKS
        assert max(line.waits) == 0.0

    def test_of_a_silence_with_one_loss_only_a_packet_is_missing(self) -> None:
        # DTX: a packet every 400 ms, and one of them lost.
        packets = [Sent(number * 0.4, number, number * 20 * TICKS) for number in range(10)]
        line = Line(lambda packet: 0).bring(without(packets, 5), flush=False)
        assert line.ticks(Conceal, Lose) == TICKS
        assert line.ticks() == 9 * 20 * TICKS + TICKS

    def test_packets_without_audio_keep_their_place_and_take_no_time(self) -> None:
        packets = stream(10)
        empty = [Sent(0.2 + number * STEP, 10 + number, 9 * TICKS, duration=0) for number in range(5)]
        rest = [Sent(0.3 + number * STEP, 15 + number, (15 + number) * TICKS) for number in range(5)]
        line = Line().bring([*packets, *empty, *rest])
        assert line.others == [("Pause", 5 * TICKS)]
        assert line.ticks() == 20 * TICKS

    def test_a_loss_before_one_without_audio_is_not_forgotten(self) -> None:
        packets = stream(10)
        packets[5].duration = 0
        line = Line(lambda packet: 0).bring(without(packets, 4))
        assert line.ticks(Conceal) + line.ticks(Pause) == 2 * TICKS
        assert line.ticks(Conceal) == TICKS

    def test_what_cannot_be_decoded_is_concealed_and_counts_in_a_row(self) -> None:
        packets = stream(50)
        for sent in packets[10:30]:
            sent.broken = True
        line = Line().bring(packets)
        assert line.ticks(Conceal) == 10 * TICKS
        assert line.ticks(Lose) == 10 * TICKS
        assert line.ticks() == 50 * TICKS


class TestRestarts:
    @pytest.mark.parametrize("first", [30_000, 60_000])
    def test_a_new_count_is_believed_when_it_goes_on(self, first: int) -> None:
        packets = stream(100)
        for number, sent in enumerate(packets[50:]):
            sent.sequence = first + number
        line = Line().bring(packets)
        assert line.played[50:] == [first + number for number in range(50)]
        assert line.ticks() == 100 * TICKS
        assert line.others == []

    def test_a_single_number_from_afar_is_not(self) -> None:
        packets = stream(100)
        line = Line().bring([*packets, Sent(1.001, 40_000, 77)])
        assert line.played == list(range(100))
        assert line.others == []

    def test_a_new_clock_goes_on_where_the_old_one_was(self) -> None:
        packets = stream(100)
        for sent in packets[50:]:
            sent.timestamp = (sent.timestamp + 3_000_000_000) & 0xFFFFFFFF
        line = Line().bring(packets)
        assert line.played == list(range(100))
        assert line.ticks() == 100 * TICKS

    def test_the_clock_says_how_long_the_sender_of_a_new_clock_was_away(self) -> None:
        packets = stream(100)
        for sent in packets[50:]:
            sent.at += 10
            sent.timestamp = (sent.timestamp - 1_000_000_000) & 0xFFFFFFFF
        line = Line().bring(packets, flush=False)
        assert line.ticks(Pause) == pytest.approx(10 * RATE, abs=TICKS)

    def test_a_clock_that_jumps_with_every_packet_makes_no_hours(self) -> None:
        packets = [Sent(number * STEP, number, number * 1_500_000_000 & 0xFFFFFFFF) for number in range(500)]
        line = Line().bring(packets, flush=False)
        assert len(line.played) == 500
        assert line.ticks() <= (10 + jitter.SILENCE_SLACK_S + 0.2) * RATE

    def test_a_clock_that_runs_ten_times_too_fast_is_held_by_ours(self) -> None:
        packets = [Sent(number * STEP, number, number * 10 * TICKS) for number in range(500)]
        line = Line().bring(packets, flush=False)
        assert line.ticks() <= (10 * jitter.DRIFT + jitter.SILENCE_SLACK_S + 0.1) * RATE

    def test_a_clock_that_stands_still_loses_no_packet(self) -> None:
        line = Line().bring([Sent(number * STEP, number, 5) for number in range(100)])
        assert line.ticks() == 100 * TICKS


class TestFloods:
    def test_more_media_than_time_is_refused(self) -> None:
        packets = [Sent(number * 0.001, number & 0xFFFF, number * TICKS) for number in range(5_000)]
        line = Line().bring(packets, flush=False)
        assert line.ticks() <= (5 * jitter.DRIFT + jitter.MEDIA_SLACK_S) * RATE
        assert line.buffer.refused > 3_200

    def test_what_waits_is_bounded(self) -> None:
        # All behind one gap, each far from the next, and in one instant.
        packets = [Sent(0, 0, 0), *(Sent(0, 2 + 2 * number, 0, duration=1) for number in range(1_000))]
        line = Line().bring(packets, flush=False)
        assert len(line.buffer._waiting) <= jitter.MAX_WAITING
        assert line.buffer.refused > 800


PATTERNS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "come", "lost", "twice"]),
        st.sampled_from([0.0, 0.0, 0.0, 0.004, 0.021, 0.045, 0.07, 0.3]),
    ),
    min_size=2,
    max_size=120,
)


@settings(max_examples=150)
@given(PATTERNS, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.booleans())
def test_any_line(pattern: list[tuple[str, float]], first: int, begin: int, correction: bool) -> None:
    """Media time is the sender's; packets are played in order, once, and in time."""
    sent = stream(len(pattern), first=first, begin=begin)
    arriving: list[Sent] = [sent[0]]
    for packet, (fate, delay) in zip(sent[1:], pattern[1:], strict=True):
        packet.at += delay
        arriving += [packet] * {"lost": 0, "come": 1, "twice": 2}[fate]
    line = Line(lambda packet: TICKS if correction else 0).bring(arriving)
    numbers = [(sequence - first) & 0xFFFF for sequence in line.played]
    assert numbers == sorted(set(numbers))
    # A bridge ends where the packet behind it begins, so the sum is the end of the last one played.
    assert line.ticks() == (numbers[-1] + 1) * TICKS == line.buffer.decided
    assert max(line.waits) <= jitter.MAX_WAIT_S + 1e-9
    came = {packet.sequence for packet in arriving}
    assert len(numbers) + line.buffer.late == len(came)
    assert line.ticks(Pause) == 0
    assert line.buffer.duplicate == len(arriving) - len(came)
    buffer = line.buffer
    assert buffer.recovered + buffer.concealed + buffer.lost == numbers[-1] + 1 - len(numbers)
    assert line.ticks(Conceal, Lose, Recover) == (numbers[-1] + 1 - len(numbers)) * TICKS


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5),
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.sampled_from([0, 120, 960, 5760]),
            st.booleans(),
        ),
        max_size=120,
    )
)
def test_any_nonsense(packets: list[tuple[float, int, int, int, bool]]) -> None:
    """Whatever is sent: bounded in time and memory, and nothing raises."""
    at, sent = 0.0, list[Sent]()
    for pause, sequence, timestamp, duration, broken in packets:
        at += pause
        sent.append(Sent(at, sequence, timestamp, duration, broken))
    line = Line().bring(sent)
    assert line.ticks() <= (at * jitter.DRIFT + jitter.MEDIA_SLACK_S) * RATE
    assert line.ticks(Lose, Pause) <= (at * jitter.DRIFT + jitter.SILENCE_SLACK_S + 0.2) * RATE + line.ticks(
        Packet
    )
    assert len(line.buffer._waiting) == 0
