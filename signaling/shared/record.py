"""What of a session is in Redis, so that another gateway can go on with it. Pure.

::

    s:{session id}   hash: node, life, token, body      expires with RESUME_SECONDS
    e:{session id}   list: events that the client has not acknowledged; with RESUME_ACROSS_NODES only

The resume token itself is nowhere: what is kept is its digest. What comes back is not trusted: whatever is
not as it was written counts as nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.audio import ms_to_samples
from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from rtc_stt.wire import decode_event, encode_event

__all__ = [
    "MAX_KEPT",
    "TAIL_MARK",
    "Kept",
    "Record",
    "digest",
    "hand_over",
    "is_of",
    "node_of",
    "read_events",
    "read_record",
    "session_of",
    "write_record",
]

TAIL_MARK = "~"
"""Between the id of a session and the rest of its resume token."""

ID = re.compile(r"[a-z0-9]{1,24}\.[A-Za-z0-9_-]{1,64}")
"""Of a session or a connection of a gateway that has a name."""

MAX_BODY, MAX_EVENT = 32 * 1024, 1024 * 1024
"""Bytes. The longest honest body holds two prompts of 1,000 characters."""

MAX_KEPT = 512
"""Events of one session; as many as its gateway keeps itself."""

MAX_SEQ_AHEAD = 100_000
"""How much more than the record a client may have seen: it is old where Redis was away."""

MAX_GAP_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A session, as its gateway has written it last."""

    session_id: str
    node: str
    """Whose it is …"""
    life: str
    """… and of which of its lives."""
    token: str
    """Digest of the resume token, see :func:`digest`."""
    key_id: str
    """See :attr:`~signaling.calls.Caller.key_id`."""
    nonce: str = ""
    """Of the token that began it, in hexadecimal digits; empty: it was a key."""
    transport: str = "websocket"
    began: float = 0.0
    """Unix time in seconds."""
    connected: bool = True
    """Whether a client is there."""
    seconds: float = 0.0
    """Of audio, on all gateways."""
    settled: int = 0
    """Media time up to which audio is in finals, in samples."""
    lasts_ms: int = 60_000
    """From a writing to the end of it."""
    sheet: Sheet = field(default_factory=lambda: Sheet(seq=0, position=0, utterances=0))


def digest(resume_token: str) -> str:
    """What stands for a resume token."""
    return hashlib.sha256(b"rtc-stt resume 1\0" + resume_token.encode("utf-8", "surrogateescape")).hexdigest()


def session_of(resume_token: str) -> str | None:
    """The session that a resume token is of, as far as it says so; None where it names no gateway."""
    session_id, mark, secret = resume_token.partition(TAIL_MARK)
    return session_id if mark and secret and ID.fullmatch(session_id) else None


def node_of(name: str) -> str | None:
    """The gateway that the id of a session or connection names; None where it names none."""
    return name.partition(".")[0] if ID.fullmatch(name) else None


# ── The hash ────────────────────────────────────────────────────────────


def write_record(record: Record) -> tuple[str, str, str, str]:
    """Values of ``node``, ``life``, ``token`` and ``body``."""
    sheet = record.sheet
    body = {
        "key": record.key_id,
        "nonce": record.nonce,
        "transport": record.transport,
        "began": record.began,
        "connected": record.connected,
        "seconds": round(record.seconds, 3),
        "settled": record.settled,
        "lasts_ms": record.lasts_ms,
        "seq": sheet.seq,
        "position": sheet.position,
        "utterances": sheet.utterances,
        "options": sheet.options,
        "muted": sheet.muted,
    }
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return record.node, record.life, record.token, text


def read_record(session_id: str, fields: Mapping[bytes, bytes]) -> Record | None:
    """The hash of a session; None where there is none, or none that can be understood."""
    try:
        raw = fields[b"body"]
        if len(raw) > MAX_BODY:
            return None
        body = json.loads(raw)
        return Record(
            session_id=session_id,
            node=fields[b"node"].decode("ascii"),
            life=fields[b"life"].decode("ascii"),
            token=fields[b"token"].decode("ascii"),
            key_id=_check(body["key"], str),
            nonce=bytes.fromhex(_check(body["nonce"], str)).hex(),
            transport=_check(body["transport"], str),
            began=_amount(body["began"]),
            connected=_check(body["connected"], bool),
            seconds=_amount(body["seconds"]),
            settled=_count(body["settled"]),
            lasts_ms=_count(body["lasts_ms"]),
            sheet=Sheet(
                seq=_count(body["seq"]),
                position=_count(body["position"]),
                utterances=_count(body["utterances"]),
                options=_check(body["options"], dict),
                muted=_check(body["muted"], bool),
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return None


def is_of(record: Record, resume_token: str) -> bool:
    """Whether this is the token of that session."""
    return hmac.compare_digest(record.token, digest(resume_token))


def _check(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(type(value).__name__)
    return value


def _count(value: Any) -> int:
    if not 0 <= _check(value, int) <= 2**53:
        raise ValueError
    return int(value)


def _amount(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e15:
        raise ValueError
    return float(value)


# ── Events ────────────────────────────────────────────────────────────


def read_events(lines: Iterable[bytes]) -> list[Event]:
    """Those that can be read, by number, each once."""
    found: dict[int, Event] = {}
    for line in list(lines)[-MAX_KEPT:]:
        if len(line) <= MAX_EVENT:
            try:
                event = decode_event(line)
            except (ValueError, TypeError, AttributeError, RecursionError):
                continue
            if 0 < event.seq <= 2**53:
                found[event.seq] = event
    return [found[seq] for seq in sorted(found)]


class Kept:
    """The events of one session, and what Redis is yet to be told of them.

    Redis has a list. Here is known which numbers it holds, so that what is acknowledged can be taken off its
    head by count.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=MAX_KEPT)  # not acknowledged
        self._there: deque[int] = deque()  # numbers that Redis has
        self._anew = True  # whether Redis has to forget all that it has

    def add(self, event: Event) -> None:
        """One was told."""
        self._lines.append((event.seq, encode_event(event).encode()))

    def acknowledge(self, seq: int) -> None:
        """Those up to this number are not needed any more."""
        while self._lines and self._lines[0][0] <= seq:
            self._lines.popleft()

    def forget(self) -> None:
        """Whether Redis has anything is not known: it is to be written anew."""
        self._anew = True

    def take(self) -> tuple[bool, int, list[bytes]]:
        """What Redis is to do now, and counts as done: ``(drop all, take so many off the head, append)``."""
        anew, self._anew = self._anew, False
        if anew:
            self._there.clear()
        oldest = self._lines[0][0] if self._lines else None
        off = 0
        while self._there and (oldest is None or self._there[0] < oldest):
            self._there.popleft()
            off += 1
        newest = self._there[-1] if self._there else 0
        more = [(seq, line) for seq, line in self._lines if seq > newest]
        self._there.extend(seq for seq, _ in more)
        return anew, off, [line for _, line in more]


# ── Going on ────────────────────────────────────────────────────────────


def hand_over(
    record: Record, events: Sequence[Event], last_seq: int, gap_ms: int, position: int | None
) -> Handover:
    """Where a session goes on.

    Args:
        events: those kept, by number.
        last_seq: the last that its client has seen, as it says.
        gap_ms: since the record was written.
        position: where the audio begins that the client will send, in samples, where it knows that; else the
            line counts as dead since the record was written, so that media time never goes back.
    """
    sheet = record.sheet
    ahead = last_seq - sheet.seq
    seen = last_seq if ahead <= MAX_SEQ_AHEAD else sheet.seq
    told = [event for event in events if event.seq > seen]
    run: list[Event] = []
    for event in told:  # the newest that have no gap among them
        run = [*run, event] if not run or event.seq == run[-1].seq + 1 else [event]
    newest = run[-1].seq if run else seen
    gap_ms = min(gap_ms, MAX_GAP_MS)
    return Handover(
        seq=run[0].seq - 1 if run else seen,
        position=sheet.position + ms_to_samples(gap_ms) if position is None else position,
        # Each that has begun since then was told of by an event.
        utterances=max(
            sheet.utterances + max(0, min(ahead, MAX_SEQ_AHEAD)),
            max((getattr(event, "utterance_id", 0) or 0 for event in run), default=0),
        ),
        options=sheet.options,
        muted=sheet.muted,
        events=tuple(run),
        are_all=newest >= sheet.seq,
        gap_ms=gap_ms,
    )
