"""The sessions of this gateway, and how far they are, as they tell it themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rtc_stt.audio import ms_to_samples
from rtc_stt.client.replay import Unsettled
from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from signaling.shared.record import Kept, Record

__all__ = ["Entry", "Owner", "Roll"]

Owner = Callable[[str], tuple[str, str] | None]
"""Gives the key id of a session, and the nonce of its token in hexadecimal digits."""


@dataclass(slots=True)
class Entry:
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


class Roll:
    """A :class:`~signaling.calls.Keeper`, which keeps it to itself.

    Args:
        owner: whose sessions are.
        keeps_events: whether events are kept until they are acknowledged.
    """

    hears = False
    """See :class:`~signaling.calls.Keeper`."""

    def __init__(self, owner: Owner, *, keeps_events: bool = False) -> None:
        self._keeps = keeps_events
        self._owner = owner
        self._entries: dict[str, Entry] = {}

    def __contains__(self, session_id: str) -> bool:
        """Whether this gateway has it."""
        return session_id in self._entries

    def own(self) -> list[Record]:
        """Of the sessions that this gateway has."""
        return [record for name in list(self._entries) if (record := self._record(name))]

    async def page(self, cursor: int, limit: int) -> tuple[list[Record], int, str]:
        """Records of all gateways, about so many, in no order; where the next page begins (0: nowhere), and
        of whom they are: of ``all``, or of this ``node``."""
        own, after = self.own(), cursor + limit
        return own[cursor:after], after if after < len(own) else 0, "node"

    async def aclose(self) -> None:
        """The end."""

    # ── What the sessions do (see calls.Keeper) ──────────────────────────────

    def began(self, session_id: str, token: str, transport: str) -> None:
        """A session has begun, or goes on here; ``token`` is the digest of its resume token."""
        if session_id not in self._entries:
            sheet = Sheet(seq=0, position=0, utterances=0)
            self._entries[session_id] = Entry(token, transport, time.time(), sheet)
        self._changed(session_id)

    def adopt(self, record: Record, handover: Handover) -> None:
        """A session of another gateway is about to go on here."""
        entry = self._entries[record.session_id] = Entry(
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
        self._changed(session_id)

    def acknowledged(self, session_id: str, seq: int) -> None:
        """Its client has seen all up to this number."""
        if self._keeps and (entry := self._entries.get(session_id)):
            entry.kept.acknowledge(seq)
            self._changed(session_id)

    def sheets(self, sheets: Mapping[str, Sheet]) -> None:
        """How far they are, once a second."""
        for session_id, sheet in sheets.items():
            if entry := self._entries.get(session_id):
                entry.sheet = replace(sheet, seq=max(sheet.seq, entry.sheet.seq))
                self._changed(session_id)

    def watch(self, session_id: str, what: str) -> None:
        """See :data:`~signaling.calls.Watcher`."""
        if what == "ended":
            if self._entries.pop(session_id, None):
                self._left(session_id)
        elif entry := self._entries.get(session_id):
            entry.connected = what == "connected"
            self._changed(session_id)

    def _changed(self, session_id: str) -> None:
        """There is something new of it."""

    def _left(self, session_id: str) -> None:
        """It has ended."""

    def _record(self, session_id: str) -> Record | None:
        entry, owner = self._entries[session_id], self._owner(session_id)
        if owner is None:  # its offer is just being answered
            return None
        return Record(
            session_id=session_id,
            node="",
            life="",
            token=entry.token,
            key_id=owner[0],
            nonce=owner[1],
            transport=entry.transport,
            began=entry.began,
            connected=entry.connected,
            seconds=entry.before_s + entry.sheet.heard_s,
            settled=entry.settled,
            sheet=entry.sheet,
        )
