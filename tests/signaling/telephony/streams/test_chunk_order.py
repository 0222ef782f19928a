"""Chunks come out in their order, all of them, and never wait for long."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.streams.chunk_order import FAR, PATIENCE, WINDOW, ChunkOrder


def run(order: ChunkOrder[int], numbers: list[int]) -> list[int]:
    return [chunk for number in numbers for chunk, _ in order.push(number, number)]


def shuffled(count: int, first: int, seed: int) -> list[int]:
    """No chunk is later than ``WINDOW`` places: pushed back by up to that many others."""
    draw = random.Random(seed)
    return sorted(range(first, first + count), key=lambda n: n + draw.uniform(0, WINDOW - 1))


@given(count=st.integers(1, 60), first=st.sampled_from([0, 1]), seed=st.integers())
def test_shuffled_chunks_come_out_in_order_and_none_is_missing(count, first, seed):
    order: ChunkOrder[int] = ChunkOrder()
    numbers = shuffled(count, first, seed)
    if first == 0 and numbers.index(0) > numbers.index(min(1, count - 1)):
        numbers.remove(0)  # who begins with 1 does not say that there is a 0
        numbers.insert(0, 0)
    assert run(order, numbers) + [chunk for chunk, _ in order.flush()] == list(range(first, first + count))
    assert (order.lost, order.late) == (0, 0)


@given(st.lists(st.integers(0, 50), max_size=200))
def test_whatever_comes_each_comes_out_once_in_order_and_little_waits(numbers):
    order: ChunkOrder[int] = ChunkOrder()
    out = []
    for number in numbers:
        out += [chunk for chunk, _ in order.push(number, number)]
        assert len(order._held) < WINDOW
    out += [chunk for chunk, _ in order.flush()]
    assert out == sorted(set(out))
    assert len(out) + order.late == len(numbers)


@given(st.lists(st.integers(0, 10**18), max_size=100))
def test_numbers_that_jump_lose_no_chunk_that_is_new(numbers):
    order: ChunkOrder[int] = ChunkOrder()
    out = [chunk for number in numbers for chunk, _ in order.push(number, number)]
    out += [chunk for chunk, _ in order.flush()]
    assert len(out) + order.late == len(numbers)


def test_nothing_waits_while_all_is_in_order():
    order: ChunkOrder[int] = ChunkOrder()
    for number in range(1, 100):
        assert order.push(number, number) == [(number, False)]


def test_what_does_not_come_is_given_up_and_what_follows_says_so():
    order: ChunkOrder[int] = ChunkOrder()
    assert run(order, [1, 2]) == [1, 2]
    told = [order.push(number, number) for number in range(4, 4 + WINDOW)]
    assert told[:-1] == [[]] * (WINDOW - 1)
    assert told[-1] == [(4, True), *((number, False) for number in range(5, 4 + WINDOW))]
    assert order.push(3, 3) == []
    assert (order.lost, order.late) == (1, 1)


def test_numbers_that_two_tracks_share_hold_nothing_back_for_long():
    order: ChunkOrder[int] = ChunkOrder()
    given_up = 2 * (PATIENCE + WINDOW) + 3
    run(order, list(range(1, given_up, 2)))
    for number in range(given_up, given_up + 50, 2):
        assert [chunk for chunk, _ in order.push(number, number)] == [number]


def test_who_sends_late_chunks_is_waited_for():
    order: ChunkOrder[int] = ChunkOrder()
    assert run(order, [1, 2, 2]) == [1, 2]
    run(order, list(range(3, 2 * (PATIENCE + WINDOW) + 1, 2)))
    assert len(order._held) == WINDOW - 1


def test_a_stream_that_is_joined_late_begins_with_its_least():
    order: ChunkOrder[int] = ChunkOrder()
    numbers = [502, 500, 501, *range(503, 500 + WINDOW)]
    assert run(order, numbers) == list(range(500, 500 + WINDOW))
    assert order.lost == 0


def test_a_count_that_begins_anew_is_followed():
    order: ChunkOrder[int] = ChunkOrder()
    assert run(order, [FAR + 1_000, FAR + 1_001, 1, 2]) == [FAR + 1_000, FAR + 1_001, 1, 2]
    assert order.late == 0
