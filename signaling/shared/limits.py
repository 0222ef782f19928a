"""What of Redis one request takes: how often, how many at a time, and once. Pure, but for the script.

::

    r:{who}:rate               string: when its burst would be whole again (Redis' clock, µs), by the generic
                               cell rate algorithm: a token bucket of which one number is kept (ITU-T I.371)
    r:{who}:half_open          sorted sets: of each place when it is free (Redis' clock, ms)
    r:{key}:key_limit
    r:{network}:address_limit
    t:{digest}                 string: a token that was used, by which process

The script takes from all of them, or from none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from signaling.allowance import (
    ADDRESS_LIMIT,
    HALF_OPEN,
    KEY_LIMIT,
    RATE,
    Allowance,
    is_this_machine,
    network_of,
    place_of,
)
from signaling.auth import OPEN
from signaling.calls import Caller
from signaling.tokens import Token

__all__ = [
    "DROP",
    "HOLD",
    "PLACE_S",
    "REPLAYED",
    "TAKE",
    "Limit",
    "Refused",
    "arguments",
    "once",
    "rate_of",
    "read_answer",
    "rooms_of",
]

PLACE_S = 10.0
"""How long a place is held for who says nothing more: a gateway that died."""

SKEW_S = 60.0
"""By which clocks of gateways may differ, for tokens."""

REPLAYED = "replayed"
"""Why a token is refused."""

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local now_ms = math.floor(now / 1000)
local member, taken = ARGV[1], {}
for i, key in ipairs(KEYS) do
  local kind, limit, span = ARGV[3 * i - 1], tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if kind == 'rate' then
    local full = limit * span
    local whole = tonumber(redis.call('GET', key) or 0) or 0
    whole = math.min(math.max(whole, now), now + full)
    if whole + span > now + full then
      return {i, math.ceil((whole + span - now - full) / 1000)}
    end
    taken[i] = whole + span
  elseif kind == 'room' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now_ms)
    if not redis.call('ZSCORE', key, member) and redis.call('ZCARD', key) >= limit then
      return {i, 0}
    end
  elseif redis.call('EXISTS', key) == 1 and redis.call('GET', key) ~= member then
    return {i, 0}
  end
end
for i, key in ipairs(KEYS) do
  local kind, span = ARGV[3 * i - 1], tonumber(ARGV[3 * i + 1])
  if kind == 'rate' then
    redis.call('SET', key, string.format('%.0f', taken[i]), 'PX', math.ceil((taken[i] - now) / 1000) + 1)
  elseif kind == 'room' then
    redis.call('ZADD', key, now_ms + span, member)
    redis.call('PEXPIRE', key, span)
  else
    redis.call('SET', key, member, 'PX', span)
  end
end
return {0, 0}
"""
"""Keys: those of the limits. Arguments: who takes, and of each its kind, how many, and for how long (of a
rate: µs between two). Gives the number of the limit that refused, from 1, or 0; and in how many ms there will
be more."""

HOLD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local span = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], now + span, ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], span)
return redis.call('ZCARD', KEYS[1])
"""
"""Key: of places. Arguments: for how many ms they are held from now on; whose they are. Gives how many are
taken."""

DROP = """
if redis.call('TYPE', KEYS[1]).ok == 'string' then
  if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
  end
elseif #ARGV > 0 then
  redis.call('ZREM', KEYS[1], unpack(ARGV))
end
return 0
"""
"""Key: of places, or of a token. Arguments: who holds it no more."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One that is asked."""

    reason: str
    """Why somebody is refused who has all of it."""
    parts: tuple[str, ...]
    """Of its name in Redis."""
    kind: Literal["rate", "room", "once"]
    amount: int
    """At once."""
    span: int
    """Of a rate µs between two, else for how many ms it is held."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody has all of it."""

    reason: str
    wait_s: float
    """Until there is more; 0: not known."""


def rate_of(caller: Caller, allowance: Allowance) -> list[Limit]:
    """What every request takes."""
    place = place_of(caller)
    if is_this_machine(place):
        return []
    # Rounded up, so that nobody gets more.
    between_us = math.ceil(1e6 / allowance.rps)
    return [Limit(RATE, ("r", place, RATE), "rate", allowance.burst, between_us)]


def rooms_of(caller: Caller, allowance: Allowance, *, resuming: bool, seated: bool = False) -> list[Limit]:
    """What a session takes, from its offer on.

    Args:
        resuming: it is counted already.
        seated: it is a leg of a phone call.
    """
    place, wanted = place_of(caller), list[tuple[str, str, int]]()
    if not seated and not is_this_machine(place):
        wanted.append((HALF_OPEN, place, allowance.half_open))
    if not resuming and caller.key_id != OPEN:
        wanted.append((KEY_LIMIT, caller.key_id, allowance.sessions_per_key))
    if not resuming and not seated:
        wanted.append((ADDRESS_LIMIT, network_of(caller.address), allowance.sessions_per_address))
    span = round(PLACE_S * 1000)
    return [Limit(reason, ("r", who, reason), "room", most, span) for reason, who, most in wanted if most]


def once(token: Token, now: float) -> Limit:
    """A token, which begins one session. ``now`` is Unix time in seconds."""
    digest = hashlib.sha256(token.nonce).hexdigest()[:32]
    span = round((max(0.0, token.expires_at - now) + SKEW_S) * 1000)
    return Limit(REPLAYED, ("t", digest), "once", 1, span)


def arguments(limits: Sequence[Limit], member: str) -> list[str | int]:
    """Of :data:`TAKE`.

    Args:
        member: who takes.
    """
    told: list[str | int] = [member]
    for limit in limits:
        told += [limit.kind, limit.amount, limit.span]
    return told


def read_answer(limits: Sequence[Limit], answer: Sequence[int]) -> Refused | None:
    """What :data:`TAKE` gives; None: all were taken."""
    number, wait_ms = answer
    return Refused(limits[number - 1].reason, wait_ms / 1000) if number else None
