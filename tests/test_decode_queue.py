"""Who is decoded next: the four rules, one by one."""

from __future__ import annotations

import pytest

from rtc_stt.decode_queue import DecodeQueue
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from tests.harness import request

FINAL, EAGER, PARTIAL = Urgency.FINAL, Urgency.EAGER, Urgency.PARTIAL


def popped(queue: DecodeQueue, tier: Tier = Tier.FAST) -> list[DecodeRequest]:
    """All that wait for a tier, each done before the next one is popped."""
    served = []
    while ticket := queue.pop(tier):
        served.append(ticket.request)
        queue.done(ticket.request)
    return served


def test_an_empty_queue_has_nothing_to_decode():
    assert DecodeQueue().pop(Tier.FAST) is None


# ── 1: finals before eager finals before partials ──


def test_urgency_goes_before_order():
    queue = DecodeQueue()
    asked = [
        request("a", urgency=PARTIAL),
        request("b", urgency=EAGER),
        request("c", urgency=FINAL),
        request("d", urgency=PARTIAL),
        request("e", urgency=FINAL),
    ]
    for r in asked:
        queue.push(r, 0)
    assert [r.stream_id for r in popped(queue)] == ["c", "e", "b", "a", "d"]


def test_requests_of_one_urgency_are_served_in_the_order_they_came():
    queue = DecodeQueue()
    for stream in "dacb":
        queue.push(request(stream), 0)
    assert [r.stream_id for r in popped(queue)] == list("dacb")


def test_the_tiers_do_not_wait_for_each_other():
    queue = DecodeQueue()
    queue.push(request("a", tier=Tier.ACCURATE), 0)
    queue.push(request("b", urgency=PARTIAL), 0)
    assert (queue.waiting(Tier.FAST), queue.waiting(Tier.ACCURATE)) == (1, 1)
    assert [r.stream_id for r in popped(queue)] == ["b"]
    assert [r.stream_id for r in popped(queue, Tier.ACCURATE)] == ["a"]


# ── 2: one partial of a session waits, one runs ──


def test_a_newer_partial_replaces_the_older_one_at_its_place_in_the_line():
    queue = DecodeQueue()
    old = request("a", revision=1, urgency=PARTIAL)
    queue.push(old, 0)
    queue.push(request("b", urgency=PARTIAL), 1)
    assert queue.push(request("a", revision=2, urgency=PARTIAL), 2) == [old]
    ticket = queue.pop(Tier.FAST)
    assert ticket is not None
    assert (ticket.request.stream_id, ticket.request.revision, ticket.since) == ("a", 2, 0)


def test_a_second_partial_of_a_session_does_not_run_beside_the_first():
    queue = DecodeQueue()
    first = request("a", revision=1, urgency=PARTIAL)
    queue.push(first, 0)
    queue.pop(Tier.FAST)
    queue.push(request("a", revision=2, urgency=PARTIAL), 0)
    assert queue.pop(Tier.FAST) is None
    queue.done(first)
    assert [r.revision for r in popped(queue)] == [2]


def test_a_running_partial_holds_up_neither_its_own_final_nor_other_sessions():
    queue = DecodeQueue()
    queue.push(request("a", revision=1, urgency=PARTIAL), 0)
    queue.pop(Tier.FAST)
    queue.push(request("b", urgency=PARTIAL), 0)
    queue.push(request("a", revision=2, urgency=FINAL), 0)
    assert [r.stream_id for r in popped(queue)] == ["a", "b"]


# ── 3: what is overtaken is stale ──


@pytest.mark.parametrize("urgency", [EAGER, FINAL])
def test_a_final_makes_the_waiting_partial_stale(urgency):
    queue = DecodeQueue()
    partial = request(revision=1, urgency=PARTIAL)
    queue.push(partial, 0)
    assert queue.push(request(revision=2, urgency=urgency), 0) == [partial]
    assert [r.revision for r in popped(queue)] == [2]


def test_a_partial_after_a_resumed_pause_makes_the_eager_final_stale():
    queue = DecodeQueue()
    eager = request(revision=1, urgency=EAGER)
    queue.push(eager, 0)
    assert queue.push(request(revision=2, urgency=PARTIAL), 0) == [eager]


def test_a_final_is_never_stale():
    queue = DecodeQueue()
    queue.push(request(utterance=1, urgency=FINAL), 0)
    partial = request(utterance=2, revision=1, urgency=PARTIAL)
    assert queue.push(partial, 0) == []
    assert queue.push(request(utterance=2, revision=2, urgency=FINAL), 0) == [partial]
    assert queue.push(request(utterance=3, urgency=PARTIAL), 0) == []
    assert [r.utterance_id for r in popped(queue)] == [1, 2, 3]


@pytest.mark.parametrize("urgency", Urgency)
def test_a_later_segment_of_an_utterance_does_not_overtake_the_eager_final_of_an_earlier_one(urgency):
    queue = DecodeQueue()
    queue.push(request(revision=1, urgency=EAGER), 0)
    assert queue.push(request(revision=2, urgency=urgency, audio_start=8_000), 0) == []
    assert sorted(r.revision for r in popped(queue)) == [1, 2]


def test_a_later_segment_overtakes_the_partial_of_an_earlier_one():
    queue = DecodeQueue()
    partial = request(revision=1, urgency=PARTIAL)
    queue.push(partial, 0)
    assert queue.push(request(revision=2, urgency=PARTIAL, audio_start=8_000), 0) == [partial]


def test_other_sessions_make_nothing_stale():
    queue = DecodeQueue()
    queue.push(request("a", revision=1, urgency=PARTIAL), 0)
    assert queue.push(request("b", revision=9, urgency=FINAL), 0) == []


# ── 4: promotion ──


def test_a_request_that_comes_again_with_more_urgency_is_promoted():
    queue = DecodeQueue()
    queue.push(request("a", urgency=EAGER), 0)
    queue.push(request("b", urgency=FINAL), 1)
    assert queue.push(request("a", urgency=FINAL), 2) == []
    [first, second] = popped(queue)
    assert (first.stream_id, first.urgency, second.stream_id) == ("a", FINAL, "b")


def test_a_request_that_comes_again_with_less_urgency_changes_nothing():
    queue = DecodeQueue()
    queue.push(request(urgency=FINAL), 0)
    queue.push(request(urgency=EAGER), 1)
    assert [r.urgency for r in popped(queue)] == [FINAL]


def test_a_request_that_comes_again_while_it_runs_is_ignored():
    queue = DecodeQueue()
    queue.push(request(urgency=EAGER), 0)
    queue.pop(Tier.FAST)
    assert queue.push(request(urgency=FINAL), 1) == []
    assert queue.pop(Tier.FAST) is None


# ── Streams that end ──


def test_what_waits_for_an_ended_stream_is_forgotten_and_told():
    queue = DecodeQueue()
    mine = [request("a", tier=Tier.ACCURATE), request("a", utterance=2, urgency=PARTIAL)]
    for r in [*mine, request("b")]:
        queue.push(r, 0)
    assert queue.forget("a") == mine
    assert queue.forget("a") == []
    assert [r.stream_id for r in popped(queue)] == ["b"]
