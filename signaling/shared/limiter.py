"""The limits of all gateways together: asks Redis, what comes at the same time in one round trip.

One task does all of it, one thing after another, so that a place is not said again after it was free.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.errors import trace
from signaling.allowance import HALF_OPEN, KEY_LIMIT, Allowance
from signaling.calls import Caller
from signaling.door import Ticket
from signaling.shared.limits import (
    DROP,
    HOLD,
    PLACE_S,
    TAKE,
    Limit,
    Refused,
    arguments,
    once,
    rate_of,
    read_answer,
    rooms_of,
)
from signaling.shared.link import Away, Link
from signaling.shared.places import Places
from signaling.tokens import Token

__all__ = ["Limiter"]

log = logging.getLogger(__name__)

BEAT_S = 1.0
"""Between two looks at what has to be said again."""

MAX_BATCH = 64
"""Requests in one round trip: they take the event loop some milliseconds."""

MAX_SAID = 16
"""Likewise, of those that hold places: each may name some dozens."""

MAX_WAITING = 1_024
"""Requests that wait for it; more go by this gateway's own limits."""


@dataclass(slots=True)
class _Asked:
    limits: Sequence[Limit]
    member: str
    answer: asyncio.Future[Refused | None]


class Limiter:
    """See above; it is the :class:`~signaling.door.Beside` of the door, too.

    Args:
        life: names this process.
        allowance: what each caller may have, of all gateways together.
    """

    def __init__(self, link: Link, life: str, allowance: Allowance) -> None:
        self._link = link
        self._life = life
        self._allowance = allowance
        self._places = Places()
        self._rooms: dict[Ticket, tuple[str, list[Limit]]] = {}
        self._numbers = itertools.count(1)
        self._waiting: list[_Asked] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        link.on_back(self._say_all_again)

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.get_running_loop().create_task(self._work(), name="limits")

    async def aclose(self) -> None:
        """Ask no more; what is free is said."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._refuse_all()
        with contextlib.suppress(Away):
            await self._say_dropped()

    # ── What requests take ────────────────────────────────────────────────────────────

    async def count(self, caller: Caller) -> Refused | None:
        """A request.

        Raises:
            Away: nobody knows.
        """
        return await self._take(rate_of(caller, self._allowance), "-")

    async def admit(self, ticket: Ticket) -> Refused | None:
        """An offer, and the session that it will be. Where it is not refused its places are held, also where
        Redis is away, until the door says otherwise.

        Raises:
            Away: nobody knows.
        """
        rooms = rooms_of(ticket.caller, self._allowance, resuming=ticket.resuming)
        member = self._register(ticket, rooms)
        refused = None
        try:
            refused = await self._take([*rate_of(ticket.caller, self._allowance), *rooms], member)
        except Away:
            self._places.hold(self._rooms_left(ticket), member, None)
            raise
        if refused:
            self._rooms.pop(ticket, None)
        else:
            self._places.hold(self._rooms_left(ticket), member, time.monotonic())
        return refused

    async def spend(self, token: Token) -> Refused | None:
        """A token.

        Raises:
            Away: nobody knows.
        """
        return await self._take([once(token, time.time())], self._life)

    def unspend(self, token: Token) -> None:
        """Its session did not come about: it may be used again, anywhere."""
        self._places.drop(once(token, time.time()).parts, self._life)
        self._wake.set()

    async def tell_spent(self, tokens: Sequence[Token]) -> None:
        """These have been used here.

        Raises:
            Away: not all were told.
        """
        for start in range(0, len(tokens), MAX_BATCH):
            limits = [once(token, time.time()) for token in tokens[start : start + MAX_BATCH]]
            await self._link.run_all("tokens", TAKE, [self._call([limit], self._life) for limit in limits])

    # ── What the door says ────────────────────────────────────────────────────────────

    def elsewhere(self, key_id: str) -> int:
        """See :class:`~signaling.door.Beside`."""
        return self._places.elsewhere(("r", key_id, KEY_LIMIT))

    def seated(self, ticket: Ticket) -> None:
        """See :class:`~signaling.door.Beside`."""
        rooms = rooms_of(ticket.caller, self._allowance, resuming=False, seated=True)
        self._places.hold(rooms, self._register(ticket, rooms), None)
        self._wake.set()

    def settled(self, ticket: Ticket) -> None:
        """See :class:`~signaling.door.Beside`."""
        self._free(ticket, lambda limit: limit.reason == HALF_OPEN)

    def left(self, ticket: Ticket) -> None:
        """See :class:`~signaling.door.Beside`."""
        self._free(ticket, lambda _: True)

    def _register(self, ticket: Ticket, rooms: list[Limit]) -> str:
        member = f"{self._life}.{next(self._numbers)}"
        if rooms:
            self._rooms[ticket] = member, rooms
        return member

    def _rooms_left(self, ticket: Ticket) -> list[Limit]:
        """What it has of what it asked for; the door may have had enough of it meanwhile."""
        return self._rooms.get(ticket, ("", []))[1]

    def _free(self, ticket: Ticket, is_free: Callable[[Limit], bool]) -> None:
        if ticket not in self._rooms:
            return
        member, rooms = self._rooms.pop(ticket)
        for limit in filter(is_free, rooms):
            self._places.drop(limit.parts, member)
        if rest := [limit for limit in rooms if not is_free(limit)]:
            self._rooms[ticket] = member, rest
        self._wake.set()

    # ── Redis ────────────────────────────────────────────────────────────

    async def _take(self, limits: Sequence[Limit], member: str) -> Refused | None:
        if not limits:
            return None
        if self._link.is_away or self._task is None or len(self._waiting) >= MAX_WAITING:
            raise Away
        asked = _Asked(limits, member, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._wake.set()
        return await asked.answer

    async def _work(self) -> None:
        beat_at = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, beat_at - time.monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._say_dropped()
                await self._ask_waiting()
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + BEAT_S
                    await self._say_due()
            except Away:
                self._refuse_all()
                beat_at = max(beat_at, time.monotonic() + BEAT_S)
            except Exception as error:  # whoever waits must not wait for ever
                log.error("limits could not be asked: %s", trace(error))
                self._refuse_all()

    async def _ask_waiting(self) -> None:
        while self._waiting:
            batch = [asked for asked in self._waiting[:MAX_BATCH] if not asked.answer.done()]
            del self._waiting[:MAX_BATCH]
            try:
                answers = await self._link.run_all(
                    "limits", TAKE, [self._call(asked.limits, asked.member) for asked in batch]
                )
            except BaseException:
                self._waiting[:0] = batch
                raise
            for asked, answer in zip(batch, answers, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(read_answer(asked.limits, answer))
            if self._places.has_dropped:
                await self._say_dropped()

    async def _say_dropped(self) -> None:
        for start in _steps(dropped := self._places.take_dropped()):
            calls = [([self._link.key(*parts)], who) for parts, who in dropped[start : start + MAX_BATCH]]
            await self._link.run_all("limits", DROP, calls)

    async def _say_due(self) -> None:
        due = self._places.take_due(time.monotonic())
        for start in _steps(due, MAX_SAID):
            part = due[start : start + MAX_SAID]
            calls: list[tuple[list[str], list[Any]]] = [
                ([self._link.key(*parts)], [round(PLACE_S * 1000), *who]) for parts, who in part
            ]
            taken = await self._link.run_all("limits", HOLD, calls)
            for (parts, who), count in zip(part, taken, strict=True):
                self._places.said(parts, who, count, time.monotonic())
            # What was freed while that was under way has been said to be held.
            await self._say_dropped()

    async def _say_all_again(self) -> None:
        self._places.forget_all()
        self._wake.set()

    def _call(self, limits: Sequence[Limit], member: str) -> tuple[list[str], list[Any]]:
        return [self._link.key(*limit.parts) for limit in limits], [*arguments(limits, member)]

    def _refuse_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            if not asked.answer.done():
                asked.answer.set_exception(Away())


def _steps(found: Sequence[object], size: int = MAX_BATCH) -> range:
    return range(0, len(found), size)
