"""The script that takes, against what it should do, on a real Redis."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import pytest
import redis as client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signaling.allowance import ADDRESS_LIMIT, HALF_OPEN, KEY_LIMIT, RATE, Allowance
from signaling.auth import OPEN
from signaling.calls import Caller
from signaling.shared.limits import DROP, HOLD, TAKE, Limit, arguments, once, rate_of, read_answer, rooms_of
from signaling.tokens import Token
from tools.shared.redis_server import running

ALLOWANCE = Allowance(rps=3, burst=5, half_open=4, sessions_per_key=2, sessions_per_address=7)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Redis]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        connection = client.Redis.from_url(server.url)
        yield connection
        connection.close()


def take(redis: client.Redis, limits: Sequence[Limit], member: str = "m") -> tuple[str, float] | None:
    keys = [":".join(limit.parts) for limit in limits]
    answer = redis.eval(TAKE, len(keys), *keys, *arguments(limits, member))
    refused = read_answer(limits, answer)  # type: ignore[arg-type]
    return refused and (refused.reason, refused.wait_s)


# ── What is asked ────────────────────────────────────────────────────────────


def test_what_a_request_takes() -> None:
    caller = Caller("k1", "10.0.0.9")
    assert rate_of(caller, ALLOWANCE) == [Limit(RATE, ("r", "k1", "rate"), "rate", 5, 333_334)]
    assert [(x.reason, x.parts[1], x.amount) for x in rooms_of(caller, ALLOWANCE, resuming=False)] == [
        (HALF_OPEN, "k1", 4),
        (KEY_LIMIT, "k1", 2),
        (ADDRESS_LIMIT, "10.0.0.9", 7),
    ]
    assert [x.reason for x in rooms_of(caller, ALLOWANCE, resuming=True)] == [HALF_OPEN]
    assert [x.reason for x in rooms_of(caller, ALLOWANCE, resuming=False, seated=True)] == [KEY_LIMIT]
    nobody = Caller(OPEN, "2001:db8::1")
    assert rate_of(nobody, ALLOWANCE)[0].parts == ("r", "2001:db8::/64", "rate")
    assert [x.reason for x in rooms_of(nobody, ALLOWANCE, resuming=False)] == [HALF_OPEN, ADDRESS_LIMIT]
    here = Caller(OPEN, "127.0.0.1")
    assert rate_of(here, ALLOWANCE) == []
    unlimited = Allowance(1, 1, 4, 0, 0)
    assert [x.reason for x in rooms_of(caller, unlimited, resuming=False)] == [HALF_OPEN]


def test_the_part_of_one_of_several() -> None:
    assert ALLOWANCE.split(1) == ALLOWANCE
    assert ALLOWANCE.split(3) == Allowance(1, 1, 1, 1, 2)
    assert Allowance(1, 1, 1, 0, 0).split(5) == Allowance(0.2, 1, 1, 0, 0), "0 is no limit, and stays none"


# ── What is answered ────────────────────────────────────────────────────────────


def test_a_burst_and_then_the_rate(redis: client.Redis) -> None:
    redis.flushall()
    limits = [Limit(RATE, ("r", "burst", "rate"), "rate", 4, 50_000)]
    began = time.monotonic()
    granted, waits = 0, list[float]()
    while time.monotonic() - began < 1:
        refused = take(redis, limits)
        if refused is None:
            granted += 1
        else:
            waits.append(refused[1])
    spent = time.monotonic() - began
    assert 4 + math.floor(spent / 0.05) - 1 <= granted <= 4 + spent / 0.05
    assert 0 < max(waits) <= 0.051
    assert 0 < redis.pttl("r:burst:rate") <= 202


def test_a_clock_that_goes_back_locks_nobody_out_for_longer_than_a_burst(redis: client.Redis) -> None:
    redis.flushall()
    limits = [Limit(RATE, ("r", "late", "rate"), "rate", 2, 20_000)]
    redis.set("r:late:rate", str((time.time() + 3600) * 1e6))
    assert take(redis, limits) is not None
    time.sleep(0.02)
    redis.set("r:late:rate", "no number")
    assert take(redis, limits) is None


def test_places_end_by_themselves(redis: client.Redis) -> None:
    redis.flushall()
    limits = [Limit(KEY_LIMIT, ("r", "k", KEY_LIMIT), "room", 2, 150)]
    assert take(redis, limits, "a") is None
    assert take(redis, limits, "b") is None
    assert take(redis, limits, "c") == (KEY_LIMIT, 0)
    assert take(redis, limits, "a") is None, "it has one"
    deadline = time.monotonic() + 0.4
    while time.monotonic() < deadline:
        assert redis.eval(HOLD, 1, f"r:k:{KEY_LIMIT}", 150, "a", "d") in (2, 3)
        time.sleep(0.03)
    assert take(redis, limits, "c") == (KEY_LIMIT, 0), "a and d are still held, b is not"
    redis.eval(DROP, 1, f"r:k:{KEY_LIMIT}", "a", "x")
    assert take(redis, limits, "c") is None
    time.sleep(0.2)
    assert redis.exists(f"r:k:{KEY_LIMIT}") == 0


def test_a_token_is_taken_once_and_given_back_by_who_took_it(redis: client.Redis) -> None:
    redis.flushall()
    token = Token("00" * 8, expires_at=1_000, nonce=b"n" * 16)
    limits = [once(token, now=900.0)]
    key = ":".join(limits[0].parts)
    assert b"n" * 16 not in key.encode()
    assert take(redis, limits, "one") is None
    assert take(redis, limits, "one") is None, "said again by the same process"
    assert take(redis, limits, "two") == ("replayed", 0)
    assert 159_000 < redis.pttl(key) <= 160_000
    redis.eval(DROP, 1, key, "two")
    assert redis.exists(key)
    redis.eval(DROP, 1, key, "one")
    assert take(redis, limits, "two") is None


class Model:
    """As the script, with time in one's hand: it does not pass."""

    def __init__(self) -> None:
        self.rates: dict[str, int] = {}
        self.rooms: dict[str, set[str]] = {}

    def take(self, limits: Sequence[Limit], member: str) -> str | None:
        for limit in limits:
            key = ":".join(limit.parts)
            if limit.kind == "rate" and self.rates.get(key, 0) >= limit.amount:
                return limit.reason
            room = self.rooms.get(key, set())
            if limit.kind == "room" and member not in room and len(room) >= limit.amount:
                return limit.reason
        for limit in limits:
            key = ":".join(limit.parts)
            if limit.kind == "rate":
                self.rates[key] = self.rates.get(key, 0) + 1
            else:
                self.rooms.setdefault(key, set()).add(member)
        return None

    def drop(self, parts: Sequence[str], member: str) -> None:
        self.rooms.get(":".join(parts), set()).discard(member)


HOURS_US, HOURS_MS = 3_600_000_000, 3_600_000
"""So that nothing comes back while a test runs."""

RATES = [Limit(f"rate {n}", ("r", f"k{n}", "rate"), "rate", n, HOURS_US) for n in (1, 2, 5)]
ROOMS = [Limit(f"room {n}", ("r", f"k{n}", "room"), "room", n, HOURS_MS) for n in (1, 2, 3)]

ACTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("take"),
            st.lists(st.sampled_from(RATES + ROOMS), min_size=1, max_size=4, unique=True),
            st.sampled_from("abcde"),
        ),
        st.tuples(st.just("drop"), st.sampled_from(ROOMS), st.sampled_from("abcde")),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS)
def test_all_or_none_and_as_the_model_says(redis: client.Redis, acts: list[tuple]) -> None:  # type: ignore[type-arg]
    redis.flushall()
    model = Model()
    for act, what, member in acts:
        if act == "drop":
            redis.eval(DROP, 1, ":".join(what.parts), member)
            model.drop(what.parts, member)
            continue
        before = {key: redis.dump(key) for key in redis.keys("*")}
        refused, expected = take(redis, what, member), model.take(what, member)
        assert (refused and refused[0]) == expected
        if refused:
            assert {key: redis.dump(key) for key in redis.keys("*")} == before, "none of them was taken from"
    for limit in ROOMS:
        held = redis.zrange(":".join(limit.parts), 0, -1)
        assert {m.decode() for m in held} == model.rooms.get(":".join(limit.parts), set())
        assert len(held) <= limit.amount


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    burst=st.integers(1, 8),
    span_us=st.integers(2_000, 20_000),
    pauses=st.lists(st.floats(0, 0.01), min_size=5, max_size=40),
)
def test_never_more_than_a_token_bucket_grants(
    redis: client.Redis, burst: int, span_us: int, pauses: list[float]
) -> None:
    redis.flushall()
    limits = [Limit(RATE, ("r", "k", "rate"), "rate", burst, span_us)]
    times, granted = list[tuple[float, float]](), 0
    for pause in pauses:
        time.sleep(pause)
        sent = time.monotonic()
        if take(redis, limits) is None:
            granted += 1
            times.append((sent, time.monotonic()))
    for first in range(len(times)):
        for last in range(first, len(times)):
            spent = times[last][1] - times[first][0]
            assert last - first + 1 <= burst + spent * 1e6 / span_us + 1e-6
