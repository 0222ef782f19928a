"""What a call tells whoever listens to it: the events of its legs and its own, in one order. Pure.

Every event is one JSON object: ``type``, ``seq`` (of the call, from 1, no gap), ``at_ms`` (on the call's
clock), ``call_id``, ``leg`` where it is of one, and the fields of its type. Events of a leg's session keep
their fields, but that ``session.started`` and ``session.ended`` become ``leg.started`` and ``leg.ended``:
what a client would come back with is not told.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rtc_stt.events import Event, SessionEnded, SessionStarted
from rtc_stt.wire import event_to_plain

__all__ = ["MAX_LOG_BYTES", "CallEvent", "CallLog"]

MAX_LOG_BYTES = 1024 * 1024
"""Of one call: some hours of talk. What is replaced by later events (partials) is not kept once it is."""

REPLACEABLE = ("transcript.partial", "transcript.eager")
SETTLING = ("transcript.final", "utterance.dropped")


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One, as it is told."""

    seq: int
    type: str
    leg: str
    """Its label; empty where it is of the whole call."""
    text: str
    """JSON, without line breaks."""


class CallLog:
    """Numbers the events of a call, and keeps them for whoever comes later.

    Partials are kept until their utterance is settled; where there is no room, the oldest go.
    """

    def __init__(self, call_id: str, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._call_id = call_id
        self._max_bytes = max_bytes
        self._held: deque[CallEvent] = deque()
        self._bytes = 0
        self._seq = 0
        self._lost = 0
        """The number of the last event that had to go for want of room."""

    @property
    def size(self) -> int:
        """Bytes that are kept, as UTF-8."""
        return self._bytes

    def add(self, kind: str, at_ms: int, fields: Mapping[str, Any], *, leg: str = "") -> CallEvent:
        """An event of the call itself."""
        return self._keep(kind, leg, {"type": kind, "seq": 0, "at_ms": at_ms, **fields})

    def add_of_leg(self, leg: str, event: Event) -> CallEvent:
        """An event of a leg's session."""
        body = event_to_plain(event)
        if isinstance(event, SessionStarted):
            body = {
                "type": "leg.started",
                "seq": 0,
                "at_ms": event.at_ms,
                "session_id": event.session_id,
                "models": body["models"],
            }
        elif isinstance(event, SessionEnded):
            body["type"] = "leg.ended"
        return self._keep(body["type"], leg, body)

    def after(self, seq: int, limit: int | None = None) -> list[CallEvent]:
        """Those that are kept and come after number ``seq``, in order; the first so many."""
        return list(islice((event for event in self._held if event.seq > seq), limit))

    def has_all_after(self, seq: int) -> bool:
        """Whether none of those has gone, but for partials that others have replaced."""
        return seq >= self._lost

    def _keep(self, kind: str, leg: str, body: dict[str, Any]) -> CallEvent:
        self._seq += 1
        body["seq"] = self._seq
        told = {"type": kind, "seq": self._seq, "at_ms": body["at_ms"], "call_id": self._call_id}
        if leg:
            told["leg"] = leg
        text = json.dumps(told | body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        event = CallEvent(self._seq, kind, leg, text)
        if kind in SETTLING:
            self._forget_partials(leg)
        self._held.append(event)
        self._bytes += len(text.encode())
        while self._bytes > self._max_bytes and len(self._held) > 1:
            gone = self._held.popleft()
            self._bytes -= len(gone.text.encode())
            self._lost = gone.seq
        return event

    def _forget_partials(self, leg: str) -> None:
        kept = deque[CallEvent]()
        for event in self._held:
            if event.leg == leg and event.type in REPLACEABLE:
                self._bytes -= len(event.text.encode())
            else:
                kept.append(event)
        self._held = kept
