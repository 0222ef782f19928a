"""What each key has used, by day, and who is over its quota. Pure.

Days are of UTC. The ledger keeps today and yesterday; what is older is in the store
(:mod:`signaling.usage_store`), if there is one. The store is told what has not been written yet
(:meth:`Usage.take`), and tells what it then holds, of all processes that share it (:meth:`Usage.written`).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rtc_stt.errors import QuotaExceeded

__all__ = [
    "DAY_S",
    "NOTHING",
    "Account",
    "Amount",
    "Amounts",
    "Others",
    "Usage",
    "date_of",
    "day_from",
    "day_of",
]

T = TypeVar("T")

DAY_S = 86_400

MAX_UNWRITTEN = 100_000
"""Days of keys that wait for a store that cannot be written; some 20 MB. Then the oldest are given up."""


@dataclass(frozen=True, slots=True)
class Account:
    """In whose book a key is: several keys may share one, while one takes the place of the other."""

    name: str
    """Told in reports and kept in the store; never a key."""
    daily_audio_s: float | None = None
    """Its quota in seconds a day; 0: as much as it likes. None: the server's."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What was used."""

    audio_s: float = 0.0
    requests: int = 0
    sessions: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.audio_s + other.audio_s, self.requests + other.requests, self.sessions + other.sessions
        )


NOTHING = Amount()

Amounts = Mapping[tuple[int, str], Amount]
"""By day (see :func:`day_of`) and name of the account."""


def day_of(now: float) -> int:
    """The number of a day: whole days of Unix time, which are those of UTC."""
    return math.floor(now / DAY_S)


def date_of(day: int) -> str:
    """Its date, as ISO 8601 writes it."""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(day)).isoformat()


def day_from(date: str) -> int:
    """And back.

    Raises:
        ValueError: it is no date.
    """
    return (datetime.date.fromisoformat(date) - datetime.date(1970, 1, 1)).days


class Others(Protocol):
    """What all servers have counted together."""

    def add(self, place: tuple[int, str], amount: Amount) -> None:
        """So much was used here, on a day, by an account."""

    def amount(self, place: tuple[int, str]) -> Amount:
        """What was used of all of them, as far as is known."""
        ...


class Usage:
    """The ledger. ``now`` is Unix time in seconds; a key goes by its id, see :class:`signaling.calls.Caller`.

    Args:
        daily_audio_s: the quota of an account that has none of its own; 0: none.
        has_store: whether somebody takes what has not been written.
    """

    def __init__(self, *, daily_audio_s: float = 0.0, has_store: bool = False) -> None:
        self._daily_audio_s = daily_audio_s
        self._has_store = has_store
        self.others: Others | None = None
        """What other servers know, where there are several."""
        self._accounts: dict[str, Account] = {}
        self._current: frozenset[str] = frozenset()
        self._totals: dict[int, dict[str, Amount]] = {}
        self._unwritten: dict[tuple[int, str], Amount] = {}
        self._writing: dict[tuple[int, str], Amount] = {}

    def know(self, accounts: Mapping[str, Account]) -> None:
        """These are the keys now, by id. Those that are not among them any more may still have sessions."""
        self._accounts |= accounts
        self._current = frozenset(accounts)

    def account(self, key_id: str) -> Account:
        """In whose book a key is. One that nobody knows has a book of its own."""
        return self._accounts.get(key_id) or Account(key_id)

    def limit_s(self, key_id: str) -> float | None:
        """Seconds of audio that a key may have in a day; None: as many as it likes."""
        own = self.account(key_id).daily_audio_s
        return (self._daily_audio_s if own is None else own) or None

    def remaining_s(self, key_id: str, now: float) -> float | None:
        """Seconds of audio that it may still have today, 0 at least; None: as many as it likes."""
        limit = self.limit_s(key_id)
        if limit is None:
            return None
        return max(0.0, limit - self.amount(self.account(key_id).name, day_of(now)).audio_s)

    def check(self, key_id: str, now: float) -> None:
        """Whether a key may have more audio today. What it begins while it may is not held against it.

        Raises:
            QuotaExceeded: it may not before the day is over.
        """
        remaining, limit = self.remaining_s(key_id, now), self.limit_s(key_id)
        if remaining is None or limit is None or remaining > 0:
            return
        raise QuotaExceeded(
            f"this key may have {limit:g} s of audio transcribed in a day, and has had them; "
            "go on after 00:00 UTC",
            retry_after_s=min(DAY_S, max(1, math.ceil(DAY_S - now % DAY_S))),
        )

    def add(
        self, key_id: str, now: float, *, audio_s: float = 0.0, requests: int = 0, sessions: int = 0
    ) -> None:
        """A key has used so much; nothing is negative."""
        day, name, amount = day_of(now), self.account(key_id).name, Amount(audio_s, requests, sessions)
        if day not in self._totals:
            self._turn_over(day)
        _put(self._totals[day], name, amount)
        if self.others:
            self.others.add((day, name), amount)
        if self._has_store:
            _put(self._unwritten, (day, name), amount)

    def amount(self, name: str, day: int) -> Amount:
        """What an account has used on one of the days that are kept, of all servers."""
        own = self.own_amount(name, day)
        if self.others is None:
            return own
        all_of_them = self.others.amount((day, name))
        return Amount(
            max(own.audio_s, all_of_them.audio_s),
            max(own.requests, all_of_them.requests),
            max(own.sessions, all_of_them.sessions),
        )

    def own_amount(self, name: str, day: int) -> Amount:
        """What it has used of this one, and of those that share its store."""
        return self._totals.get(day, {}).get(name, NOTHING)

    # ── The store ────────────────────────────────────────────────────────────

    def take(self) -> Amounts:
        """What is to be written. :meth:`written` or :meth:`failed` follows before it is taken again."""
        self._writing, self._unwritten = self._unwritten, {}
        return self._writing

    def written(self, told: Amounts) -> None:
        """It was, and the store now holds this of today and yesterday."""
        self._writing = {}
        self._totals = {}
        for amounts in (told, self._unwritten):
            for (day, name), amount in amounts.items():
                _put(self._totals.setdefault(day, {}), name, amount)

    def failed(self) -> int:
        """It was not: it will be taken again. Returns how many books had to be given up."""
        for place, amount in self._unwritten.items():
            _put(self._writing, place, amount)
        self._writing, self._unwritten = {}, self._writing
        lost = max(0, len(self._unwritten) - MAX_UNWRITTEN)
        for place in sorted(self._unwritten)[:lost]:
            del self._unwritten[place]
        return lost

    def _turn_over(self, day: int) -> None:
        """A day begins: forget the one before yesterday, and keys that are gone and were not used since."""
        self._totals = {kept: self._totals.get(kept, {}) for kept in (day - 1, day)}
        used = self._totals[day - 1].keys()
        self._accounts = {
            key_id: account
            for key_id, account in self._accounts.items()
            if key_id in self._current or account.name in used
        }


def _put(book: dict[T, Amount], place: T, amount: Amount) -> None:
    book[place] = book.get(place, NOTHING) + amount
