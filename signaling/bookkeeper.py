"""The pump between the ledger and its store: what was counted is written every few seconds, and at the end.

A process that is killed loses what it has counted since: two seconds, and what live sessions had not
told yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from rtc_stt.errors import ConfigError, Unavailable
from rtc_stt.instrument import Instrument
from signaling.usage import NOTHING, Amount, Usage, day_of
from signaling.usage_store import UsageStore

__all__ = ["Bookkeeper"]

log = logging.getLogger(__name__)

A = TypeVarTuple("A")
T = TypeVar("T")

WRITE_S = 2.0
"""Between two writings; so old may be what this process knows of the others'."""

END_S = 10.0
"""For the last one."""


class Bookkeeper:
    """Keeps the books in a file, or where there is none only in memory. Called on the event loop.

    Args:
        path: ``USAGE_DB``; empty: nothing is kept.
    """

    def __init__(
        self,
        usage: Usage,
        path: str,
        instrument: Instrument,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._usage = usage
        self._path = path
        self._instrument = instrument
        self._clock = clock
        self._store = UsageStore(path) if path else None
        self._thread: ThreadPoolExecutor | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False

    async def start(self) -> None:
        """Open the file and read what was used today.

        Raises:
            ConfigError: it cannot be used.
        """
        if self._store is None:
            return
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="usage")
        try:
            self._usage.written(await self._run(self._store.open, day_of(self._clock()) - 1))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="usage")

    async def stop(self) -> None:
        """Write what is left."""
        if self._store is None or self._task is None or self._thread is None:
            return
        self._stop.set()
        try:
            async with asyncio.timeout(END_S):
                await self._task
                await self._write()
                await self._run(self._store.close)
        except TimeoutError:
            self._is_failing = True
        if self._is_failing:
            log.error("the last usage could not be written to %s, and is lost", self._path)
        self._thread.shutdown(wait=False)

    async def report(self, key_id: str, days: int) -> list[tuple[int, Amount]]:
        """What the account of a key has used on each of the last ``days`` days, the earliest first.

        Raises:
            Unavailable: the file cannot be read now.
        """
        name, today = self._usage.account(key_id).name, day_of(self._clock())
        first, kept = today - days + 1, today - 1
        found = {(day, name): self._usage.amount(name, day) for day in (kept, today)}
        if self._store and first < kept:
            try:
                found |= await self._run(self._store.read, name, first, kept - 1)
            except (sqlite3.Error, ConfigError) as error:
                raise Unavailable("the usage of earlier days cannot be read now; try again later") from error
        return [(day, found.get((day, name), NOTHING)) for day in range(first, today + 1)]

    async def _keep(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_S):
                    await self._stop.wait()
            await self._write()

    async def _write(self) -> None:
        """Bring file and ledger together. Where that fails the ledger goes on, and it is tried again."""
        assert self._store
        amounts = self._usage.take()
        try:
            told = await self._run(self._store.sync, amounts, day_of(self._clock()) - 1)
        except (sqlite3.Error, ConfigError) as error:
            if lost := self._usage.failed():
                log.error("the usage of %d days of keys is lost: %s could not be written", lost, self._path)
            self._instrument.usage_not_written()
            if not self._is_failing:
                log.error("usage cannot be written to %s, and is kept in memory: %s", self._path, error)
            self._is_failing = True
            return
        self._usage.written(told)
        if self._is_failing:
            log.warning("usage is written to %s again", self._path)
        self._is_failing = False

    async def _run(self, call: Callable[[Unpack[A]], T], *args: *A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
