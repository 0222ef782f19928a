"""When it was spoken: positions in the audio of a stream as wall-clock time. Pure: time is given.

A piece of audio cannot have been spoken after it was given, nor can what lies before it in the audio have
been spoken later than its distance before that. So a sample's time is at most that of any piece behind it,
less the distance; the least of these is what is told. It is right where audio comes at once that had to wait
(a connection was being made), and where it stops for a while and goes on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

__all__ = ["Clock"]

KEPT_S = 120.0
"""Of audio; longer than any utterance."""


class Clock:
    """Of one stream. Positions are seconds of audio since it began, times are seconds on the wall clock.

    Args:
        began_at: nothing was spoken before.
    """

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._lags: deque[tuple[float, float]] = deque()
        """``(end of a piece, its time - its end)``; the second grows: a later and lesser one replaces it."""

    def heard(self, end_s: float, now: float) -> None:
        """A piece of audio was given that ends there."""
        lag = now - end_s
        while self._lags and self._lags[-1][1] >= lag:
            self._lags.pop()
        self._lags.append((end_s, lag))
        while self._lags[0][0] < end_s - KEPT_S:
            self._lags.popleft()

    def wall(self, position_s: float) -> float | None:
        """When that was spoken; None where nothing was given yet."""
        if not self._lags:
            return None
        at = bisect_left(self._lags, (position_s, float("-inf")))
        _, lag = self._lags[min(at, len(self._lags) - 1)]
        return max(self._began_at, position_s + lag)
