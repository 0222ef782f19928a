"""The pump between the usage of this gateway and that of all: told every two seconds, asked where it
matters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from rtc_stt.errors import trace
from signaling.shared.ledger import FOLD, Batch, SharedLedger
from signaling.shared.link import Away, Link
from signaling.usage import Usage, date_of, day_of

__all__ = ["Tallies"]

log = logging.getLogger(__name__)

FOLD_S = 2.0
"""Between two tellings; by so much audio of each gateway a quota may be exceeded."""


class Tallies:
    """See above.

    Args:
        life: names this process.
        clock: Unix time in seconds.
    """

    def __init__(
        self, link: Link, life: str, usage: Usage, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._link = link
        self._life = life
        self._usage = usage
        self._clock = clock
        self._ledger = SharedLedger(lambda place: usage.own_amount(place[1], place[0]))
        self._telling = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        usage.others = self._ledger

    def start(self) -> None:
        """Tell from now on."""
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="shared-usage")

    async def aclose(self) -> None:
        """Tell what is left."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Away):
            await self.tell()

    async def learn(self, key_id: str, *, anyway: bool = False) -> None:
        """Ask what the account of a key has used today, where it has a quota and that is not known.

        Args:
            anyway: also where it has none.

        Raises:
            Away: nobody knows.
        """
        if self._usage.limit_s(key_id) is None and not anyway:
            return
        place = day_of(self._clock()), self._usage.account(key_id).name
        if not self._ledger.is_fresh(place, time.monotonic()):
            await self._say(self._ledger.question(place))

    async def tell(self) -> None:
        """What was used here since the last time.

        Raises:
            Away: not all of it was told.
        """
        async with self._telling:
            self._ledger.turn_over(day_of(self._clock()) - 1)
            while batch := self._ledger.take():
                await self._say(batch)

    async def _say(self, batch: Batch) -> None:
        key = self._link.key
        keys = [key("q", self._life), *(key("u", date_of(e.day), e.name) for e in batch.entries)]
        totals: list[Any] = await self._link.run("usage", FOLD, keys, batch.arguments())
        self._ledger.told(batch, totals, time.monotonic())

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(FOLD_S)
            try:
                await self.tell()
            except Away:
                continue
            except Exception as error:
                log.error("usage could not be told: %s", trace(error))
