"""What a WebRTC client keeps of its newest audio, for a server that is replaced by another. Pure.

A session that a server ends because it goes away is followed by a new one, elsewhere. Between them lie a few
hundred milliseconds, in which somebody may have begun to speak::

    … ───── in finals ─────┬─ in none, or told by nobody yet ─┬─ spoken since ─┬─ live …
                           └─ settled                         └─ session.ended └─ the new session stands
                           ├───────────── said again, faster than it was spoken ─┤

Media time is counted from the end of the session: that is when its last event came. What the event took to
come is left out, not said twice: a pause is there, as a session is ended in one where that can be.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from rtc_stt.client.reconnect import begins_anew
from rtc_stt.client.replay import Unsettled
from rtc_stt.events import Event, SessionEnded, SessionStarted

__all__ = ["KEPT_S", "Recent"]

KEPT_S = 8.0
"""A server takes media that is 10 s ahead of its clock (:mod:`signaling.jitter`), no more."""

FRAME_S = 0.02


class Recent:
    """See above."""

    def __init__(self) -> None:
        self._frames: deque[Any] = deque(maxlen=round(KEPT_S / FRAME_S))
        self._unsettled = Unsettled()
        self._owed: int | None = None  # frames; None while a session hears what is put

    def put(self, frame: Any) -> None:
        """Take 20 ms that are spoken now."""
        self._frames.append(frame)
        if self._owed is not None:
            self._owed += 1

    def receive(self, event: Event) -> None:
        """Note an event of the session."""
        if isinstance(event, SessionStarted):
            self._unsettled = Unsettled()
        elif isinstance(event, SessionEnded) and begins_anew(event.reason):
            open_ms = event.at_ms - self._unsettled.settled_ms(event.at_ms)
            self._owed = math.ceil(open_ms / 1000 / FRAME_S)
        self._unsettled.receive(event)

    def take(self) -> list[Any]:
        """A session stands: what it has to hear before what is put from now on."""
        owed, self._owed = min(self._owed or 0, len(self._frames)), None
        return list(self._frames)[len(self._frames) - owed :] if owed else []
