"""Calls that were announced and have not come yet."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtc_stt.errors import BadRequest, TooMany, Unavailable
from signaling.telephony.call_source import CallDetails
from signaling.telephony.registrations import (
    CLAIMED_S,
    MAX_OF_ACCOUNT,
    MAX_REGISTRATIONS,
    REGISTERED_S,
    Registration,
    Registrations,
)

DETAILS = CallDetails("audiosocket")


def one(number: int) -> Registration:
    return Registration(f"call-{number}", f"uuid-{number}", DETAILS)


def test_a_call_is_claimed_once():
    expected = Registrations()
    expected.add(one(1), "acme", 0.0)
    assert expected.get("call-1", 1.0) == (one(1), "acme")
    assert expected.claim("other", 1.0) is None
    assert expected.claim("uuid-1", 1.0) == one(1)
    assert expected.claim("uuid-1", 1.0) is None
    assert expected.get("call-1", 1.0) == (one(1), "acme")  # until it begins
    assert expected.remove("call-1")
    assert not expected.remove("call-1")
    assert len(expected) == 0


def test_one_that_does_not_come_is_forgotten():
    expected = Registrations()
    expected.add(one(1), "acme", 0.0)
    expected.add(one(2), "acme", 5.0)
    assert expected.claim("uuid-2", 6.0)
    assert expected.next_deadline() == 6.0 + CLAIMED_S
    assert expected.expire(6.0 + CLAIMED_S) == ["call-2"]
    assert expected.claim("uuid-1", REGISTERED_S) is None
    assert expected.get("call-1", REGISTERED_S) is None
    assert expected.expire(REGISTERED_S) == ["call-1"]
    assert expected.next_deadline() is None


def test_there_are_so_many_and_no_more():
    expected = Registrations()
    expected.add(one(0), "acme", 0.0)
    with pytest.raises(BadRequest):
        expected.add(one(0), "other", 0.0)
    for number in range(1, MAX_OF_ACCOUNT):
        expected.add(one(number), "acme", 0.0)
    with pytest.raises(TooMany):
        expected.add(one(MAX_OF_ACCOUNT), "acme", 0.0)
    for number in range(MAX_OF_ACCOUNT, MAX_REGISTRATIONS):
        expected.add(one(number), f"other-{number}", 0.0)
    with pytest.raises(Unavailable):
        expected.add(one(MAX_REGISTRATIONS), "last", 0.0)


class Machine(RuleBasedStateMachine):
    """Whatever happens, a UUID is good for one call at most, and nothing is kept for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.expected = Registrations()
        self.now = 0.0
        self.number = 0
        self.claimed: set[str] = set()

    @rule(uuid=st.integers(0, 5))
    def add(self, uuid: int) -> None:
        self.number += 1
        registration = Registration(f"call-{self.number}", f"uuid-{uuid}", DETAILS)
        try:
            self.expected.add(registration, "acme", self.now)
        except BadRequest:
            return

    @rule(uuid=st.integers(0, 5))
    def claim(self, uuid: int) -> None:
        if found := self.expected.claim(f"uuid-{uuid}", self.now):
            assert found.call_id not in self.claimed
            self.claimed.add(found.call_id)

    @rule(number=st.integers(1, 30))
    def remove(self, number: int) -> None:
        self.expected.remove(f"call-{number}")

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        deadline = self.expected.next_deadline()
        gone = self.expected.expire(self.now)
        assert bool(gone) == (deadline is not None and deadline <= self.now)

    @invariant()
    def nothing_is_kept_for_ever(self) -> None:
        deadline = self.expected.next_deadline()
        assert deadline is None or deadline <= self.now + REGISTERED_S
        assert (deadline is None) == (len(self.expected) == 0)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=50, stateful_step_count=30)
