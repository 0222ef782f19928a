"""Where the audio of a leg belongs on the clock of its call. Pure.

Protocols without RTP stamp chunks with milliseconds, or not at all. What is stamped is put where its stamp
says: a gap becomes silence, and what would overlap the audio before it is put right behind it, since
time is never cut out.
"""

from __future__ import annotations

from rtc_stt.audio import SAMPLE_RATE

__all__ = ["JITTER_MS", "SLACK_S", "LegClock"]

JITTER_MS = 60
"""Stamps may be off by so much before it is a gap: they are rounded, and some senders count wall time."""

SLACK_S = 2.0
"""Stamps may be so much ahead of real time; beyond that they are not believed."""


class LegClock:
    """The place of one leg.

    Args:
        began: when the call began, in seconds of the monotonic clock.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self.position = 0
        """Samples at 16 kHz since the call began that the leg has had, silence included."""

    @property
    def at_ms(self) -> int:
        """The same in milliseconds."""
        return self.position * 1000 // SAMPLE_RATE

    def advance(self, samples: int) -> None:
        """So much has been put on the leg."""
        self.position += samples

    def behind(self, now: float) -> int:
        """Samples by which the leg is behind real time; 0 where it is not."""
        return max(0, int((now - self._began) * SAMPLE_RATE) - self.position)

    def gap_before(self, at_ms: float, now: float) -> int:
        """Samples of silence to be put before a chunk that is stamped ``at_ms``.

        Args:
            at_ms: milliseconds since the call began. One that cannot be true (ahead of real time by more than
                :data:`SLACK_S`, not finite) is not believed: the chunk is of now.
        """
        latest_ms = (now - self._began + SLACK_S) * 1000
        if at_ms <= latest_ms:  # of what is not a number nothing is true
            gap = int(max(at_ms, 0) * SAMPLE_RATE / 1000) - self.position
        else:
            gap = self.behind(now)
        return gap if gap > JITTER_MS * SAMPLE_RATE // 1000 else 0
