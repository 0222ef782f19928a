"""Each press is told once, whatever the network does to its packets."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from signaling.rtp import RtpPacket
from signaling.telephony.sip.digits import KEYS, DigitReceiver, Press

RATE = 8_000


def event(
    digit: str, timestamp: int, ticks: int, *, end: bool = False, marker: bool = False, ssrc: int = 1
) -> RtpPacket:
    payload = bytes([KEYS.index(digit), (0x80 if end else 0) | 10]) + ticks.to_bytes(2, "big")
    return RtpPacket(101, marker, 0, timestamp, ssrc, payload)


def press(digit: str, timestamp: int, *, ms: int = 100, ssrc: int = 1) -> list[RtpPacket]:
    """As RFC 4733 §2.5.1 has it: one packet every 20 ms, the last three times."""
    ticks = ms * RATE // 1000
    steps = range(160, ticks, 160)
    going = [event(digit, timestamp, t, marker=t == 160, ssrc=ssrc) for t in steps]
    return going + [event(digit, timestamp, ticks, end=True, ssrc=ssrc)] * 3


def hear(packets: list[RtpPacket], *, step: float = 0.02) -> list[Press]:
    receiver, now = DigitReceiver(), 100.0
    told = []
    for packet in packets:
        told += receiver.receive(packet, RATE, now)
        now += step
    return told + receiver.handle_timer(now + 1)


def test_one_press() -> None:
    assert hear(press("5", 1_000)) == [Press("5", 100)]


def test_every_key() -> None:
    packets = [packet for n, key in enumerate(KEYS) for packet in press(key, n * 4_000)]
    assert [p.digit for p in hear(packets)] == list(KEYS)


def test_the_same_key_twice() -> None:
    assert hear(press("1", 0) + press("1", 1_600)) == [Press("1", 100)] * 2


def test_an_end_that_is_lost_is_made_up_for_by_the_next_press_or_by_time() -> None:
    without_end = press("1", 0)[:-3]
    assert hear(without_end + press("2", 4_000)) == [Press("1", 80), Press("2", 100)]
    assert hear(without_end) == [Press("1", 80)]


def test_only_an_end_arrives() -> None:
    assert hear(press("9", 0)[-1:]) == [Press("9", 100)]


def test_a_press_that_was_overtaken() -> None:
    first, second = press("1", 0), press("2", 4_000)
    assert hear([*second[:2], first[-1], *second[2:], first[-2]]) == [Press("1", 100), Press("2", 100)]


def test_a_key_held_for_longer_than_a_segment_can_say() -> None:
    """§2.5.1.3: the next segment begins where the one before ends, without a marker."""
    first = [event("7", 0, t, marker=t == 8_000) for t in (8_000, 40_000, 65_535)]
    second = [event("7", 65_535, t, end=t == 16_000) for t in (8_000, 16_000, 16_000)]
    assert hear([*first, *second]) == [Press("7", (65_535 + 16_000) // 8)]


def test_a_recording_that_is_played_twice_has_the_same_timestamps() -> None:
    receiver = DigitReceiver()
    told = [p for packet in press("3", 0) for p in receiver.receive(packet, RATE, 100.0)]
    told += [p for packet in press("3", 0) for p in receiver.receive(packet, RATE, 103.0)]
    assert told == [Press("3", 100)] * 2


def test_two_senders() -> None:
    assert len(hear(press("3", 0, ssrc=1) + press("3", 0, ssrc=2))) == 2


def test_what_is_no_key_is_nothing() -> None:
    flash = RtpPacket(101, True, 0, 0, 1, bytes([16, 0x80, 0, 160]))
    assert hear([flash, RtpPacket(101, True, 0, 0, 1, b"\1\2"), RtpPacket(101, True, 0, 0, 1, b"")]) == []


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(KEYS), min_size=1, max_size=6))
def test_once_per_press_under_loss_repetition_and_reordering(random: random.Random, keys: list[str]) -> None:
    """Neighbours swap, packets get lost or doubled; at least one packet of each press is left."""
    packets: list[RtpPacket] = []
    for number, key in enumerate(keys):
        own = press(key, number * 4_000)
        kept = [p for p in own if random.random() > 0.4] or [random.choice(own)]
        doubled = [p for p in kept for _ in range(random.choice((1, 1, 2)))]
        for at in range(len(doubled) - 1):
            if random.random() < 0.3:
                doubled[at], doubled[at + 1] = doubled[at + 1], doubled[at]
        packets += doubled
    assert [p.digit for p in hear(packets)] == keys


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=8),
            st.integers(0, 2**32 - 1),
            st.integers(0, 3),
            st.booleans(),
            st.floats(0, 3),
        ),
        max_size=40,
    )
)
def test_any_packets(packets: list[tuple[bytes, int, int, bool, float]]) -> None:
    receiver, now, told = DigitReceiver(), 0.0, 0
    for payload, timestamp, ssrc, marker, pause in packets:
        now += pause
        presses = receiver.receive(RtpPacket(101, marker, 0, timestamp, ssrc, payload), RATE, now)
        told += len(presses)
        assert all(p.digit in KEYS and p.duration_ms >= 0 for p in presses)
    told += len(receiver.flush(now))
    assert told <= len(packets)
    assert len(receiver._told) <= 16
