"""Pings, acknowledgements and pace, on a clock of the test's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.pulse import ACK_S, DOUBT_S, LEAD_S, LOST_S, PING_S, Acks, Beat, Heartbeat, Pacer
from rtc_stt.events import Pong
from tests.test_wire import FINAL


def run(heart: Heartbeat, until: float, *, answers: bool) -> list[tuple[float, Beat]]:
    """What happens when the timer is obeyed."""
    beats, now = list[tuple[float, Beat]](), 0.0
    while (now := heart.next_deadline()) <= until:
        beat = heart.handle_timer(now)
        assert beat, "it wanted to be called"
        beats.append((now, beat))
        if beat is Beat.LOST:
            break
        if answers:
            heart.receive_pong(now + 0.1)
    return beats


def test_a_server_that_answers_is_asked_for_ever():
    beats = run(Heartbeat(0.0), 60, answers=True)
    assert beats == [(PING_S * i, Beat.PING) for i in range(1, int(60 / PING_S) + 1)]


def test_a_server_that_does_not_answer_is_doubted_once_and_then_lost():
    beats = run(Heartbeat(0.0), 60, answers=False)
    pings = [(PING_S * i, Beat.PING) for i in range(1, 6)]
    assert beats == sorted(
        [*pings, (PING_S + DOUBT_S, Beat.DOUBT), (LOST_S, Beat.LOST)], key=lambda beat: beat[0]
    )


def test_who_has_answered_may_be_doubted_again():
    heart = Heartbeat(0.0)
    assert heart.handle_timer(PING_S) is Beat.PING
    assert heart.handle_timer(PING_S + DOUBT_S) is Beat.DOUBT
    heart.receive_pong(PING_S + DOUBT_S + 0.1)
    assert heart.handle_timer(2 * PING_S) is Beat.PING
    assert heart.handle_timer(2 * PING_S + DOUBT_S) is Beat.DOUBT


def test_a_late_timer_asks_once():
    heart = Heartbeat(0.0)
    heart.receive_pong(40.0)
    assert heart.handle_timer(40.0) is Beat.PING
    assert heart.handle_timer(40.1) is None


def event(seq: int) -> Pong:
    return Pong(at_ms=0, seq=seq, id="")


def test_a_final_is_acknowledged_at_once_and_the_rest_once_a_second():
    acks = Acks()
    assert acks.receive(event(1), 0.0), "the first"
    assert acks.sent(0.0) == 1
    assert acks.next_deadline() is None
    assert not acks.receive(event(2), 0.1)
    assert acks.next_deadline() == ACK_S
    assert acks.receive(replace(FINAL, seq=3), 0.2)
    assert acks.sent(0.2) == 3
    assert acks.next_deadline() is None
    assert not acks.receive(event(4), 0.9)
    assert acks.receive(event(5), 0.2 + ACK_S)


def test_what_was_seen_is_not_new():
    acks = Acks()
    acks.receive(event(1), 0.0)
    acks.receive(event(2), 0.0)
    assert not acks.is_new(event(2))
    assert not acks.is_new(event(1))
    assert acks.is_new(event(3))
    acks.receive(event(1), 0.0)
    assert acks.seen == 2


@given(st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60))
def test_who_waits_as_told_speaks_in_real_time_and_a_little_ahead(pieces):
    pacer, now = Pacer(), 5.0
    for seconds in pieces:
        now += pacer.wait_s(seconds, now)
    assert now - 5.0 == pytest.approx(max(0.0, sum(pieces) - LEAD_S), abs=1e-6)


def test_who_is_slower_than_real_time_is_not_held_up_and_cannot_save_up():
    pacer = Pacer()
    assert pacer.wait_s(0.02, 0.0) == 0
    assert pacer.wait_s(0.02, 10.0) == 0
    assert pacer.wait_s(1.0, 10.0) == pytest.approx(1.02 - LEAD_S)
