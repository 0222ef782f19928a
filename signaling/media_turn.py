"""What the packets of one turn of the loop have completed, decoded in one go where it is G.711.

One after the other, each stream's decoder, detector queue and session would find the processor's caches full
of the others': a window then costs three times as much as in a row of its kind::

    socket ─▶ receiver ─ due ─▶ MediaTurn          each packet, in the turn in which it came
                                    │
              receivers ◀─ decode, play      once, at the end of the turn
"""

from __future__ import annotations

from collections.abc import Callable

from signaling.codecs.g711 import decode_together
from signaling.receiver import AudioReceiver

__all__ = ["MediaTurn"]


class MediaTurn:
    """Of all streams of a loop.

    Args:
        schedule: has something called at the end of the loop's turn (``call_soon``).
    """

    def __init__(self, schedule: Callable[[Callable[[], None]], object]) -> None:
        self._schedule = schedule
        self._due: list[tuple[AudioReceiver, Callable[[Exception], None]]] = []

    def add(self, receiver: AudioReceiver, fail: Callable[[Exception], None]) -> None:
        """Something is due for a receiver.

        Args:
            fail: told where it cannot be decoded or handed over; the others do not notice.
        """
        if not self._due:
            self._schedule(self._play)
        self._due.append((receiver, fail))

    def _play(self) -> None:
        due, self._due = self._due, []
        _decode([receiver for receiver, _ in due])
        for receiver, fail in due:
            try:
                receiver.play()
            except Exception as error:
                fail(error)


def _decode(receivers: list[AudioReceiver]) -> None:
    """All first, before any is played: who hears one may end the others, which then play what they have."""
    lent = [(receiver, waiting) for receiver in receivers if (waiting := receiver.lend())]
    if lent:
        decoded = decode_together(
            [decoder for _, (decoder, _) in lent], [payload for _, (_, payload) in lent]
        )
        for (receiver, _), samples in zip(lent, decoded, strict=True):
            receiver.receive_decoded(samples)
