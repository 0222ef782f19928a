"""What a session has told and its client has not acknowledged: sent again when the client comes back.

::

    numbers   1 … acknowledged │ forgotten for want of room │ held … told
                               └─ a client who has not seen these is told that they are lost

Where there is no room, what a later event replaces (partials, eager texts) goes first: a final is worth more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rtc_stt.events import Event, TranscriptEager, TranscriptFinal, TranscriptPartial

__all__ = ["MAX_BYTES", "MAX_EVENTS", "EventLog", "Missed"]

MAX_EVENTS = 512
"""Ten minutes of talk. A client that acknowledges leaves a handful here."""

MAX_BYTES = 256 * 1024
"""By estimate, see ``_weight``. A client that never acknowledges costs no more, but for one huge final."""

BYTES_PER_EVENT, BYTES_PER_WORD = 400, 120
"""What an event, and a word with its times, take as JSON; as objects about the same."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a client that comes back has not seen."""

    events: tuple[Event, ...]
    """In order, as they were told."""
    are_all: bool
    """False where the log had to forget some that the client has not seen."""


class EventLog:
    """See above. Takes events in the order of their numbers.

    Args:
        told: how many were told before; they are not here.
    """

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES, told: int = 0) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._held: dict[int, Event] = {}  # by number, in order
        self._replaceable: deque[int] = deque()  # numbers of those held that are forgotten first
        self._bytes = 0
        self._told = told  # the newest number

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        """What is held, by estimate."""
        return self._bytes

    @property
    def told(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._told

    def add(self, event: Event) -> None:
        """Keep an event that has just been numbered."""
        assert event.seq == self._told + 1, "numbers have no gap"
        self._told = event.seq
        self._held[event.seq] = event
        self._bytes += _weight(event)
        if isinstance(event, TranscriptPartial | TranscriptEager):
            self._replaceable.append(event.seq)
        while len(self._held) > 1 and (len(self._held) > self._max_events or self._bytes > self._max_bytes):
            self._make_room()

    def acknowledge(self, seq: int) -> None:
        """The client has seen all up to ``seq``; a number that was never told counts as the newest."""
        while self._held and (oldest := next(iter(self._held))) <= seq:
            self._drop(oldest)
        while self._replaceable and self._replaceable[0] <= seq:
            self._replaceable.popleft()

    def missed(self, last_seq: int) -> Missed:
        """What a client has to be told that has seen the events up to ``last_seq``.

        One that claims to have seen more than was told has missed nothing, for all that is known here.
        """
        events = tuple(event for seq, event in self._held.items() if seq > last_seq)
        return Missed(events, are_all=len(events) == max(0, self._told - max(0, last_seq)))

    def _make_room(self) -> None:
        """The newest stays, however big it is."""
        if self._replaceable and self._replaceable[0] != self._told:
            self._drop(self._replaceable.popleft())
        else:
            self._drop(next(iter(self._held)))

    def _drop(self, seq: int) -> None:
        self._bytes -= _weight(self._held.pop(seq))


def _weight(event: Event) -> int:
    """About how many bytes an event takes."""
    match event:
        case TranscriptFinal():
            said = len(event.route.fast.text) if event.route.fast else 0
            return BYTES_PER_EVENT + 4 * (len(event.text) + said) + BYTES_PER_WORD * len(event.words)
        case TranscriptPartial() | TranscriptEager():
            return BYTES_PER_EVENT + 4 * len(event.text)
        case _:
            return BYTES_PER_EVENT
