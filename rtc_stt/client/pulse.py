"""When to ask whether the server is there, when to tell it what was seen, how fast to speak to it. Pure."""

from __future__ import annotations

import enum

from rtc_stt.events import Event, Finalized, SessionEnded, TranscriptFinal, UtteranceDropped

__all__ = ["Acks", "Beat", "Heartbeat", "Pacer"]

PING_S = 2.0
LOST_S = 11.0
"""Several pings unanswered, and the time of retransmissions."""

DOUBT_S = 1.5
"""After a ping: a server that has not answered by then may be dead, and is asked in another way."""

ACK_S = 1.0

LEAD_S = 0.2
"""How far ahead of real time audio may be given: what a jitter buffer can take."""


class Beat(enum.Enum):
    """What is due."""

    PING = enum.auto()
    DOUBT = enum.auto()
    """The server has not answered yet: is it there? Asked once, until it answers."""
    LOST = enum.auto()
    """The server has not answered for so long that the connection counts as dead."""


class Heartbeat:
    """Of one connection that has just opened. ``now``: seconds on any clock."""

    def __init__(
        self, now: float, *, ping_s: float = PING_S, lost_s: float = LOST_S, doubt_s: float = DOUBT_S
    ) -> None:
        self._ping_s, self._lost_s, self._doubt_s = ping_s, lost_s, doubt_s
        self._heard_at = now
        self._next_ping_at = now + ping_s
        self._asked_at: float | None = None  # since when an answer is waited for
        self._doubts = False

    def receive_pong(self, now: float) -> None:
        """The server answered."""
        self._heard_at, self._asked_at, self._doubts = now, None, False

    def next_deadline(self) -> float:
        """When :meth:`handle_timer` wants to be called."""
        due = min(self._next_ping_at, self._heard_at + self._lost_s)
        return due if self._doubts_at is None else min(due, self._doubts_at)

    @property
    def _doubts_at(self) -> float | None:
        return None if self._doubts or self._asked_at is None else self._asked_at + self._doubt_s

    def handle_timer(self, now: float) -> Beat | None:
        """What is due now."""
        if now >= self._heard_at + self._lost_s:
            return Beat.LOST
        if self._doubts_at is not None and now >= self._doubts_at:
            self._doubts = True
            return Beat.DOUBT
        if now >= self._next_ping_at:
            self._next_ping_at = now + self._ping_s
            if self._asked_at is None:
                self._asked_at = now
            return Beat.PING
        return None


class Acks:
    """Which numbers to acknowledge when: what lasts at once, the rest once a second at most."""

    def __init__(self) -> None:
        self.seen = 0
        """The newest number seen; 0 for none."""
        self._told = 0
        self._told_at: float | None = None

    def receive(self, event: Event, now: float) -> bool:
        """Note an event; gives whether to acknowledge it at once."""
        self.seen = max(self.seen, event.seq)
        lasts = isinstance(event, TranscriptFinal | UtteranceDropped | Finalized | SessionEnded)
        return lasts or self._told_at is None or now >= self._told_at + ACK_S

    def is_new(self, event: Event) -> bool:
        """Whether the event has not been seen; what is sent again may have been."""
        return event.seq > self.seen

    def next_deadline(self) -> float | None:
        """When what is seen and not told should be told."""
        return None if self._told == self.seen or self._told_at is None else self._told_at + ACK_S

    def sent(self, now: float) -> int:
        """The number to tell now; it counts as told."""
        self._told, self._told_at = self.seen, now
        return self.seen


class Pacer:
    """How long to hold a giver back that is faster than real time. ``now`` in seconds."""

    def __init__(self) -> None:
        self._due: float | None = None  # when what was given so far will have been spoken

    def wait_s(self, seconds: float, now: float) -> float:
        """Note that so much audio was given; gives the time to wait before more."""
        self._due = max(now, self._due if self._due is not None else now) + seconds
        return max(0.0, self._due - now - LEAD_S)
