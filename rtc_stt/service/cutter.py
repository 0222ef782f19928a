"""Where is a recording cut? Into stretches of speech, each decoded on its own. Pure.

Speech is told from silence as the endpointer does it: ``start_threshold`` and ``onset_ms`` to begin,
``stay_threshold`` to go on. Then:

1. Speech after a pause of at most ``JOIN_MS`` belongs to the stretch that is open; after a longer one it
   begins another. What lies between two stretches is skipped.
2. A stretch begins up to ``preroll_ms`` before its speech and ends up to ``TAIL_MS`` behind it: as far as
   there is silence, and as far as the bound leaves room.
3. A stretch that grows over the bound is cut in its longest pause, the quieter of two that are alike. One in
   the later half comes first, since two halves are better than a whole and a crumb. Without a pause it is
   cut where its later half sounds least like speech.
4. No window of speech is lost, and none is in two stretches.

Everything is a position on the media timeline, so the outcome does not depend on how the audio came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtc_stt.audio import ms_to_samples, samples_to_ms
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import SpeechEvidence

__all__ = ["JOIN_MS", "TAIL_MS", "Cutter", "Stretch"]

JOIN_MS = 1_000
"""Between two sentences readers pause for less, and a model that hears both makes fewer mistakes."""

TAIL_MS = 300
"""Of the silence behind speech: a last consonant is not always heard by the detector, and an ending wants an
end."""

PAUSE_MS = 96
"""Closures of consonants are shorter."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the recording to be decoded, in samples of media time."""

    start: int
    end: int
    speech_start: int
    speech_end: int
    evidence: SpeechEvidence


@dataclass(frozen=True, slots=True)
class _Window:
    start: int
    end: int
    probability: float
    rms: float
    is_speech: bool


class Cutter:
    """The rules above, for one recording.

    Args:
        options: thresholds, onset and pre-roll.
        segment_s: no stretch is longer; at least 3 s.
    """

    def __init__(self, options: Endpointing, segment_s: float) -> None:
        self._options = options
        self._bound = ms_to_samples(segment_s * 1000)
        self._preroll = ms_to_samples(options.preroll_ms)
        self._position = 0
        self._free = 0  # what comes before belongs to stretches that are done, or was skipped
        self._windows: list[_Window] = []  # of the open stretch, or of an onset; the first one is speech
        self._is_open = False

    @property
    def needs_from(self) -> int:
        """Audio before this position is in no stretch to come."""
        first = self._windows[0].start if self._windows else self._position
        return max(self._free, first - self._preroll)

    def receive(self, samples: int, probability: float, rms: float) -> list[Stretch]:
        """Judge the next window; gives the stretches that are complete by it.

        Args:
            samples: its length.
            probability: of speech, in [0, 1].
            rms: its loudness; only compared with that of others.
        """
        threshold = self._options.stay_threshold if self._is_speaking else self._options.start_threshold
        start, self._position = self._position, self._position + samples
        window = _Window(start, self._position, probability, rms, probability >= threshold)
        if not self._windows and not window.is_speech:
            return []
        self._windows.append(window)
        if not self._is_open:
            self._begin(window)
            return []
        if window.is_speech:
            return list(self._keep_short())
        if window.end - self._last_speech.end > ms_to_samples(JOIN_MS):
            return [self._close()]
        return []

    def finish(self) -> list[Stretch]:
        """The recording ends here: what is open is complete."""
        return [self._close()] if self._is_open else []

    @property
    def _is_speaking(self) -> bool:
        return bool(self._windows) and self._windows[-1].is_speech

    @property
    def _last_speech(self) -> _Window:
        return next(window for window in reversed(self._windows) if window.is_speech)

    def _begin(self, window: _Window) -> None:
        """An onset goes on, has become speech, or was none."""
        if not window.is_speech:
            self._windows = []
        elif window.end - self._windows[0].start >= ms_to_samples(self._options.onset_ms):
            self._is_open = True

    def _keep_short(self) -> Iterator[Stretch]:
        """Cut the open stretch until speech up to here fits into it."""
        while self._position - self.needs_from > self._bound:
            yield self._cut(*self._gap())

    def _gap(self) -> tuple[int, int]:
        """Indices of the windows of the pause to cut in; an empty one where there is no pause."""
        middle = self.needs_from + self._bound // 2
        loudest = max(window.rms for window in self._windows) or 1.0
        pauses = [
            (first, last)
            for first, last in _pauses(self._windows)
            if self._windows[last - 1].end - self._windows[first].start >= ms_to_samples(PAUSE_MS)
        ]
        late = [pause for pause in pauses if self._windows[pause[0]].start >= middle]
        if pauses:
            return max(late or pauses, key=lambda pause: self._worth(pause, loudest))
        # Not the newest ones: they may be where a dip begins.
        among = [i for i in range(1, len(self._windows) - 1) if self._windows[i].start >= middle]
        softest = min(among, key=lambda i: (_noise(self._windows[i - 1 : i + 2], loudest), -i))
        return softest, softest

    def _worth(self, pause: tuple[int, int], loudest: float) -> tuple[int, float]:
        first, last = pause
        return last - first, -_noise(self._windows[first:last], loudest)

    def _cut(self, first: int, last: int) -> Stretch:
        """End the open stretch at a pause, the windows ``[first, last)``, and begin the next behind it."""
        before, after = self._windows[:first], self._windows[last:]
        quiet = after[0].start - before[-1].end
        wanted = ms_to_samples(TAIL_MS) + self._preroll
        tail = ms_to_samples(TAIL_MS) if quiet >= wanted else quiet * ms_to_samples(TAIL_MS) // wanted
        stretch = self._stretch(before, before[-1].end + tail)
        self._windows = after
        return stretch

    def _close(self) -> Stretch:
        end = min(self._last_speech.end + ms_to_samples(TAIL_MS), self._position)
        stretch = self._stretch(self._windows, end)
        self._windows, self._is_open = [], False
        return stretch

    def _stretch(self, windows: Sequence[_Window], end: int) -> Stretch:
        start = self.needs_from
        speech = [window for window in windows if window.is_speech]
        evidence = SpeechEvidence(
            speech_ms=samples_to_ms(sum(window.end - window.start for window in speech)),
            mean_probability=sum(window.probability for window in speech) / len(speech),
        )
        self._free = min(end, start + self._bound)
        return Stretch(start, self._free, speech[0].start, speech[-1].end, evidence)


def _pauses(windows: Sequence[_Window]) -> Iterator[tuple[int, int]]:
    """Runs of windows without speech between windows with speech, as indices ``[first, last)``."""
    first = None
    for i, window in enumerate(windows):
        if window.is_speech and first is not None:
            yield first, i
            first = None
        elif not window.is_speech and first is None:
            first = i


def _noise(windows: Sequence[_Window], loudest: float) -> float:
    """How much like speech some windows sound, added up.

    Probability alone is flat within speech, and loudness alone falls inside voiceless consonants.
    """
    return sum(window.probability + window.rms / loudest for window in windows)
