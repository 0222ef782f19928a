"""What of a stream was concealed or lost: a ledger on the media timeline.

Kept for as long as an utterance may still ask. An hour of speech over a line that is never whole takes no
more room than a minute.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rtc_stt.audio import AudioFrame, samples_to_ms

__all__ = ["Gap", "Gaps"]

MAX_ENTRIES = 2_000
"""Damaged windows that are told apart (64 s of them); beyond it the oldest are taken together. That changes
no sum that is asked for: they lie in the midst of the utterance that is open."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How much of a stretch of audio did not come from the speaker, in samples."""

    concealed: int = 0
    """Made up by the codec."""
    lost: int = 0
    """Silence in place of what is not known."""

    @property
    def concealed_ms(self) -> int:
        """The former in ms."""
        return samples_to_ms(self.concealed)

    @property
    def lost_ms(self) -> int:
        """The latter in ms."""
        return samples_to_ms(self.lost)

    def __bool__(self) -> bool:
        return bool(self.concealed_ms or self.lost_ms)


@dataclass(slots=True)
class _Entry:
    start: int
    concealed: int
    lost: int


class Gaps:
    """See above. Positions are samples of media time."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, frame: AudioFrame) -> None:
        """Note the next frame."""
        if not (frame.concealed or frame.lost):
            return
        self._entries.append(_Entry(frame.start, frame.concealed, frame.lost))
        if len(self._entries) > MAX_ENTRIES:
            oldest, following = self._entries.popleft(), self._entries[0]
            following.start = oldest.start
            following.concealed += oldest.concealed
            following.lost += oldest.lost

    def within(self, heard: tuple[int, int], owned: tuple[int, int]) -> Gap:
        """The gap of an utterance: concealed of where speech was heard, lost of all audio that it owns.

        Both are ``(start, end)`` at the edges of frames. The detector has heard what was concealed, so in a
        pre-roll or a hangover it is no harm; what was lost nobody has heard, and words may be missing there.
        """
        return Gap(
            concealed=sum(e.concealed for e in self._entries if heard[0] <= e.start < heard[1]),
            lost=sum(e.lost for e in self._entries if owned[0] <= e.start < owned[1]),
        )

    def trim(self, start: int) -> None:
        """Forget everything before ``start``."""
        while self._entries and self._entries[0].start < start:
            self._entries.popleft()
