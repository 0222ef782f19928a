"""What accounts have used of all gateways, as Redis tells, and what it has not been told yet. Pure, but for
the script.

::

    u:{day}:{account}   hash: audio_s, requests, sessions of all gateways
    q:{life}            string: the number of the last batch of that process, which counts once however often
                        it comes

Whoever adds to an account says what it knows of it, too: where Redis has forgotten, it is told so anew; the
larger counts, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signaling.usage import NOTHING, Amount

__all__ = ["FOLD", "FRESH_S", "KEEP_S", "Batch", "Entry", "SharedLedger"]

KEEP_S = 3 * 86_400
"""How long a day is kept in Redis: today and yesterday are asked for."""

FRESH_S = 5.0
"""So long what was told of an account is believed without asking again."""

MAX_AT_ONCE = 100
"""Accounts in one batch."""

MAX_PENDING = 100_000
"""Days of accounts that wait for Redis. Then the oldest are given up: the local file, if any, has them."""

FOLD = """
local number, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
local is_new = (tonumber(redis.call('GET', KEYS[1]) or 0) or 0) < number
local told = {}
for i = 2, #KEYS do
  local there = redis.call('HMGET', KEYS[i], 'audio_s', 'requests', 'sessions')
  local row = {}
  for j = 1, 3 do
    local at = 2 + (i - 2) * 6 + j
    local amount = math.max(tonumber(there[j] or 0) or 0, tonumber(ARGV[at]))
    if is_new then
      amount = amount + tonumber(ARGV[at + 3])
    end
    row[j] = string.format('%.17g', amount)
    told[#told + 1] = row[j]
  end
  if is_new or row[1] ~= '0' or row[2] ~= '0' or row[3] ~= '0' then
    redis.call('HSET', KEYS[i], 'audio_s', row[1], 'requests', row[2], 'sessions', row[3])
    redis.call('EXPIRE', KEYS[i], keep)
  end
end
if is_new then
  redis.call('SET', KEYS[1], number, 'EX', keep)
end
return told
"""
"""Keys: of the process, and of days of accounts. Arguments: the number of the batch, or 0 where it only asks;
how long days are kept, in seconds; of each day of an account what is known of it, and what is added. Gives
the totals."""

Place = tuple[int, str]
"""A day and the name of an account."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A day of an account."""

    day: int
    name: str
    known: Amount
    """At least so much was used by what has been added before."""
    added: Amount


@dataclass(frozen=True, slots=True)
class Batch:
    """What Redis is told at a time."""

    number: int
    entries: Sequence[Entry]

    def arguments(self) -> list[str | int | float]:
        """Of :data:`FOLD`."""
        told: list[str | int | float] = [self.number, KEEP_S]
        for entry in self.entries:
            for amount in (entry.known, entry.added):
                told += [repr(amount.audio_s), amount.requests, amount.sessions]
        return told


class SharedLedger:
    """See above. ``now`` is monotonic, in seconds.

    Args:
        own: what is known here of a day of an account, what Redis has not been told included.
    """

    def __init__(self, own: Callable[[Place], Amount]) -> None:
        self._own = own
        self._told: dict[Place, Amount] = {}
        self._fresh: dict[Place, float] = {}
        self._pending: dict[Place, Amount] = {}
        self._sending: dict[Place, Amount] = {}
        self._number = 0

    @property
    def is_empty(self) -> bool:
        """Whether Redis has been told everything."""
        return not (self._pending or self._sending)

    def add(self, place: Place, amount: Amount) -> None:
        """So much was used here."""
        if place in self._pending or len(self._pending) < MAX_PENDING:
            self._pending[place] = self._pending.get(place, NOTHING) + amount

    def amount(self, place: Place) -> Amount:
        """What was used of all gateways, as far as is known."""
        return self._told.get(place, NOTHING) + self._unsaid(place)

    def is_fresh(self, place: Place, now: float) -> bool:
        """Whether Redis told of it not long ago."""
        return now - self._fresh.get(place, -FRESH_S) < FRESH_S

    def take(self) -> Batch | None:
        """What is to be told: the same again until it was; None: nothing."""
        if not self._sending:
            chosen = list(self._pending)[:MAX_AT_ONCE]
            if not chosen:
                return None
            self._number += 1
            self._sending = {place: self._pending.pop(place) for place in chosen}
        return Batch(self._number, [self._entry(place) for place in self._sending])

    def question(self, place: Place) -> Batch:
        """It is only asked."""
        return Batch(0, [Entry(*place, self._known(place), NOTHING)])

    def told(self, batch: Batch, totals: Sequence[bytes | str], now: float) -> None:
        """What :data:`FOLD` gave.

        Raises:
            ValueError: these are no totals.
        """
        for number, entry in enumerate(batch.entries):
            audio_s, requests, sessions = (float(text) for text in totals[3 * number : 3 * number + 3])
            place = entry.day, entry.name
            self._told[place] = Amount(audio_s, int(requests), int(sessions))
            self._fresh[place] = now
        if batch.number and batch.number == self._number:
            self._sending = {}

    def turn_over(self, first: int) -> None:
        """Days before ``first`` are asked for no more."""
        self._told = {place: amount for place, amount in self._told.items() if place[0] >= first}
        self._fresh = {place: at for place, at in self._fresh.items() if place[0] >= first}

    def _entry(self, place: Place) -> Entry:
        return Entry(*place, self._known(place), self._sending[place])

    def _unsaid(self, place: Place) -> Amount:
        return self._sending.get(place, NOTHING) + self._pending.get(place, NOTHING)

    def _known(self, place: Place) -> Amount:
        """What Redis should know already: what it told, or where it never did, what the local file has. Not
        both, for others may write to the file what they are about to tell Redis."""
        if place in self._told:
            return self._told[place]
        own, unsaid = self._own(place), self._unsaid(place)
        return Amount(
            max(own.audio_s - unsaid.audio_s, 0.0),
            max(own.requests - unsaid.requests, 0),
            max(own.sessions - unsaid.sessions, 0),
        )
