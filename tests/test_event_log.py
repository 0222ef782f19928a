"""What is kept for a client that may come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.event_log import BYTES_PER_EVENT, EventLog
from rtc_stt.events import Event, Pong, TranscriptFinal, TranscriptPartial
from tests.test_wire import FINAL


def pong(seq: int) -> Event:
    return Pong(at_ms=0, seq=seq, id=str(seq))


PARTIAL = TranscriptPartial(
    at_ms=0, utterance_id=1, revision=1, text="a", stable_chars=0, audio_end_ms=0, language="en"
)


def partial(seq: int, text: str = "a") -> Event:
    return replace(PARTIAL, seq=seq, text=text)


def filled(count: int, **bounds: int) -> EventLog:
    log = EventLog(**bounds)
    for seq in range(1, count + 1):
        log.add(pong(seq))
    return log


def numbers(log: EventLog, last_seq: int) -> list[int]:
    return [event.seq for event in log.missed(last_seq).events]


def test_a_client_is_told_what_it_has_not_seen():
    log = filled(5)
    assert numbers(log, 0) == [1, 2, 3, 4, 5]
    assert numbers(log, 3) == [4, 5]
    assert numbers(log, 5) == []
    assert log.missed(3).are_all


def test_what_is_acknowledged_is_not_kept():
    log = filled(5)
    log.acknowledge(3)
    assert len(log) == 2
    assert numbers(log, 3) == [4, 5]
    assert log.missed(3).are_all
    assert not log.missed(2).are_all, "who says it has seen less than it acknowledged"
    log.acknowledge(1)
    assert numbers(log, 3) == [4, 5], "an old acknowledgement changes nothing"


@pytest.mark.parametrize("seq", [5, 6, 2**53])
def test_more_than_was_told_counts_as_all(seq):
    log = filled(5)
    assert log.missed(seq).events == ()
    assert log.missed(seq).are_all
    log.acknowledge(seq)
    assert len(log) == 0
    log.add(pong(6))
    assert numbers(log, 5) == [6]


def test_a_negative_number_counts_as_none():
    assert filled(2).missed(-7) == filled(2).missed(0)


def test_nothing_told_is_nothing_missed():
    log = EventLog()
    assert log.told == 0
    assert log.missed(0).are_all
    log.acknowledge(4)
    log.add(pong(1))
    assert numbers(log, 0) == [1]


def test_the_oldest_goes_first_and_that_is_remembered():
    log = filled(10, max_events=4)
    assert numbers(log, 0) == [7, 8, 9, 10]
    assert not log.missed(5).are_all
    assert log.missed(6).are_all


def test_bytes_are_bounded_too():
    log = filled(10, max_bytes=3 * BYTES_PER_EVENT)
    assert numbers(log, 0) == [8, 9, 10]
    assert log.bytes == 3 * BYTES_PER_EVENT


def test_what_a_later_event_replaces_goes_before_a_final():
    log = EventLog(max_events=3)
    log.add(replace(FINAL, seq=1))
    for seq in range(2, 20):
        log.add(partial(seq))
    log.add(replace(FINAL, seq=20))
    assert numbers(log, 0) == [1, 19, 20]
    assert not log.missed(0).are_all


def test_one_event_that_is_too_big_is_kept_until_the_next_comes():
    log = EventLog(max_bytes=1_000)
    log.add(partial(1, "x" * 10_000))
    assert numbers(log, 0) == [1]
    log.add(pong(2))
    assert numbers(log, 0) == [2]


STEPS = st.lists(
    st.tuples(st.just("ack"), st.integers(-3, 70)) | st.sampled_from([("final",), ("partial",), ("pong",)]),
    max_size=60,
)


@given(STEPS, st.integers(1, 12), st.integers(400, 6_000), st.integers(-2, 70))
def test_whatever_happens_it_stays_bounded_in_order_and_honest(steps, max_events, max_bytes, last_seq):
    log, told, acknowledged = EventLog(max_events=max_events, max_bytes=max_bytes), list[Event](), 0
    for step in steps:
        seq = len(told) + 1
        match step:
            case ("ack", upto):
                log.acknowledge(upto)
                acknowledged = max(acknowledged, min(upto, len(told)))
                continue
            case ("final",):
                told.append(replace(FINAL, seq=seq))
            case ("partial",):
                told.append(partial(seq, "x" * (seq * 3)))
            case _:
                told.append(pong(seq))
        log.add(told[-1])
        assert len(log) <= max_events
        assert log.bytes <= max_bytes or len(log) == 1
    missed = log.missed(last_seq)
    assert list(missed.events) == [told[e.seq - 1] for e in missed.events], "as they were told"
    sequence = [e.seq for e in missed.events]
    assert sequence == sorted(set(sequence))
    assert all(seq > max(last_seq, acknowledged) for seq in sequence)
    assert missed.are_all == (sequence == list(range(max(0, last_seq) + 1, len(told) + 1)))
    if told:
        assert acknowledged == len(told) or len(log) > 0, "the newest is there"
    expected = {e.seq for e in told if isinstance(e, TranscriptFinal) and e.seq > max(last_seq, acknowledged)}
    if not expected <= set(sequence):
        partials = [e for e in missed.events[:-1] if isinstance(e, TranscriptPartial)]
        assert partials == [], "a final was forgotten while a partial could have been"
