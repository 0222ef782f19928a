"""What packets have completed in a turn of the loop, or in some milliseconds, decoded in one go where it is
G.711.

One after the other, each stream's decoder, detector queue and session would find the processor's caches full
of the others': a window then costs three times as much as in a row of its kind::

    socket ─▶ receiver ─ due ─▶ MediaTurn          each packet, in the turn in which it came
                                    │
              receivers ◀─ decode, play      once, at the end of the turn or a little later
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from signaling.codecs.g711 import decode_together
from signaling.receiver import AudioReceiver

__all__ = ["MediaTurn", "call_on_loop", "turn_of_loop"]

PACE_S = 0.003
"""From one time to the next, at least. One call's windows come every 32 ms and do not wait; those of a
hundred calls come every third of a millisecond, and many at a time cost half as much as a few."""

Schedule = Callable[[float, Callable[[], None]], object]


class MediaTurn:
    """Of all streams of a loop.

    Args:
        clock: in seconds.
        schedule: has something called so many seconds later; at the end of the loop's turn where it is none.
    """

    def __init__(self, clock: Callable[[], float], schedule: Schedule) -> None:
        self._clock = clock
        self._schedule = schedule
        self._next_at = 0.0
        self._due: list[tuple[AudioReceiver, Callable[[Exception], None]]] = []

    def add(self, receiver: AudioReceiver, fail: Callable[[Exception], None]) -> None:
        """Something is due for a receiver.

        Args:
            fail: told where it cannot be decoded or handed over; the others do not notice.
        """
        if not self._due:
            self._schedule(max(0.0, self._next_at - self._clock()), self._play)
        self._due.append((receiver, fail))

    def _play(self) -> None:
        due, self._due = self._due, []
        self._next_at = self._clock() + PACE_S
        try:
            _decode([receiver for receiver, _ in due])
        except Exception as error:  # what they have lent is gone
            for _, fail in due:
                fail(error)
            return
        for receiver, fail in due:
            try:
                receiver.play()
            except Exception as error:
                fail(error)


def call_on_loop(delay_s: float, call: Callable[[], None]) -> None:
    """A :data:`Schedule`: of the loop that runs."""
    loop = asyncio.get_running_loop()
    if delay_s > 0:
        loop.call_later(delay_s, call)
    else:
        loop.call_soon(call)


def turn_of_loop() -> MediaTurn:
    """For the streams of one loop."""
    return MediaTurn(time.monotonic, call_on_loop)


def _decode(receivers: list[AudioReceiver]) -> None:
    """All first, before any is played: who hears one may end the others, which then play what they have."""
    lent = [(receiver, waiting) for receiver in receivers if (waiting := receiver.lend())]
    if lent:
        decoded = decode_together(
            [decoder for _, (decoder, _) in lent], [payload for _, (_, payload) in lent]
        )
        for (receiver, _), samples in zip(lent, decoded, strict=True):
            receiver.receive_decoded(samples)
