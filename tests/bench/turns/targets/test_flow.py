"""A flood ends; talk does not."""

from __future__ import annotations

from rtc_stt.bench.turns.targets.flow import BURST, PER_MESSAGE, RATE, Flow


def test_ten_long_messages_a_second_are_talk() -> None:
    flow = Flow()
    assert all(flow.take(20_000, n / 10) for n in range(36_000))


def test_a_flood_of_long_messages_ends() -> None:
    flow = Flow()
    taken = sum(flow.take(RATE, 1.0) for _ in range(100))
    assert taken == BURST // (RATE + PER_MESSAGE)


def test_a_flood_of_empty_messages_ends() -> None:
    flow = Flow()
    times = [n / 5_000 for n in range(20_000)]
    assert not all(flow.take(0, now) for now in times)
