"""Which event is posted when."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling.telephony import webhook_policy
from signaling.telephony.webhook_policy import (
    CONCURRENCY,
    MAX_AGE_S,
    MAX_BYTES,
    MAX_POSTS,
    OFF_S,
    RETRY_S,
    Answer,
    Post,
    Result,
    WebhookPolicy,
    read_secrets,
    sign,
    wrap,
)

OK, BUSY, NOTHING, GONE = Answer(200), Answer(503), Answer(), Answer(410)


def post(number: int, call: str = "a", size: int = 2) -> Post:
    return Post(f"{call}_{number}", call, b"x" * size)


def test_the_events_of_a_call_go_one_after_another_those_of_others_beside_them():
    policy = WebhookPolicy()
    a, b, c = post(1), post(2), post(1, "b")
    for one in (a, b, c):
        assert policy.put(one, 0.0) is None
    assert policy.take_due(0.0) == [a, c]
    assert policy.take_due(0.0) == []
    assert policy.settle(a, OK, 1.0, 0.5) == (Result.DELIVERED, [])
    assert policy.take_due(1.0) == [b]
    assert policy.settle(c, OK, 1.0, 0.5)[0] is Result.DELIVERED
    assert policy.settle(b, Answer(204), 1.0, 0.5)[0] is Result.DELIVERED
    assert (policy.waiting, policy.next_deadline()) == (0, None)


def test_one_that_fails_holds_up_those_behind_it_and_nobody_else():
    policy = WebhookPolicy()
    a, b, c = post(1), post(2), post(1, "b")
    policy.put(a, 0.0)
    policy.put(b, 0.0)
    policy.take_due(0.0)
    assert policy.settle(a, NOTHING, 0.0, 0.5) == (Result.FAILED, [])
    assert policy.next_deadline() == RETRY_S[0]
    policy.put(c, 0.1)
    assert policy.take_due(0.1) == [c]
    assert policy.take_due(0.9) == []
    assert policy.take_due(RETRY_S[0]) == [a]
    assert a.attempts == 2


def test_it_is_tried_so_often_and_later_each_time():
    policy, one, now, delays = WebhookPolicy(), post(1), 0.0, []
    policy.put(one, now)
    for _ in RETRY_S:
        assert policy.take_due(now) == [one]
        assert policy.settle(one, BUSY, now, 0.5)[0] is Result.FAILED
        due = policy.next_deadline()
        assert due is not None
        delays.append(due - now)
        now = due
    assert delays == pytest.approx(RETRY_S)
    assert policy.take_due(now) == [one]
    result, given_up = policy.settle(one, BUSY, now, 0.5)
    assert result is Result.EXHAUSTED
    assert [(dead.post, dead.result) for dead in given_up] == [(one, Result.EXHAUSTED)]
    assert policy.waiting == 0


@given(st.floats(0, 1), st.integers(1, 20), st.none() | st.floats(0, 1e6))
def test_a_delay_has_jitter_and_obeys_what_was_asked_for(draw, attempts, asked):
    policy, one = WebhookPolicy(), post(1)
    policy.put(one, 0.0)
    policy.take_due(0.0)
    one.attempts = min(attempts, len(RETRY_S))
    policy.settle(one, Answer(429, asked), 0.0, draw)
    due = policy.next_deadline()
    assert due is not None
    usual = RETRY_S[one.attempts - 1]
    assert due >= min(asked or 0.0, webhook_policy.MAX_RETRY_AFTER_S)
    assert due >= 0.75 * usual
    assert due <= max(1.25 * usual, webhook_policy.MAX_RETRY_AFTER_S)


def test_what_is_old_is_given_up():
    policy, one = WebhookPolicy(), post(1)
    policy.put(one, 0.0)
    assert policy.take_due(MAX_AGE_S) == [one]
    assert policy.settle(one, BUSY, MAX_AGE_S, 0.5)[0] is Result.EXHAUSTED


def test_gone_is_taken_at_its_word_for_an_hour():
    policy = WebhookPolicy()
    a, b, c = post(1), post(2), post(1, "b")
    for one in (a, b, c):
        policy.put(one, 0.0)
    assert policy.take_due(0.0) == [a, c]
    result, given_up = policy.settle(a, GONE, 1.0, 0.5)
    assert result is Result.OFF
    assert [dead.post for dead in given_up] == [a, b]  # c is under way
    refused = policy.put(post(3), 2.0)
    assert refused is not None
    assert refused.result is Result.OFF
    assert policy.settle(c, BUSY, 2.0, 0.5)[0] is Result.OFF
    assert policy.waiting == 0
    assert policy.put(post(4), 1.0 + OFF_S) is None


def test_one_that_is_taken_means_that_it_is_not_gone():
    policy = WebhookPolicy()
    a, c = post(1), post(1, "b")
    policy.put(a, 0.0)
    policy.put(c, 0.0)
    policy.take_due(0.0)
    policy.settle(a, GONE, 0.0, 0.5)
    policy.settle(c, OK, 0.0, 0.5)
    assert policy.put(post(2), 0.0) is None


def test_there_is_room_for_so_many(monkeypatch):
    monkeypatch.setattr(webhook_policy, "MAX_POSTS", 10)
    policy = WebhookPolicy()
    for number in range(10):
        assert policy.put(post(number), 0.0) is None
    refused = policy.put(post(11), 0.0)
    assert refused is not None
    assert refused.result is Result.OVERFLOW
    assert MAX_POSTS >= 1_000


def test_and_for_so_much():
    policy = WebhookPolicy()
    assert policy.put(post(1, size=MAX_BYTES), 0.0) is None
    refused = policy.put(post(2), 0.0)
    assert refused is not None
    assert refused.result is Result.OVERFLOW
    (one,) = policy.take_due(0.0)
    policy.settle(one, OK, 0.0, 0.5)
    assert policy.put(post(3), 0.0) is None


def test_so_many_go_at_a_time_and_everyone_has_a_turn():
    policy = WebhookPolicy()
    for number in range(2):
        for call in range(CONCURRENCY + 2):
            policy.put(post(number, str(call)), 0.0)
    first = policy.take_due(0.0)
    assert len(first) == CONCURRENCY
    assert policy.next_deadline() is None
    for one in first:
        policy.settle(one, OK, 0.0, 0.5)
    second = policy.take_due(0.0)
    assert {one.call_id for one in second} >= {str(CONCURRENCY), str(CONCURRENCY + 1)}


def test_at_the_end_everything_is_tried_once_more():
    policy = WebhookPolicy()
    a, b = post(1), post(2)
    policy.put(a, 0.0)
    policy.put(b, 0.0)
    policy.take_due(0.0)
    policy.settle(a, BUSY, 0.0, 0.5)
    assert policy.take_due(0.1) == []
    policy.drain()
    assert policy.take_due(0.1) == [a]
    result, given_up = policy.settle(a, BUSY, 0.1, 0.5)
    assert (result, len(given_up)) == (Result.DRAINED, 1)
    assert policy.take_due(0.1) == [b]
    assert [dead.post for dead in policy.give_up_all(Result.DRAINED)] == [b]
    assert policy.waiting == 0
    assert policy.settle(b, OK, 0.1, 0.5)[0] is Result.DELIVERED  # it was under way


ANSWERS = st.sampled_from([OK, BUSY, NOTHING, Answer(302), Answer(404), Answer(429, 3.0), GONE])
STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 4)),
    st.tuples(st.just("wait"), st.floats(0, 700)),
    st.tuples(st.just("answer"), ANSWERS),
)


@given(st.lists(STEPS, max_size=80), st.booleans())
def test_whatever_happens_each_event_is_settled_once_and_in_order(steps, drains):
    policy, now = WebhookPolicy(), 0.0
    under_way: list[Post] = []
    settled: list[str] = []
    delivered: list[str] = []
    number = 0

    def answer(reply: Answer) -> None:
        one = under_way.pop(0)
        result, given_up = policy.settle(one, reply, now, 0.5)
        if result is Result.DELIVERED:
            settled.append(one.id)
            delivered.append(one.id)
        settled.extend(dead.post.id for dead in given_up)

    for what, value in steps:
        if what == "put":
            number += 1
            if dead := policy.put(Post(f"{value}_{number}", str(value), b"{}"), now):
                settled.append(dead.post.id)
        elif what == "wait":
            now += value
        elif under_way:
            answer(value)
        under_way += policy.take_due(now)
        assert len(under_way) <= CONCURRENCY
        assert len({one.call_id for one in under_way}) == len(under_way)
        assert policy.waiting == number - len(settled)
    if drains:
        policy.drain()
    for _ in range(10_000):
        under_way += policy.take_due(now)
        if not under_way:
            deadline = policy.next_deadline()
            if deadline is None:
                break
            now = deadline
            continue
        answer(BUSY)
    assert policy.waiting == 0
    assert len(settled) == len(set(settled)) == number
    for call in range(5):
        mine = [int(name.split("_")[1]) for name in delivered if name.startswith(f"{call}_")]
        assert mine == sorted(mine)


def test_a_signature_is_as_the_standard_has_it():
    secret = b"k" * 24
    body = wrap("dtmf", "2026-01-01T00:00:00.000Z", '{"digit":"1"}')
    assert body == b'{"type":"dtmf","timestamp":"2026-01-01T00:00:00.000Z","data":{"digit":"1"}}'
    signed = b"call_1.1700000000." + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert sign((secret,), "call_1", 1_700_000_000, body) == f"v1,{expected}"
    both = sign((b"n" * 24, secret), "call_1", 1_700_000_000, body).split(" ")
    assert len(both) == 2
    assert both[1] == f"v1,{expected}"
    assert both[0] == sign((b"n" * 24,), "call_1", 1_700_000_000, body)


def test_a_secret_is_as_the_standard_writes_it_or_as_it_stands():
    raw = bytes(range(24))
    one = "whsec_" + base64.b64encode(raw).decode()
    assert read_secrets(one) == (raw,)
    assert read_secrets("x" * 24) == (b"x" * 24,)
    assert read_secrets(f" {one}  {'x' * 24} ") == (raw, b"x" * 24)
    short = "whsec_" + base64.b64encode(b"short").decode()
    for wrong in ("", " ", "short", "whsec_" + "x" * 40 + "!", short, f"{one} {short}", " ".join([one] * 4)):
        with pytest.raises(ConfigError, match="WEBHOOK_SECRET"):
            read_secrets(wrong)
