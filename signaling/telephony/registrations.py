"""Calls that were announced over HTTP and have not come yet: what an AudioSocket's UUID stands for. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rtc_stt.errors import BadRequest, TooMany, Unavailable
from signaling.telephony.call_source import CallDetails

__all__ = ["CLAIMED_S", "REGISTERED_S", "Registration", "Registrations"]

REGISTERED_S = 60.0
"""For a call to come: a dial plan registers it and dials at once."""

CLAIMED_S = 10.0
"""From its connection to its beginning."""

MAX_REGISTRATIONS, MAX_OF_ACCOUNT = 2_048, 512
"""At a time; each is a few hundred bytes."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One that is to come."""

    call_id: str
    uuid: str
    """What the other side will show, in the form of RFC 9562 §4: lower case, with dashes."""
    details: CallDetails


@dataclass(slots=True)
class _Expected:
    registration: Registration
    account: str
    deadline: float
    claimed: bool = False


class Registrations:
    """All of them. ``now`` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._by_uuid: dict[str, str] = {}
        self._expected: dict[str, _Expected] = {}

    def __len__(self) -> int:
        return len(self._expected)

    def add(self, registration: Registration, account: str, now: float) -> None:
        """Expect a call for :data:`REGISTERED_S`.

        Raises:
            BadRequest: one with this UUID is expected already.
            TooMany: the account expects as many as it may.
            Unavailable: all expect as many as there may be.
        """
        if registration.uuid in self._by_uuid:
            raise BadRequest("a call with this uuid is expected already")
        if Counter(e.account for e in self._expected.values())[account] >= MAX_OF_ACCOUNT:
            raise TooMany(f"{MAX_OF_ACCOUNT} calls of yours are expected already; let them come first")
        if len(self._expected) >= MAX_REGISTRATIONS:
            raise Unavailable("too many calls are expected; try again in a moment")
        self._by_uuid[registration.uuid] = registration.call_id
        self._expected[registration.call_id] = _Expected(registration, account, now + REGISTERED_S)

    def claim(self, uuid: str, now: float) -> Registration | None:
        """It has come: what was said of it. Once only; the call is to begin within :data:`CLAIMED_S`."""
        expected = self._expected.get(self._by_uuid.get(uuid, ""))
        if expected is None or expected.deadline <= now:
            return None
        del self._by_uuid[uuid]
        expected.claimed, expected.deadline = True, now + CLAIMED_S
        return expected.registration

    def get(self, call_id: str, now: float) -> tuple[Registration, str] | None:
        """One that is expected, and whose it is."""
        expected = self._expected.get(call_id)
        if expected is None or expected.deadline <= now:
            return None
        return expected.registration, expected.account

    def remove(self, call_id: str) -> bool:
        """It has begun, or will not. Whether it was expected."""
        expected = self._expected.pop(call_id, None)
        if expected and not expected.claimed:
            del self._by_uuid[expected.registration.uuid]
        return expected is not None

    def expire(self, now: float) -> list[str]:
        """Forget those that have not come; gives the ids of their calls."""
        late = [call_id for call_id, e in self._expected.items() if e.deadline <= now]
        for call_id in late:
            self.remove(call_id)
        return late

    def next_deadline(self) -> float | None:
        """When to ask :meth:`expire`."""
        return min((e.deadline for e in self._expected.values()), default=None)
