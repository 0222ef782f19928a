"""What each key has used, and who is over its quota."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtc_stt.errors import QuotaExceeded, TooMany
from signaling import usage as module
from signaling.usage import DAY_S, NOTHING, Account, Amount, Usage, date_of, day_from, day_of

DAY = 20_000
NOON = DAY * DAY_S + DAY_S / 2
SECONDS = st.integers(0, 5_000).map(float)  # whole ones, so that sums are exact in any order


def ledger(daily_audio_s: float = 0.0, accounts: Mapping[str, Account] | None = None) -> Usage:
    usage = Usage(daily_audio_s=daily_audio_s)
    usage.know(accounts or {"one": Account("one"), "two": Account("two")})
    return usage


def test_days_are_those_of_utc() -> None:
    assert date_of(DAY) == "2024-10-04"
    assert (day_of(DAY * DAY_S - 0.001), day_of(DAY * DAY_S)) == (DAY - 1, DAY)
    assert day_from(date_of(DAY)) == DAY


def test_without_a_quota_a_key_may_have_what_it_likes() -> None:
    usage = ledger()
    usage.add("one", NOON, audio_s=1e9)
    usage.check("one", NOON)
    assert usage.remaining_s("one", NOON) is None


def test_a_key_is_over_its_quota_until_the_day_is_over() -> None:
    usage = ledger(100)
    usage.add("one", NOON, audio_s=99)
    usage.check("one", NOON)
    usage.add("one", NOON + 1, audio_s=1)
    with pytest.raises(QuotaExceeded, match="100 s of audio") as error:
        usage.check("one", NOON + 1)
    assert (error.value.status, error.value.type) == (429, "quota_exceeded")
    assert isinstance(error.value, TooMany)
    assert error.value.retry_after_s == DAY_S // 2 - 1
    usage.check("two", NOON + 1)
    with pytest.raises(QuotaExceeded) as error:
        usage.check("one", (DAY + 1) * DAY_S - 0.4)
    assert error.value.retry_after_s == 1
    usage.check("one", (DAY + 1) * DAY_S)
    assert usage.remaining_s("one", (DAY + 1) * DAY_S) == 100


@given(st.floats(0, 1e11), SECONDS)
def test_retry_after_leads_into_the_next_day_and_no_further(now: float, used: float) -> None:
    usage = ledger(1)
    usage.add("one", now, audio_s=used + 1)
    with pytest.raises(QuotaExceeded) as error:
        usage.check("one", now)
    assert 1 <= error.value.retry_after_s <= DAY_S
    assert day_of(now + error.value.retry_after_s) == day_of(now) + 1


@pytest.mark.parametrize(("own", "limit"), [(None, 100), (0.0, None), (7.0, 7)])
def test_the_quota_of_a_key_goes_before_that_of_all(own: float | None, limit: float | None) -> None:
    usage = ledger(100, {"one": Account("acme", own)})
    assert usage.limit_s("one") == limit


def test_keys_of_one_name_share_a_book() -> None:
    usage = ledger(100, {"old": Account("acme"), "new": Account("acme")})
    usage.add("old", NOON, audio_s=60, requests=1)
    usage.add("new", NOON, audio_s=60, sessions=1)
    assert usage.amount("acme", DAY) == Amount(120, 1, 1)
    for key_id in ("old", "new"):
        with pytest.raises(QuotaExceeded):
            usage.check(key_id, NOON)


def test_a_key_that_is_gone_still_has_its_book_while_it_is_used() -> None:
    usage = ledger(0, {"old": Account("acme", 10)})
    usage.add("old", NOON, audio_s=9, sessions=1)
    usage.know({"new": Account("acme", 10)})
    usage.add("old", NOON + DAY_S, audio_s=1)
    usage.add("old", NOON + DAY_S, audio_s=1)
    assert usage.amount("acme", DAY + 1) == Amount(2)
    usage.add("new", NOON + 3 * DAY_S, audio_s=1)
    assert usage.account("old") == Account("old"), "two days later it is forgotten"
    assert usage.account("new").name == "acme"


def test_memory_is_bounded_by_days() -> None:
    usage = ledger()
    for day in range(1_000):
        usage.add("one", NOON + day * DAY_S, requests=1)
    assert len(usage._totals) == 2
    assert usage._unwritten == {}
    assert usage.amount("one", DAY + 998) == Amount(requests=1)
    assert usage.amount("one", DAY + 997) == NOTHING


def test_a_store_that_is_never_written_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNWRITTEN", 10)
    usage = Usage(has_store=True)
    lost = 0
    for day in range(30):
        usage.add("one", NOON + day * DAY_S, requests=1)
        usage.take()
        lost += usage.failed()
    taken = usage.take()
    assert lost == 20
    assert sorted(taken) == [(DAY + day, "one") for day in range(20, 30)], "the latest are kept"


class LedgerAndStore(RuleBasedStateMachine):
    """Two processes count and write, in any order, sometimes in vain: nothing is lost or counted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = [Usage(has_store=True), Usage(has_store=True)]
        self.under_way = [False, False]
        self.stored: dict[tuple[int, str], Amount] = {}
        self.true: dict[tuple[int, str], Amount] = {}
        self.now = NOON

    @rule(which=st.integers(0, 1), key_id=st.sampled_from(["one", "two"]), seconds=SECONDS)
    def add(self, which: int, key_id: str, seconds: float) -> None:
        self.processes[which].add(key_id, self.now, audio_s=seconds, requests=1)
        place = day_of(self.now), key_id
        self.true[place] = self.true.get(place, NOTHING) + Amount(seconds, 1)

    @rule(which=st.integers(0, 1), succeeds=st.booleans(), meanwhile=SECONDS | st.none())
    def write(self, which: int, succeeds: bool, meanwhile: float | None) -> None:
        usage = self.processes[which]
        taken = dict(usage.take())
        if succeeds:
            for place, amount in taken.items():
                self.stored[place] = self.stored.get(place, NOTHING) + amount
        told = {place: amount for place, amount in self.stored.items() if place[0] >= day_of(self.now) - 1}
        if meanwhile is not None:
            self.add(which, "one", meanwhile)
        if succeeds:
            usage.written(told)
        else:
            assert usage.failed() == 0

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.now += hours * 3600

    @invariant()
    def what_is_stored_and_what_is_not_yet_is_all(self) -> None:
        for place, amount in self.true.items():
            waiting = [usage._unwritten.get(place, NOTHING) for usage in self.processes]
            assert self.stored.get(place, NOTHING) + waiting[0] + waiting[1] == amount

    @invariant()
    def nobody_knows_of_more_than_there_is_or_of_less_than_it_has_counted_itself(self) -> None:
        for (day, name), amount in self.true.items():
            for usage in self.processes:
                known = usage.amount(name, day).audio_s
                assert known <= amount.audio_s
                if day == day_of(self.now):
                    assert known >= usage._unwritten.get((day, name), NOTHING).audio_s

    def teardown(self) -> None:
        for which in (0, 1, 0):
            self.write(which, True, None)
        today = day_of(self.now)
        for name in ("one", "two"):
            assert self.processes[0].amount(name, today) == self.true.get((today, name), NOTHING)


TestLedgerAndStore = LedgerAndStore.TestCase
