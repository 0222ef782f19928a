"""What a WebRTC client keeps of its newest audio, for a server that is replaced by another. Pure.

A session that a server ends because it goes away is followed by a new one, elsewhere. Between them lie a few
hundred milliseconds, in which somebody may have begun to speak::

    … ───── in finals ─────┬─ in none, or told by nobody yet ─┬─ spoken since ─┬─ live …
                           └─ settled                         └─ session.ended └─ the new session stands
                           ├───────────── said again, faster than it was spoken ─┤

Likewise where a server dies and another one goes on with its session, which has heard none of it: then the
frames are found by what events of the time before said of media time, and when they came.

Media time is counted from the end of the session: that is when its last event came. What the event took to
come is left out, not said twice: a pause is there, as a session is ended in one where that can be.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from rtc_stt.client.reconnect import begins_anew
from rtc_stt.client.replay import Unsettled
from rtc_stt.events import Event, SessionEnded, SessionResumed, SessionStarted

__all__ = ["KEPT_S", "Recent"]

KEPT_S = 28.0
"""A long utterance, and what it takes to notice that the server is dead. A server takes media that is 30 s
ahead of its clock (:mod:`signaling.jitter`), no more."""

FRAME_S = 0.02

MAX_OFFSETS = 32
"""Of the newest events: the one that came soonest says best where media time is."""


class Recent:
    """See above."""

    def __init__(self) -> None:
        self._frames: deque[Any] = deque(maxlen=round(KEPT_S / FRAME_S))
        self._unsettled = Unsettled()
        self._owed: int | None = None  # frames; None while a session hears what is put
        self._put = 0  # frames, in all
        self._heard_ms = 0  # media time, as far as events told
        self._offsets: deque[float] = deque(maxlen=MAX_OFFSETS)  # ms from media time to frames, of late
        self._is_lost = False

    def put(self, frame: Any) -> None:
        """Take 20 ms that are spoken now."""
        self._frames.append(frame)
        self._put += 1
        if self._owed is not None:
            self._owed += 1

    def receive(self, event: Event) -> None:
        """Note an event of the session."""
        if isinstance(event, SessionStarted):
            self._unsettled, self._heard_ms = Unsettled(), 0
            self._offsets.clear()
        elif isinstance(event, SessionResumed) and event.moved:
            self._owe_unsettled(event.at_ms)
        elif isinstance(event, SessionEnded) and begins_anew(event.reason):
            open_ms = event.at_ms - self._unsettled.settled_ms(event.at_ms)
            self._owed = math.ceil(open_ms / 1000 / FRAME_S)
        self._unsettled.receive(event)
        if isinstance(event, SessionStarted | SessionResumed):
            self._is_lost = False
        if not self._is_lost:  # what is sent again says nothing of now
            self._offsets.append(self._put * FRAME_S * 1000 - event.at_ms)
        self._heard_ms = max(self._heard_ms, event.at_ms)

    def lose(self) -> None:
        """The connection is lost: what comes next may be sent again."""
        self._is_lost = True

    def _owe_unsettled(self, at_ms: int) -> None:
        """All that is in no final, and what was spoken since; it begins at this media time there."""
        settled_ms = self._unsettled.settled_ms(self._heard_ms) + min(self._offsets, default=0.0)
        owed = max(0, self._put - int(settled_ms / 1000 / FRAME_S))
        self._owed = min(owed, len(self._frames))
        self._unsettled = Unsettled()
        self._offsets.clear()
        self._offsets.append((self._put - self._owed) * FRAME_S * 1000 - at_ms)

    def take(self) -> list[Any]:
        """A session stands: what it has to hear before what is put from now on."""
        owed, self._owed = min(self._owed or 0, len(self._frames)), None
        return list(self._frames)[len(self._frames) - owed :] if owed else []
