"""When does speech start, pause and stop? Decided from one speech probability per 32 ms window.

Two thresholds make the hysteresis: a window counts as speech from ``start_threshold`` on, and once someone
speaks down to ``stay_threshold``. ``silence`` below is the time since the last window of speech.

::

    state     window                          next      signal
    ────────  ──────────────────────────────  ────────  ───────────────────────────────
    SILENCE   speech                          ONSET
    ONSET     speech, onset_ms reached        SPEECH    Started
    ONSET     no speech                       SILENCE
    SPEECH    no speech                       TRAILING
    TRAILING  speech                          SPEECH    Resumed, if Paused was signalled
    TRAILING  silence ≥ speculate_after_ms    TRAILING  Paused, once
    TRAILING  silence ≥ min_silence_ms        SILENCE   Stopped
    SPEECH    utterance ≥ max_utterance_ms    SPEECH    Stopped, Started at the quietest point
    TRAILING  utterance ≥ max_utterance_ms    SILENCE   Stopped

The detector lets go of a speaker two to four windows after their voice has gone, and the hangover would begin
so much too late. So when it does, speech is taken to have ended before those of its last windows that can
hardly be heard. Noise does not let anything be that soft, and there the detector's word stands.

A *commit* lets those windows of an utterance go that are decoded for good; the evidence of ``Paused`` and
``Stopped`` is that of the rest. The utterance goes on.

Everything is a position on the media timeline, so the outcome does not depend on when frames arrive.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from rtc_stt.audio import WINDOW, AudioFrame, ms_to_samples, samples_to_ms
from rtc_stt.config import Endpointing

__all__ = ["Dip", "Endpointer", "Paused", "Resumed", "Signal", "SpeechEvidence", "Started", "Stopped"]

CUT_SEARCH_MS = 5_000
"""How far back a cut may go. Speech without any dip for five seconds does not occur in practice."""


FAINT = 10 ** (-30 / 20)
"""So soft against what the utterance usually is, nothing of a word is left: 30 dB. In the clean test clips
the end of speech is found 12 ms late (median; without this 80), and 5 ms early at worst; at 25 dB, 33 ms."""

MAX_FAINT = 5
"""Windows. The detector's own tail is seldom longer."""


@dataclass(frozen=True, slots=True)
class SpeechEvidence:
    """How sure the detector was that the utterance is speech; the guard weighs it."""

    speech_ms: int
    """Time in windows that counted as speech."""
    mean_probability: float
    """Over those windows."""


@dataclass(frozen=True, slots=True)
class Started:
    """Speech began at ``start``."""

    start: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Speech seems to have ended at ``speech_end``; the hangover is still running."""

    speech_end: int
    evidence: SpeechEvidence


@dataclass(frozen=True, slots=True)
class Resumed:
    """The pause was none."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The endpoint. The utterance owns the audio up to ``audio_end``."""

    speech_end: int
    audio_end: int
    evidence: SpeechEvidence


Signal = Started | Paused | Resumed | Stopped


@dataclass(frozen=True, slots=True)
class Dip:
    """A place to cut at."""

    position: int
    noise: float
    """From 0 to 2: how much like speech it sounds, probability and relative loudness together."""
    depth: float
    """From 0 to 1: how much softer 160 ms are than speech usually is in this utterance; 1 is silence.
    Closures of consonants are shorter."""


class _State(enum.Enum):
    SILENCE = enum.auto()
    ONSET = enum.auto()
    SPEECH = enum.auto()
    TRAILING = enum.auto()


@dataclass(slots=True, init=False)  # not frozen, and with a constructor of its own, as AudioFrame
class _Window:
    start: int
    end: int
    probability: float
    rms: float
    is_speech: bool

    def __init__(self, start: int, end: int, probability: float, rms: float, is_speech: bool) -> None:
        self.start = start
        self.end = end
        self.probability = probability
        self.rms = rms
        self.is_speech = is_speech


class Endpointer:
    """The state machine above, for one stream."""

    def __init__(self, options: Endpointing) -> None:
        self.options = options
        self._state = _State.SILENCE
        self._windows: list[_Window] = []  # of the utterance since its last commit, or of its onset
        self._start = 0  # of the utterance
        self._committed = 0  # the last speech before the last commit ends here
        self._speech_end = 0
        self._paused = False
        self._position = 0

    @property
    def options(self) -> Endpointing:
        """May be replaced at any time; the next window is judged by the new ones."""
        return self._options

    @options.setter
    def options(self, options: Endpointing) -> None:
        self._options = options
        self._longest = ms_to_samples(options.max_utterance_s * 1000)

    @property
    def in_utterance(self) -> bool:
        """Whether an utterance is open."""
        return self._state in (_State.SPEECH, _State.TRAILING)

    @property
    def is_speaking(self) -> bool:
        """Whether the last window was speech of an open utterance."""
        return self._state is _State.SPEECH

    def receive(self, frame: AudioFrame, probability: float) -> list[Signal]:
        """Judge one window; ``probability`` in [0, 1]."""
        state, options, samples = self._state, self._options, frame.samples
        stays = state is _State.SPEECH or state is _State.ONSET
        is_speech = probability >= (options.stay_threshold if stays else options.start_threshold)
        self._position = end = frame.start + len(samples)
        if state is _State.SILENCE and not is_speech:
            return []
        rms = math.sqrt(np.dot(samples, samples) / len(samples)) if len(samples) else 0.0
        window = _Window(frame.start, end, probability, rms, is_speech)
        self._windows.append(window)
        if is_speech:
            self._speech_end = end
        if not self.in_utterance:
            return self._onset(window)
        signals = self._speech(window) if is_speech else self._trailing(window)
        if end - self._start >= self._longest and self.in_utterance:
            signals += self._cut()
        return signals

    def stop(self) -> Stopped | None:
        """End the open utterance here and now (a finalize, a mute, the end of the audio)."""
        if not self.in_utterance:
            self._reset()
            return None
        return self._stopped(self._position)

    def quietest(self, start: int, end: int) -> Dip | None:
        """The best place for a cut between two positions; None where no window begins between them."""
        inside = [i for i, w in enumerate(self._windows[:-1]) if i and start <= w.start <= end]
        if not inside:
            return None
        cut = self._softest(inside)
        around = self._windows[cut - 1 : cut + 2]
        usual = median([w.rms for w in self._windows if w.is_speech] or [0.0])
        wide = [self._windows[max(0, i - 2) : i + 3] for i in (cut - 1, cut, cut + 1)]
        softest = min(sum(w.rms for w in five) / len(five) for five in wide)
        depth = max(0.0, 1.0 - softest / usual) if usual else 0.0
        noise = _noise(around, self._loudest()) / len(around)
        return Dip(self._windows[cut].start, noise, depth)

    def commit(self, position: int) -> SpeechEvidence:
        """Let go of the windows before ``position``; gives the evidence of these."""
        before = [w for w in self._windows if w.start < position]
        self._windows = self._windows[len(before) :]
        self._committed = max((w.end for w in before if w.is_speech), default=self._committed)
        return self._evidence(before)

    def _onset(self, window: _Window) -> list[Signal]:
        if not window.is_speech:
            self._reset()
            return []
        self._state = _State.ONSET
        start = self._windows[0].start
        if window.end - start < ms_to_samples(self.options.onset_ms):
            return []
        self._state, self._start, self._committed = _State.SPEECH, start, start
        return [Started(start)]

    def _speech(self, window: _Window) -> list[Signal]:
        resumed = self._paused
        self._state, self._paused = _State.SPEECH, False
        return [Resumed()] if resumed else []

    def _trailing(self, window: _Window) -> list[Signal]:
        if self._state is _State.SPEECH:
            self._speech_end = self._end_of_voice()
        self._state = _State.TRAILING
        silence = window.end - self._speech_end
        if silence >= ms_to_samples(self.options.min_silence_ms):
            return [self._stopped(window.end)]
        if not self._paused and silence >= ms_to_samples(self.options.speculate_after_ms):
            self._paused = True
            return [Paused(self._speech_end, self._evidence(self._windows))]
        return []

    def _end_of_voice(self) -> int:
        """Where the speech that the detector has just let go of ended."""
        speech = [w for w in self._windows if w.is_speech]
        if not speech:  # what there was is committed
            return self._speech_end
        faint = FAINT * median([w.rms for w in speech])
        for window in reversed(speech[-MAX_FAINT:]):
            if window.rms >= faint:
                return window.end
        return speech[-MAX_FAINT:][0].start

    def _cut(self) -> list[Signal]:
        """End an utterance that is too long; speech that goes on opens the next one at the cut."""
        if self._state is _State.TRAILING:
            return [self._stopped(self._windows[-1].end)]
        cut = self._quietest()
        before, after = self._windows[:cut], self._windows[cut:]
        position = after[0].start
        spoken = max((w.end for w in before if w.is_speech), default=self._committed)
        stopped = Stopped(spoken, position, self._evidence(before))
        self._windows, self._start, self._committed = after, position, position
        return [stopped, Started(position)]

    def _quietest(self) -> int:
        """Index of the window to cut before. The newest do not count: they may be where a dip begins."""
        last = max(2, len(self._windows) - 2)
        reach = min(ms_to_samples(CUT_SEARCH_MS), self._longest // 2) // WINDOW
        return self._softest(range(max(1, last - reach), last))

    def _softest(self, among: Iterable[int]) -> int:
        """Which of some windows is the centre of the softest 96 ms; the later one of two that are alike.

        Probability alone is flat within speech, and loudness alone falls inside voiceless consonants, so
        both count.
        """
        loudest = self._loudest()
        return min(among, key=lambda i: (_noise(self._windows[i - 1 : i + 2], loudest), -i))

    def _loudest(self) -> float:
        return max(w.rms for w in self._windows) or 1.0

    def _stopped(self, audio_end: int) -> Stopped:
        stopped = Stopped(self._speech_end, audio_end, self._evidence(self._windows))
        self._reset()
        return stopped

    def _reset(self) -> None:
        self._state, self._paused, self._windows = _State.SILENCE, False, []

    @staticmethod
    def _evidence(windows: list[_Window]) -> SpeechEvidence:
        speech = [w for w in windows if w.is_speech]
        return SpeechEvidence(
            speech_ms=samples_to_ms(sum(w.end - w.start for w in speech)),
            mean_probability=sum(w.probability for w in speech) / len(speech) if speech else 0.0,
        )


def _noise(windows: list[_Window], loudest: float) -> float:
    return sum(w.probability + w.rms / loudest for w in windows)
