"""Usage of several gateways in one ledger: counted once, whatever is repeated or forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis as client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signaling.shared.ledger import FOLD, FRESH_S, MAX_AT_ONCE, Batch, SharedLedger
from signaling.usage import DAY_S, NOTHING, Amount, Usage, date_of
from tools.shared.redis_server import running

TODAY = 20_000
PLACE = TODAY, "acme"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Redis]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        connection = client.Redis.from_url(server.url)
        yield connection
        connection.close()


class Gateway:
    def __init__(
        self, redis: client.Redis, life: str, own: Callable[..., Amount] = lambda _: NOTHING
    ) -> None:
        self.redis, self.life = redis, life
        self.ledger = SharedLedger(own)

    def ask(self, batch: Batch) -> list[bytes]:
        keys = [f"q:{self.life}", *(f"u:{date_of(e.day)}:{e.name}" for e in batch.entries)]
        return list(self.redis.eval(FOLD, len(keys), *keys, *batch.arguments()))  # type: ignore[arg-type]

    def tell(self, *, lose_answer: bool = False) -> None:
        while batch := self.ledger.take():
            totals = self.ask(batch)
            if lose_answer:
                return
            self.ledger.told(batch, totals, 0.0)

    def learn(self) -> Amount:
        batch = self.ledger.question(PLACE)
        self.ledger.told(batch, self.ask(batch), 0.0)
        return self.ledger.amount(PLACE)


def test_both_know_what_both_used(redis: client.Redis) -> None:
    redis.flushall()
    a, b = Gateway(redis, "a"), Gateway(redis, "b")
    a.ledger.add(PLACE, Amount(1.25, 1, 0))
    b.ledger.add(PLACE, Amount(2.5, 0, 2))
    assert b.ledger.amount(PLACE) == Amount(2.5, 0, 2), "before anybody was asked"
    a.tell()
    b.tell()
    assert b.ledger.amount(PLACE) == Amount(3.75, 1, 2)
    assert a.learn() == Amount(3.75, 1, 2)
    assert a.ledger.is_empty
    assert 0 < redis.ttl(f"u:{date_of(TODAY)}:acme") <= 3 * DAY_S


def test_what_is_said_again_counts_once(redis: client.Redis) -> None:
    redis.flushall()
    a = Gateway(redis, "a")
    a.ledger.add(PLACE, Amount(1, 1, 1))
    a.tell(lose_answer=True)
    a.ledger.add(PLACE, Amount(10, 0, 0))
    assert a.ledger.amount(PLACE) == Amount(11, 1, 1)
    a.tell()
    assert a.ledger.amount(PLACE) == a.learn() == Amount(11, 1, 1)


def test_back_and_empty_it_is_told_anew_the_larger_and_not_the_sum(redis: client.Redis) -> None:
    redis.flushall()
    a, b = Gateway(redis, "a"), Gateway(redis, "b")
    for gateway in (a, b):
        gateway.ledger.add(PLACE, Amount(5, 1, 0))
        gateway.tell()
    a.learn()
    redis.flushall()
    assert b.learn() == Amount(10, 2, 0)
    a.ledger.add(PLACE, Amount(1, 0, 0))
    a.tell()
    assert b.learn() == Amount(11, 2, 0)


def test_what_the_file_knows_is_told_by_who_comes_new(redis: client.Redis) -> None:
    redis.flushall()
    a = Gateway(redis, "a", lambda _: Amount(100, 7, 7))  # what is not told yet included
    a.ledger.add(PLACE, Amount(1, 1, 1))
    a.tell()
    assert a.learn() == Amount(100, 7, 7)
    a.ledger.add(PLACE, Amount(1, 0, 0))
    a.tell()
    assert a.learn() == Amount(101, 7, 7), "from there on the file is not asked"


def test_nothing_is_stored_of_who_used_nothing(redis: client.Redis) -> None:
    redis.flushall()
    a = Gateway(redis, "a")
    assert a.learn() == NOTHING
    assert redis.keys("*") == []


def test_many_accounts_in_bounded_batches_and_old_days_forgotten() -> None:
    ledger = SharedLedger(lambda _: NOTHING)
    for number in range(2 * MAX_AT_ONCE + 1):
        ledger.add((TODAY - 2, str(number)), Amount(1))
    sizes = []
    while batch := ledger.take():
        assert ledger.take() == batch, "until it was told"
        sizes.append(len(batch.entries))
        ledger.told(batch, ["1", "0", "0"] * len(batch.entries), 7.0)
    assert sizes == [MAX_AT_ONCE, MAX_AT_ONCE, 1]
    place = TODAY - 2, "0"
    assert ledger.is_fresh(place, 7.0 + FRESH_S / 2)
    assert not ledger.is_fresh(place, 7.0 + FRESH_S)
    ledger.turn_over(TODAY - 1)
    assert ledger.amount(place) == NOTHING
    with pytest.raises(ValueError, match="could not convert"):
        ledger.told(ledger.question(place), ["x", "0", "0"], 8.0)


def test_a_quota_counts_what_others_used() -> None:
    usage = Usage(daily_audio_s=10)
    ledger = usage.others = SharedLedger(lambda place: usage.own_amount(place[1], place[0]))
    now = TODAY * DAY_S + 5.0
    usage.add("acme", now, audio_s=4)
    assert usage.remaining_s("acme", now) == 6
    batch = ledger.take()
    assert batch
    ledger.told(batch, ["9.5", "0", "0"], 0.0)
    assert usage.remaining_s("acme", now) == 0.5
    usage.add("acme", now, audio_s=1)
    assert usage.remaining_s("acme", now) == 0


STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["use", "tell", "lose", "empty"])), max_size=30
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_happens_nothing_counts_twice_and_without_a_loss_all_of_it(
    redis: client.Redis, steps: list[tuple[str, str]]
) -> None:
    redis.flushall()
    gateways = {name: Gateway(redis, name) for name in "ab"}
    used, has_been_empty = 0, False
    for name, what in steps:
        gateway = gateways[name]
        match what:
            case "use":
                gateway.ledger.add(PLACE, Amount(1))
                used += 1
            case "tell":
                gateway.tell()
            case "lose":
                gateway.tell(lose_answer=True)
            case "empty" if all(g.ledger.is_empty for g in gateways.values()):
                redis.flushall()
                has_been_empty = True
    for gateway in gateways.values():
        gateway.tell()
    for gateway in gateways.values():
        total = gateway.learn().audio_s
        assert total <= used
        assert has_been_empty or total == used
