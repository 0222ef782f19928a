"""What a session was sent and has not worked off yet: audio and commands, in one order.

So a ``finalize`` acts on exactly the audio that came before it, although the detector answers later.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, Origin, Samples, Windower
from rtc_stt.commands import Command

__all__ = ["EndOfAudio", "Inbox"]

MAX_GAP_S = 3_600
"""Silence that may be put in place of a lost connection: the longest that ``RESUME_SECONDS`` allows."""

_SILENCE: Samples = np.zeros(WINDOW, np.float32)


class EndOfAudio:
    """No more audio comes after it."""


@dataclass(slots=True)
class _Gap:
    """Silence in whole windows. It may be an hour, so frames are made of it only as they are taken."""

    start: int
    windows: int
    origin: Origin


class Inbox:
    """See above. ``now`` is the session's clock, in seconds.

    Args:
        position: of the first sample that will come.
    """

    def __init__(self, position: int = 0) -> None:
        self._items: deque[AudioFrame | _Gap | Command | EndOfAudio] = deque()
        self._windower = Windower(position)
        self._backlog = 0
        self._last_audio_at: float | None = None
        self._gap_is_due = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def received(self) -> int:
        """Samples of media time so far: audio, and gaps between connections."""
        return self._windower.received

    @property
    def wants(self) -> int:
        """Samples that complete the next window."""
        return WINDOW - self._windower.waiting

    @property
    def backlog_s(self) -> float:
        """Seconds of audio put in and not yet settled."""
        return self._backlog / SAMPLE_RATE

    def arrived_at(self, position: int) -> float:
        """When a sample of media time came, on the session's clock; exact where audio comes as it sounds."""
        after = (self._windower.received - position) / SAMPLE_RATE
        return (self._last_audio_at or 0.0) - after

    # ── In ────────────────────────────────────────────────────────────

    def put_audio(self, samples: Samples, origin: Origin, now: float) -> None:
        """Take audio, shape ``(n,)``; after :meth:`resume` with silence before it for time without any."""
        self._arrive(len(samples), now)
        self._put(self._windower.push(samples, origin))

    def put_silence(self, samples: int, origin: Origin, now: float) -> None:
        """Take so much silence, lost or meant; as :meth:`put_audio`, but its length costs nothing."""
        self._arrive(samples, now)
        self._leave_gap(samples, origin)

    def _arrive(self, samples: int, now: float) -> None:
        if self._gap_is_due and self._last_audio_at is not None:
            away = min(MAX_GAP_S, max(0.0, now - self._last_audio_at - samples / SAMPLE_RATE))
            self._leave_gap(round(away * SAMPLE_RATE), Origin.LOST)
        self._gap_is_due = False
        self._last_audio_at = now

    def put(self, command: Command) -> None:
        """Take a command."""
        self._items.append(command)

    def end(self) -> None:
        """No more audio will come: let go of the samples that fill no window."""
        tail = self._windower.flush()
        self._put([tail] if tail else [])
        self._items.append(EndOfAudio())

    def clear(self) -> None:
        """Forget all that waits."""
        self._items.clear()

    def resume(self, now: float) -> float:
        """The connection is a new one; gives the seconds without audio so far.

        Media time goes on as if the line had been dead: when audio comes again, lost silence goes before it.
        """
        self._gap_is_due = True
        return 0.0 if self._last_audio_at is None else max(0.0, now - self._last_audio_at)

    def _put(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._items.append(frame)
            self._backlog += len(frame.samples)

    def _leave_gap(self, missing: int, origin: Origin) -> None:
        first = min(missing, -self._windower.waiting % WINDOW)
        windows, last = divmod(missing - first, WINDOW)
        self._put(self._windower.push(np.zeros(first, np.float32), origin))
        if windows:
            self._items.append(_Gap(self._windower.skip(windows), windows, origin))
        self._put(self._windower.push(np.zeros(last, np.float32), origin))

    # ── Out ────────────────────────────────────────────────────────────

    def take_frames(self, limit: int) -> list[AudioFrame]:
        """The next frames, ``limit`` at most; none where something else is next. To be settled."""
        frames: list[AudioFrame] = []
        while self._items and len(frames) < limit:
            item = self._items[0]
            if isinstance(item, _Gap):
                lost = item.origin is Origin.LOST
                frames.append(AudioFrame(item.start, _SILENCE, lost=WINDOW * lost, paused=not lost))
                self._backlog += WINDOW
                item.start += WINDOW
                item.windows -= 1
                if item.windows:
                    continue
            elif isinstance(item, AudioFrame):
                frames.append(item)
            else:
                break
            self._items.popleft()
        return frames

    def settle(self, frames: list[AudioFrame]) -> None:
        """These frames have been heard."""
        for frame in frames:
            self._backlog -= len(frame.samples)

    def take(self) -> Command | EndOfAudio:
        """What is next where that is no audio."""
        item = self._items.popleft()
        assert not isinstance(item, AudioFrame | _Gap)
        return item
