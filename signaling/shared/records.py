"""Writes down how far the sessions of this gateway are, and reads of others'. See :mod:`.record`.

Nothing waits for it: what is told goes into a list here, and twenty milliseconds later to Redis, with what
has come meanwhile. A record is its gateway's as long as it bears the gateway's life; one that bears another's
has been taken over, and the session here ends.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from rtc_stt.errors import trace
from rtc_stt.events import Event
from signaling.shared.link import Away, Link
from signaling.shared.nodes import Nodes
from signaling.shared.record import Kept, Record, read_events, read_record, write_record
from signaling.shared.roll import Owner, Roll

__all__ = ["Found", "Records"]

log = logging.getLogger(__name__)

SOON_S = 0.02
"""From a change to its writing: what else changes meanwhile is written along."""

MAX_AT_ONCE = 100
"""Records in one round trip."""

STEP, MAX_STEPS = 500, 20
"""Keys that are looked at in one step for a page of records, and steps."""

MARGIN_MS = 5_000
"""That a record lasts beyond ``RESUME_SECONDS``: it is written once a second."""

WRITE = """
local life = redis.call('HGET', KEYS[1], 'life')
if life and life ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'node', ARGV[1], 'life', ARGV[2], 'token', ARGV[3], 'body', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if ARGV[6] == '0' then return 1 end
if ARGV[7] == '1' then redis.call('DEL', KEYS[2]) end
if ARGV[8] ~= '0' then redis.call('LTRIM', KEYS[2], ARGV[8], -1) end
for i = 9, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
"""
"""Gives 0 where the session is somebody else's by now."""

DROP = """
if redis.call('HGET', KEYS[1], 'life') == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
return 1
"""

READ = """
return {redis.call('HGETALL', KEYS[1]), redis.call('PTTL', KEYS[1]), redis.call('LRANGE', KEYS[2], 0, -1)}
"""

LOOK = """
return redis.call('HGETALL', KEYS[1])
"""

CLAIM = """
if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'node', ARGV[2], 'life', ARGV[3])
return 1
"""
"""Of several that want it one gets it: the others find another life there than they expect."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a session."""

    record: Record
    age_ms: int
    """Since it was written."""
    events: list[Event]


class Records(Roll):
    """See above.

    Args:
        owner: whose sessions are.
        on_lost: told of a session that another gateway has taken over.
    """

    hears = True

    def __init__(
        self,
        link: Link,
        nodes: Nodes,
        *,
        resume_seconds: float,
        keeps_events: bool,
        owner: Owner,
        on_lost: Callable[[str], None],
    ) -> None:
        super().__init__(owner, keeps_events=keeps_events)
        self._link, self._nodes = link, nodes
        self._lasts_ms = round(resume_seconds * 1000) + MARGIN_MS
        self._on_lost = on_lost
        self._due: dict[str, None] = {}  # to be written, the oldest first
        self._gone: dict[str, None] = {}  # to be dropped
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        link.on_back(self._begin_anew)

    def _changed(self, session_id: str) -> None:
        self._due[session_id] = None
        self._set_timer()

    def _left(self, session_id: str) -> None:
        self._gone[session_id] = None
        self._set_timer()

    # ── Writing ────────────────────────────────────────────────────────────

    def _set_timer(self) -> None:
        if self._link.is_away:
            self._gone.clear()  # they expire
        elif self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_S, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self._write(), name="records")

    async def _write(self) -> None:
        try:
            if self._gone:
                names = set(islice(self._gone, MAX_AT_ONCE))
                drops = [(self._keys(name), [self._nodes.life]) for name in names]
                await self._link.run_all("sessions", DROP, drops)
                self._gone = {name: None for name in self._gone if name not in names}
            await self._write_due()
        except Away:
            self._gone.clear()  # they expire
        except Exception as error:
            log.error("sessions could not be written down: %s", trace(error))
        finally:
            self._writing = None
        if self._due or self._gone:
            self._set_timer()

    async def _write_due(self) -> None:
        calls, names = list[tuple[list[str], list[Any]]](), list[str]()
        for name in list(islice(self._due, MAX_AT_ONCE)):
            del self._due[name]
            if name in self._entries and (record := self._record(name)):
                names.append(name)
                calls.append((self._keys(name), self._arguments(record, self._entries[name].kept)))
        if not calls:
            return
        answers = await self._link.run_all("sessions", WRITE, calls)
        for name, is_ours in zip(names, answers, strict=True):
            if not is_ours and name in self._entries:
                del self._entries[name]
                log.warning("another gateway has taken a session over")
                self._on_lost(name)

    def _arguments(self, record: Record, kept: Kept) -> list[Any]:
        keeps: list[Any] = ["0", "0", "0"]
        if self._keeps:
            anew, off, lines = kept.take()
            keeps = ["1", int(anew), off, *lines]
        return [*write_record(record), self._lasts_ms, *keeps]

    def _record(self, session_id: str) -> Record | None:
        record = super()._record(session_id)
        if record is None:
            return None
        nodes = self._nodes
        return replace(record, node=nodes.name, life=nodes.life, lasts_ms=self._lasts_ms)

    def _keys(self, session_id: str) -> list[str]:
        return [self._link.key("s", session_id), self._link.key("e", session_id)]

    async def _begin_anew(self) -> None:
        """Redis is back, and may be empty."""
        for name, entry in self._entries.items():
            entry.kept.forget()
            self._due[name] = None
        self._set_timer()

    async def aclose(self) -> None:
        """Write no more."""
        if self._timer:
            self._timer.cancel()
        if self._writing:
            await asyncio.wait([self._writing], timeout=1.0)

    # ── Of others ────────────────────────────────────────────────────────────

    async def find(self, session_id: str) -> Found | None:
        """What there is of a session; None: nothing.

        Raises:
            Away: nobody can say.
        """
        fields, left_ms, lines = await self._link.run("sessions", READ, self._keys(session_id), [])
        record = read_record(session_id, dict(zip(fields[::2], fields[1::2], strict=True)))
        if record is None:
            return None
        return Found(record, max(0, record.lasts_ms - max(0, left_ms)), read_events(lines))

    async def page(self, cursor: int, limit: int) -> tuple[list[Record], int, str]:
        """See :meth:`Roll.page`."""
        try:
            names, after = await self._scan(cursor, limit)
            return await self._look(names), after, "all"
        except Away:
            return await super().page(cursor, limit)

    async def _scan(self, cursor: int, limit: int) -> tuple[list[str], int]:
        """Names of sessions, from one cursor of Redis' to the next."""
        start, names = self._link.key("s", ""), dict[str, None]()
        pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", start) + "*"

        def step(redis: Any) -> Any:
            return redis.scan(cursor, match=pattern, count=STEP)

        for _ in range(MAX_STEPS):
            cursor, keys = await self._link.ask("sessions", step)
            names |= dict.fromkeys(key.decode("utf-8", "replace").removeprefix(start) for key in keys)
            if not cursor or len(names) >= limit:
                break
        return list(names), int(cursor)

    async def _look(self, names: list[str]) -> list[Record]:
        found = list[Record]()
        for first in range(0, len(names), MAX_AT_ONCE):
            some = names[first : first + MAX_AT_ONCE]
            told = await self._link.run_all("sessions", LOOK, [(self._keys(name)[:1], []) for name in some])
            for name, fields in zip(some, told, strict=True):
                if record := read_record(name, dict(zip(fields[::2], fields[1::2], strict=True))):
                    found.append(record)
        return found

    async def claim(self, found: Record) -> bool:
        """Make it this gateway's, unless it is another one's by now than was found.

        Raises:
            Away: nobody can say.
        """
        arguments = [found.life, self._nodes.name, self._nodes.life]
        return bool(await self._link.run("sessions", CLAIM, self._keys(found.session_id)[:1], arguments))

    async def give_back(self, found: Record) -> None:
        """It could not be gone on with here: another one may."""
        self._entries.pop(found.session_id, None)
        arguments = [self._nodes.life, found.node, found.life]
        await self._link.run("sessions", CLAIM, self._keys(found.session_id)[:1], arguments)
