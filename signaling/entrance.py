"""Past the door: this server's own limits first, which cost nothing, then those of all that share them.

Where the others cannot be asked (:class:`~signaling.shared.link.Away`) the door's word is the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from signaling.allowance import RETRY_S
from signaling.calls import Caller
from signaling.door import Ticket
from signaling.keys import Gate
from signaling.shared.limits import Refused
from signaling.shared.link import Away
from signaling.tokens import Token, TokenReplayed

__all__ = ["admit", "check_quota", "count", "learn_usage", "spend", "unspend"]


async def count(gate: Gate, caller: Caller) -> None:
    """Count a request against the caller's rate.

    Raises:
        TooMany: it is over the limit.
    """
    gate.door.count(caller, asyncio.get_running_loop().time())
    if gate.shared:
        with contextlib.suppress(Away):
            _check(gate, await gate.shared.limiter.count(caller))


async def check_quota(gate: Gate, key_id: str) -> None:
    """Whether a key may have more audio today.

    Raises:
        QuotaExceeded: it may not before the day is over.
    """
    if gate.shared and gate.shared.tallies:
        with contextlib.suppress(Away):
            await gate.shared.tallies.learn(key_id)
    gate.usage.check(key_id, time.time())


async def learn_usage(gate: Gate, key_id: str) -> None:
    """Ask the others what a key has used today, so that it can be told."""
    if gate.shared and gate.shared.tallies:
        with contextlib.suppress(Away):
            await gate.shared.tallies.learn(key_id, anyway=True)


async def admit(gate: Gate, caller: Caller, *, resuming: bool = False) -> Ticket:
    """Let an offer in. See :meth:`~signaling.door.Door.admit`, which says what is raised."""
    if gate.shared and gate.shared.tallies and not resuming:
        with contextlib.suppress(Away):
            await gate.shared.tallies.learn(caller.key_id)
    ticket = gate.door.admit(caller, asyncio.get_running_loop().time(), resuming=resuming)
    try:
        if gate.shared:
            with contextlib.suppress(Away):
                _check(gate, await gate.shared.limiter.admit(ticket))
    except BaseException:
        gate.door.release(ticket)
        raise
    return ticket


async def spend(gate: Gate, token: Token) -> None:
    """Use a token up.

    Raises:
        TokenExpired, TokenReplayed, TooMany: see :meth:`~signaling.tokens.Tokens.spend`.
    """
    tokens = gate.authority.tokens
    tokens.spend(token, time.time())
    if gate.shared is None:
        return
    try:
        refused = await gate.shared.limiter.spend(token)
    except Away:
        return
    except BaseException:
        unspend(gate, token)
        raise
    if refused:
        raise TokenReplayed("the token has been used: each is good for one session")


def unspend(gate: Gate, token: Token) -> None:
    """Its session did not come about: it may be used again."""
    gate.authority.tokens.unspend(token)
    if gate.shared:
        gate.shared.limiter.unspend(token)


def _check(gate: Gate, refused: Refused | None) -> None:
    if refused:
        raise gate.door.refuse(refused.reason, refused.wait_s or RETRY_S)
