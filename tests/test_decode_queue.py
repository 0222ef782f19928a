"""Who is decoded next and with whom: the rules, one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.decode_queue import AUDIO_PER_REQUEST, SILENT_AFTER_S, DecodeQueue, Pushed
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from tests.harness import request

FINAL, EAGER, PARTIAL, RECORDING = Urgency


def popped(queue: DecodeQueue, tier: Tier = Tier.FAST) -> list[DecodeRequest]:
    """All that wait for a tier, each done before the next one is popped."""
    served = []
    while batch := queue.pop(tier):
        [ticket] = batch
        served.append(ticket.request)
        queue.done(ticket.request)
    return served


def test_an_empty_queue_has_nothing_to_decode():
    assert DecodeQueue().pop(Tier.FAST) == []


# ── 1: finals before eager finals before partials ──


def test_urgency_goes_before_order():
    queue = DecodeQueue()
    asked = [
        request("a", urgency=PARTIAL),
        request("b", urgency=EAGER),
        request("c", urgency=FINAL),
        request("d", urgency=PARTIAL),
        request("e", urgency=FINAL),
        request("f", urgency=RECORDING),
        request("g", urgency=PARTIAL),
    ]
    for r in asked:
        queue.push(r, 0)
    assert [r.stream_id for r in popped(queue)] == ["c", "e", "b", "a", "d", "g", "f"]


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
    assert queue.push(request("a", revision=2, urgency=PARTIAL), 2) == Pushed(stale=[old])
    [ticket] = queue.pop(Tier.FAST)
    assert (ticket.request.stream_id, ticket.request.revision, ticket.since) == ("a", 2, 0)


def test_a_second_partial_of_a_session_does_not_run_beside_the_first():
    queue = DecodeQueue()
    first = request("a", revision=1, urgency=PARTIAL)
    queue.push(first, 0)
    queue.pop(Tier.FAST)
    queue.push(request("a", revision=2, urgency=PARTIAL), 0)
    assert queue.pop(Tier.FAST) == []
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
    assert queue.push(request(revision=2, urgency=urgency), 0) == Pushed(stale=[partial])
    assert [r.revision for r in popped(queue)] == [2]


def test_a_partial_after_a_resumed_pause_makes_the_eager_final_stale():
    queue = DecodeQueue()
    eager = request(revision=1, urgency=EAGER)
    queue.push(eager, 0)
    assert queue.push(request(revision=2, urgency=PARTIAL), 0) == Pushed(stale=[eager])


def test_a_final_is_never_stale():
    queue = DecodeQueue()
    queue.push(request(utterance=1, urgency=FINAL), 0)
    partial = request(utterance=2, revision=1, urgency=PARTIAL)
    assert queue.push(partial, 0) == Pushed()
    assert queue.push(request(utterance=2, revision=2, urgency=FINAL), 0) == Pushed(stale=[partial])
    assert queue.push(request(utterance=3, urgency=PARTIAL), 0) == Pushed()
    assert [r.utterance_id for r in popped(queue)] == [1, 2, 3]


@pytest.mark.parametrize("urgency", Urgency)
def test_a_later_segment_of_an_utterance_does_not_overtake_the_eager_final_of_an_earlier_one(urgency):
    queue = DecodeQueue()
    queue.push(request(revision=1, urgency=EAGER), 0)
    assert queue.push(request(revision=2, urgency=urgency, audio_start=8_000), 0) == Pushed()
    assert sorted(r.revision for r in popped(queue)) == [1, 2]


def test_a_later_segment_overtakes_the_partial_of_an_earlier_one():
    queue = DecodeQueue()
    partial = request(revision=1, urgency=PARTIAL)
    queue.push(partial, 0)
    assert queue.push(request(revision=2, urgency=PARTIAL, audio_start=8_000), 0) == Pushed(stale=[partial])


def test_other_sessions_make_nothing_stale():
    queue = DecodeQueue()
    queue.push(request("a", revision=1, urgency=PARTIAL), 0)
    assert queue.push(request("b", revision=9, urgency=FINAL), 0) == Pushed()


# ── 4: promotion ──


def test_a_request_that_comes_again_with_more_urgency_is_promoted():
    queue = DecodeQueue()
    queue.push(request("a", urgency=EAGER), 0)
    queue.push(request("b", urgency=FINAL), 1)
    assert queue.push(request("a", urgency=FINAL), 2) == Pushed()
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
    assert queue.push(request(urgency=FINAL), 1) == Pushed()
    assert queue.pop(Tier.FAST) == []


# ── Streams that end ──


def test_what_waits_for_an_ended_stream_is_forgotten_and_told():
    queue = DecodeQueue()
    mine = [request("a", tier=Tier.ACCURATE), request("a", utterance=2, urgency=PARTIAL)]
    for r in [*mine, request("b")]:
        queue.push(r, 0)
    assert queue.forget("a") == mine
    assert queue.forget("a") == []
    assert [r.stream_id for r in popped(queue)] == ["b"]


# ── 5: who goes along ──


def seconds(length: float) -> Samples:
    return np.zeros(round(length * SAMPLE_RATE), np.float32)


def batch(queue: DecodeQueue, limit: int = 99, tier: Tier = Tier.FAST) -> list[str]:
    return [ticket.request.stream_id for ticket in queue.pop(tier, limit)]


def test_the_next_one_takes_others_of_its_kind_along_in_their_order():
    queue = DecodeQueue(max_batch=8)
    for stream, urgency in (("a", PARTIAL), ("b", EAGER), ("c", FINAL), ("d", PARTIAL), ("e", FINAL)):
        queue.push(request(stream, urgency=urgency), 0)
    assert queue.ready(Tier.FAST) == 5
    assert batch(queue) == ["c", "e", "b"], "finals and eager ones, and no partial slows them down"
    assert batch(queue) == ["a", "d"]
    assert batch(queue) == []


def test_a_batch_has_no_more_than_asked_for_and_no_more_than_the_engine_takes():
    queue = DecodeQueue(max_batch=3)
    for stream in "abcdefg":
        queue.push(request(stream), 0)
    assert batch(queue, 2) == ["a", "b"]
    assert batch(queue, 9) == ["c", "d", "e"]


@pytest.mark.parametrize(
    ("lengths", "together"),
    [
        ((1.0, 1.5), True),  # within half a second
        ((1.0, 1.6), False),
        ((8.0, 10.0), True),  # within a quarter
        ((8.0, 10.1), False),
        ((5.0, 4.0, 5.1), False),  # each is like the first, and the last is not like the second
        ((5.0, 4.1, 5.1), True),
    ],
)
def test_only_like_lengths_go_together(lengths, together):
    queue = DecodeQueue(max_batch=8)
    for stream, length in zip("abc", lengths, strict=False):
        queue.push(request(stream, audio=seconds(length)), 0)
    assert (len(batch(queue)) == len(lengths)) is together


def test_who_is_of_another_length_comes_next_and_is_not_passed_over_twice():
    queue = DecodeQueue(max_batch=8)
    for stream, length in (("a", 1.0), ("long", 9.0), ("b", 1.1), ("c", 1.2)):
        queue.push(request(stream, audio=seconds(length)), 0)
    assert batch(queue) == ["a", "b", "c"]
    queue.push(request("d"), 1)
    assert batch(queue) == ["long"]


def test_of_long_utterances_fewer_go_together():
    queue = DecodeQueue(max_batch=4)
    for stream in "abcd":
        queue.push(request(stream, audio=seconds(10)), 0)
    assert batch(queue) == ["a", "b"], "24 s are the most for four"


def test_the_longest_one_alone_is_always_taken():
    queue = DecodeQueue(max_batch=1)
    queue.push(request("a", audio=seconds(28)), 0)
    assert batch(queue) == ["a"]


def test_two_partials_of_a_session_do_not_share_a_batch():
    queue = DecodeQueue(max_batch=8)
    for revision in (2, 1):  # out of order, so neither makes the other stale
        queue.push(request("a", revision=revision, urgency=PARTIAL), 0)
    assert batch(queue) == ["a"]
    assert batch(queue) == []


# ── 6: bounds ──


def test_the_partial_of_the_youngest_utterance_is_shed_first():
    queue = DecodeQueue(limit=2)
    for stream in "abc":  # so they began to speak
        queue.push(request(stream, revision=1, urgency=PARTIAL), 0)
        popped(queue)
    queue.push(request("c", revision=2, urgency=PARTIAL), 1)
    queue.push(request("a", revision=2, urgency=PARTIAL), 1)
    shed = queue.push(request("b", revision=2, urgency=PARTIAL), 1).shed
    assert [r.stream_id for r in shed] == ["c"]


def test_a_request_that_finds_no_room_is_shed_itself():
    queue = DecodeQueue(limit=1)
    queue.push(request("a"), 0)
    late = request("b", urgency=PARTIAL)
    assert queue.push(late, 0) == Pushed(shed=[late])
    assert [r.stream_id for r in popped(queue)] == ["a"]


def test_partials_are_shed_before_the_accurate_tier_and_that_before_eager_finals():
    queue = DecodeQueue(limit=5)
    queue.push(request("e", urgency=EAGER), 0)
    queue.push(request("x", tier=Tier.ACCURATE), 0)
    queue.push(request("y", tier=Tier.ACCURATE, urgency=EAGER), 0)
    queue.push(request("z", tier=Tier.ACCURATE), 0)
    queue.push(request("p", urgency=PARTIAL), 0)
    shed = [queue.push(request(f"f{i}"), 1).shed for i in range(7)]
    assert [[r.stream_id for r in one] for one in shed] == [["p"], ["y"], ["z"], ["x"], ["e"], [], []]
    assert queue.fill > 1, "finals of the fast tier stay, whatever the bounds"
    assert len(popped(queue)) == 7


def test_the_bound_in_bytes_counts_what_waits_and_nothing_else():
    queue = DecodeQueue(limit_bytes=3 * seconds(1).nbytes)
    for stream in "abc":
        assert queue.push(request(stream, urgency=PARTIAL), 0) == Pushed()
    assert (queue.bytes, queue.fill) == (3 * seconds(1).nbytes, 1.0)
    assert len(queue.push(request("d", urgency=PARTIAL, audio=seconds(2)), 0).shed) == 1
    popped(queue)
    assert queue.bytes == 0


def test_a_promoted_request_brings_its_own_audio():
    queue = DecodeQueue()
    queue.push(request("a", urgency=EAGER), 0)
    queue.push(request("a", urgency=FINAL, audio=seconds(2)), 0)
    assert queue.bytes == seconds(2).nbytes


# ── Few partials ──


def speak(queue: DecodeQueue, stream: str, revision: int, now: float, utterance: int = 1) -> bool:
    """Whether a partial is let in; it is decoded at once."""
    asked = request(stream, utterance, revision, urgency=PARTIAL)
    taken = not queue.push(asked, now).shed
    popped(queue)
    return taken


def test_only_the_quarter_that_speaks_longest_gets_partials():
    queue = DecodeQueue()
    for number in range(8):
        assert speak(queue, f"s{number}", 1, number / 10)
    queue.few_partials = True
    assert [n for n in range(8) if speak(queue, f"s{n}", 2, 1)] == [0, 1]
    assert queue.speaking(1) == 8
    queue.push(request("s0", revision=3), 1)  # its final: the next one in line moves up
    assert [n for n in range(1, 8) if speak(queue, f"s{n}", 3, 2)] == [1]
    queue.few_partials = False
    assert speak(queue, "s7", 4, 2)


def test_one_at_least_gets_partials():
    queue = DecodeQueue()
    queue.few_partials = True
    assert [speak(queue, stream, 1, 0) for stream in "abc"] == [True, False, False]


@pytest.mark.parametrize("how", ["forgotten", "silent", "next utterance"])
def test_who_has_ceased_to_speak_holds_no_place(how):
    queue = DecodeQueue()
    queue.few_partials = True
    speak(queue, "gone", 1, 0)
    assert not speak(queue, "b", 1, 1)
    if how == "forgotten":
        queue.forget("gone")
    elif how == "next utterance":  # that of the first was too short for a final
        speak(queue, "gone", 1, 2, utterance=2)
    assert speak(queue, "b", 2, 1 + SILENT_AFTER_S - (how != "silent"))


def test_a_partial_that_is_shed_takes_back_the_eager_final_all_the_same():
    queue = DecodeQueue()
    speak(queue, "a", 1, 0)
    queue.few_partials = True
    eager = request("b", urgency=EAGER)
    queue.push(eager, 0)
    late = request("b", revision=2, urgency=PARTIAL)
    assert queue.push(late, 0) == Pushed(stale=[eager], shed=[late])


# ── A tier that is lost ──


def test_all_that_waits_for_a_tier_can_be_taken_away():
    queue = DecodeQueue()
    queue.push(request("a", tier=Tier.ACCURATE), 0)
    queue.push(request("b", tier=Tier.ACCURATE), 5)
    queue.push(request("c"), 0)
    assert queue.oldest(Tier.ACCURATE, FINAL, EAGER) == 0
    assert queue.oldest(Tier.ACCURATE, PARTIAL) is None
    assert [r.stream_id for r in queue.clear(Tier.ACCURATE, before=4)] == ["a"]
    assert [r.stream_id for r in queue.clear(Tier.ACCURATE)] == ["b"]
    assert [r.stream_id for r in popped(queue)] == ["c"]


# ── Recordings ──


def test_a_later_stretch_of_a_recording_does_not_overtake_an_earlier_one():
    queue = DecodeQueue()
    queue.push(request(utterance=1, urgency=RECORDING), 0)
    assert queue.push(request(utterance=2, urgency=RECORDING), 0) == Pushed()
    assert [r.utterance_id for r in popped(queue)] == [1, 2]


def test_recordings_share_no_call_with_who_speaks():
    queue = DecodeQueue(max_batch=4)
    for stream, urgency in (("a", RECORDING), ("b", FINAL), ("c", RECORDING)):
        queue.push(request(stream, urgency=urgency), 0)
    assert [t.request.stream_id for t in queue.pop(Tier.FAST, 4)] == ["b"]
    assert [t.request.stream_id for t in queue.pop(Tier.FAST, 4)] == ["a", "c"]


def test_recordings_wait_while_they_may_not():
    queue = DecodeQueue()
    queue.push(request("a", urgency=RECORDING), 0)
    assert queue.pop(Tier.FAST, recordings=False) == []
    queue.push(request("b", urgency=PARTIAL), 0)
    assert [t.request.stream_id for t in queue.pop(Tier.FAST, recordings=False)] == ["b"]


def test_recordings_neither_fill_the_queue_nor_are_shed_nor_lose_patience():
    queue = DecodeQueue(limit=2)
    for n in range(9):
        tier = Tier.ACCURATE if n % 2 else Tier.FAST
        assert queue.push(request(f"r{n}", tier=tier, urgency=RECORDING), 0) == Pushed()
    assert queue.fill == 0
    partials = [request(f"p{n}", urgency=PARTIAL) for n in range(3)]
    assert [r for p in partials for r in queue.push(p, 0).shed] == [partials[2]]
    assert queue.clear(Tier.ACCURATE, before=9) == []
    assert len(queue.clear(Tier.ACCURATE)) == 4


# ── Whatever happens ──


PUSH = st.tuples(
    st.just("push"),
    st.sampled_from("abcdef"),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(Tier),
    st.sampled_from(Urgency),
    st.sampled_from([0.4, 1.0, 1.3, 4.0, 12.0]),
)
STEPS = st.lists(
    st.one_of(
        PUSH,
        PUSH,
        st.tuples(st.just("pop"), st.sampled_from(Tier), st.integers(1, 5)),
        st.tuples(st.just("done")),
        st.tuples(st.just("forget"), st.sampled_from("abcdef")),
        st.tuples(st.just("clear"), st.sampled_from(Tier)),
        st.tuples(st.just("few"), st.booleans()),
    ),
    max_size=50,
)


@given(STEPS)
def test_every_request_leaves_once_and_the_bounds_hold(steps):
    limit, limit_bytes = 5, 20 * seconds(1).nbytes
    queue = DecodeQueue(max_batch=3, limit=limit, limit_bytes=limit_bytes)
    inside: Counter[tuple[object, ...]] = Counter()
    running: list[DecodeRequest] = []

    def leave(gone: list[DecodeRequest]) -> None:
        for r in gone:
            assert inside[r.key] == 1
            del inside[r.key]

    for now, step in enumerate(steps):
        match step:
            case ("push", stream, utterance, revision, tier, urgency, length):
                asked = request(stream, utterance, revision, tier, urgency, audio=seconds(length))
                if not any(r.key == asked.key for r in running):
                    inside[asked.key] = 1
                pushed = queue.push(asked, now)
                leave(pushed.stale)
                leave(pushed.shed)
                assert not any(r.urgency is FINAL and r.tier is Tier.FAST for r in pushed.shed)
                assert not any(r.urgency is RECORDING for r in [*pushed.shed, *pushed.stale])
            case ("pop", tier, limit_now):
                taken = [ticket.request for ticket in queue.pop(tier, limit_now)]
                leave(taken)
                running += taken
                lengths = [len(r.audio) for r in taken]
                assert len({FINAL if r.urgency is EAGER else r.urgency for r in taken}) <= 1
                assert not taken or max(lengths) <= max(1.25 * min(lengths), min(lengths) + SAMPLE_RATE / 2)
                assert len(taken) <= 1 or sum(lengths) <= 3 * AUDIO_PER_REQUEST
            case ("done",):
                if running:
                    queue.done(running.pop(0))
            case ("forget", stream):
                leave(queue.forget(stream))
            case ("clear", tier):
                leave(queue.clear(tier))
            case ("few", on):
                queue.few_partials = on
        assert sum(queue.waiting(tier) for tier in Tier) == len(inside)
        assert (queue.bytes == 0) == (not inside)
        live = [t.request for t in queue._waiting.values() if t.request.urgency is not RECORDING]
        if len(live) > limit or sum(r.audio.nbytes for r in live) > limit_bytes:
            assert all(r.tier is Tier.FAST for r in live), "only finals of the fast tier may exceed them"
    for tier in Tier:
        finals = [t.request for t in queue.pop(tier)]
        if finals and finals[0].urgency is PARTIAL:
            assert queue.oldest(tier, FINAL, EAGER) is None, "a final never waits behind a partial"
