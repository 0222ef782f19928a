"""Writes down how far the sessions of this gateway are, and reads of others'. See :mod:`.record`.

Nothing waits for it: what is told goes into a list here, and twenty milliseconds later to Redis, with what
has come meanwhile. A record is its gateway's as long as it bears the gateway's life; one that bears another's
has been taken over, and the session here ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from rtc_stt.audio import ms_to_samples
from rtc_stt.client.replay import Unsettled
from rtc_stt.errors import trace
from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from signaling.shared.link import Away, Link
from signaling.shared.nodes import Nodes
from signaling.shared.record import Kept, Record, read_events, read_record, write_record

__all__ = ["Found", "Owner", "Records"]

log = logging.getLogger(__name__)

SOON_S = 0.02
"""From a change to its writing: what else changes meanwhile is written along."""

MAX_AT_ONCE = 100
"""Records in one round trip."""

MARGIN_MS = 5_000
"""That a record lasts beyond ``RESUME_SECONDS``: it is written once a second."""

Owner = Callable[[str], tuple[str, str] | None]
"""Gives the key id of a session, and the nonce of its token in hexadecimal digits."""

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

CLAIM = """
if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'node', ARGV[2], 'life', ARGV[3])
return 1
"""
"""Of several that want it one gets it: the others find another life there than they expect."""


@dataclass(slots=True)
class _Entry:
    """A session of this gateway."""

    token: str
    transport: str
    began: float
    sheet: Sheet
    before_s: float = 0.0
    """Of audio, on other gateways."""
    settled: int = 0
    connected: bool = True
    kept: Kept = field(default_factory=Kept)
    unsettled: Unsettled = field(default_factory=Unsettled)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a session."""

    record: Record
    age_ms: int
    """Since it was written."""
    events: list[Event]


class Records:
    """A :class:`~signaling.calls.Keeper`.

    Args:
        owner: whose sessions are.
        on_lost: told of a session that another gateway has taken over.
    """

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
        self._link, self._nodes = link, nodes
        self._lasts_ms = round(resume_seconds * 1000) + MARGIN_MS
        self._keeps = keeps_events
        self._owner = owner
        self._on_lost = on_lost
        self._entries: dict[str, _Entry] = {}
        self._due: dict[str, None] = {}  # to be written, the oldest first
        self._gone: dict[str, None] = {}  # to be dropped
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        link.on_back(self._begin_anew)

    def __contains__(self, session_id: str) -> bool:
        """Whether this gateway has it."""
        return session_id in self._entries

    def own(self) -> list[Record]:
        """Of the sessions that this gateway has."""
        return [record for name in list(self._entries) if (record := self._record(name))]

    # ── What the sessions do (see calls.Keeper) ──────────────────────────────

    def began(self, session_id: str, token: str, transport: str) -> None:
        """A session has begun, or goes on here; ``token`` is the digest of its resume token."""
        if session_id not in self._entries:
            sheet = Sheet(seq=0, position=0, utterances=0)
            self._entries[session_id] = _Entry(token, transport, time.time(), sheet)
        self._soon(session_id)

    def adopt(self, record: Record, handover: Handover) -> None:
        """A session of another gateway is about to go on here."""
        entry = self._entries[record.session_id] = _Entry(
            record.token, record.transport, record.began, record.sheet, record.seconds, record.settled
        )
        entry.connected = False
        for event in handover.events:
            entry.kept.add(event)

    def told(self, session_id: str, event: Event) -> None:
        """A session has told an event."""
        entry = self._entries.get(session_id)
        if entry is None:
            return
        sheet, position = entry.sheet, ms_to_samples(event.at_ms)
        entry.sheet = replace(
            sheet,
            seq=max(sheet.seq, event.seq),
            position=max(sheet.position, position),
            utterances=max(sheet.utterances, getattr(event, "utterance_id", 0) or 0),
        )
        entry.unsettled.receive(event)
        entry.settled = max(entry.settled, ms_to_samples(entry.unsettled.settled_ms(event.at_ms)))
        if self._keeps:
            entry.kept.add(event)
        self._soon(session_id)

    def acknowledged(self, session_id: str, seq: int) -> None:
        """Its client has seen all up to this number."""
        if self._keeps and (entry := self._entries.get(session_id)):
            entry.kept.acknowledge(seq)
            self._soon(session_id)

    def sheets(self, sheets: Mapping[str, Sheet]) -> None:
        """How far they are, once a second."""
        for session_id, sheet in sheets.items():
            if entry := self._entries.get(session_id):
                entry.sheet = replace(sheet, seq=max(sheet.seq, entry.sheet.seq))
                self._soon(session_id)

    def watch(self, session_id: str, what: str) -> None:
        """See :data:`~signaling.calls.Watcher`."""
        if what == "ended":
            if self._entries.pop(session_id, None):
                self._gone[session_id] = None
                self._set_timer()
        elif entry := self._entries.get(session_id):
            entry.connected = what == "connected"
            self._soon(session_id)

    # ── Writing ────────────────────────────────────────────────────────────

    def _soon(self, session_id: str) -> None:
        self._due[session_id] = None
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._writing is None and not self._link.is_away:
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
        entry, owner = self._entries[session_id], self._owner(session_id)
        if owner is None:  # its offer is just being answered
            return None
        return Record(
            session_id=session_id,
            node=self._nodes.name,
            life=self._nodes.life,
            token=entry.token,
            key_id=owner[0],
            nonce=owner[1],
            transport=entry.transport,
            began=entry.began,
            connected=entry.connected,
            seconds=entry.before_s + entry.sheet.heard_s,
            settled=entry.settled,
            lasts_ms=self._lasts_ms,
            sheet=entry.sheet,
        )

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
