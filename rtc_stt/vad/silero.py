"""Silero VAD v6, many streams in one call.

Only the ONNX file of the ``silero-vad`` package is used, and its network computed by ours (see
:mod:`rtc_stt.vad.network`); torch is never imported.
"""

from __future__ import annotations

import enum
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, WINDOW
from rtc_stt.errors import ModelError
from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.leveller import TARGET_RMS, level
from rtc_stt.vad.network import MEMORY, Floats, load_networks

__all__ = ["Line", "SileroDetector", "StreamState", "model_path"]

MEMORIES = 2
"""Of each stream. The model's memory goes stale: after a loud speaker, or a minute of noise, it no longer
hears a quiet one, and an emptied memory needs half a second to settle. So a stream has two, emptied in turn,
and their mean is believed: both of one network, or one of each."""

QUIET_PROBABILITY = 0.35
QUIET_WINDOWS = 24
"""After so many windows in a row (0.8 s) below that probability the older memory is emptied."""

TELEPHONE_RATE = 8_000
"""Of the network that is asked besides, where a stream has been on a telephone line."""

HIGH_HZ = 4_750
"""From there on a telephone line has nothing, the tail of what was brought to 16 kHz included …"""

HIGH_POWER = 10 ** (-75 / 10)
"""… against full scale, of the levelled sound. Telephone clips have -94 dB there at most, others reach -54 dB
within their first word."""

HIGH_WINDOWS = 3
"""So many of them in a row: a hole in the stream makes a click, which is high too, but short."""

LOW_WINDOWS = 32
"""After so many windows of speech (1 s) with nothing high it is a telephone line …"""

SPEECH_PROBABILITY = 0.5

DOUBT_WINDOWS = 16
"""… and of so many windows one is looked at again: a call may be handed to somebody who is on none."""

CALM_PROBABILITY = 0.15
CALM_WINDOWS = 64
"""After so many windows in a row (2 s) below that probability nobody is about to go on, and both memories
have been emptied and have settled …"""

FAINT = 10 ** (-50 / 20)
NEAR = 10 ** (4 / 20)
"""… and what is fainter than that (RMS, full scale 1), and no more than 4 dB over the floor of the stream, is
the noise of a quiet line, or digital silence: it is not judged. Who speaks as faintly as the noise is not
understood either. The onset of a word is over it within a window, and the pre-roll has what was before."""

FLOOR_RISES = 10 ** (0.5 / 20 * WINDOW / SAMPLE_RATE)
"""A window: 0.5 dB a second. So long words do not take the floor with them, and a line that gets noisier is
known as such within a minute."""

LOWEST_FLOOR = 1e-4
"""So that digital silence is below it, the idle code of A-law (ITU-T G.711: 2.4e-4) near it."""


class Line(enum.Enum):
    """What a stream comes over, as far as it was heard. It decides which networks are asked."""

    UNKNOWN = enum.auto()
    """Both, a memory each."""
    WIDE = enum.auto()
    """That for 16 kHz, with both memories."""
    TELEPHONE = enum.auto()
    """That for 8 kHz, with both memories."""


class StreamState(DetectorState):
    """What is known of one stream."""

    __slots__ = (
        "calm",
        "context",
        "floor",
        "high",
        "line",
        "loudness",
        "low",
        "narrow",
        "oldest",
        "quiet",
        "unseen",
        "wide",
    )

    def __init__(self, context: int) -> None:
        self.loudness = TARGET_RMS
        self.quiet = 0
        self.calm = 0
        self.floor = 1.0
        self.line = Line.UNKNOWN
        self.high = 0  # windows in a row
        self.low = 0  # of speech, since the last that was high
        self.unseen = 0  # windows since the last that was looked at for what is high
        # Memories of the network for 16 kHz, and of that for 8 kHz, two in all: shape (2, n, MEMORY).
        self.wide: Floats = _fresh()
        self.narrow: Floats = _fresh()
        self.oldest = 0  # which of them, counted through, is emptied next
        self.context = np.zeros(context, np.float32)

    def widen(self) -> None:
        """This is no telephone line."""
        self.line, self.narrow = Line.WIDE, self.narrow[:, :0]
        self.wide = np.concatenate([self.wide, _fresh()], axis=1)

    def doubt(self) -> None:
        """It was taken for a telephone line, and perhaps is none (any more)."""
        self.line, self.high, self.low = Line.UNKNOWN, 1, 0
        self.narrow = self.narrow[:, 1 - self.oldest, None].copy()
        self.wide, self.oldest = _fresh(), 1

    def empty(self) -> None:
        """Forget what the older memory holds."""
        if self.line is Line.UNKNOWN and self.low >= LOW_WINDOWS and self.oldest == 0:
            # The memory that is emptied is the other network's from here on.
            self.line, self.wide = Line.TELEPHONE, self.wide[:, :0]
            self.narrow = np.concatenate([self.narrow, _fresh()], axis=1)
            return
        of_wide = self.wide.shape[1]
        if self.oldest < of_wide:
            self.wide[:, self.oldest] = 0
        else:
            self.narrow[:, self.oldest - of_wide] = 0
        self.oldest = (self.oldest + 1) % MEMORIES


def _fresh() -> Floats:
    return np.zeros((2, 1, MEMORY), np.float32)


class SileroDetector:
    """One for all streams.

    The file has a network for 8 kHz too. On a telephone line it finds starts sooner, and costs three quarters
    (``python -m tools.telephony vad``). So until it was heard what a stream comes over, both are asked, the
    other one for every second sample, and their mean is believed.

    Raises:
        ModelError: the package or its model file is missing.
    """

    def __init__(self) -> None:
        path = model_path()
        try:
            networks = load_networks(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ModelError(f"the Silero VAD model cannot be loaded: {error}") from error
        if networks.keys() < {SAMPLE_RATE, TELEPHONE_RATE}:
            raise ModelError("the Silero VAD model cannot be loaded: it has other networks than expected")
        self._network, self._narrow = networks[SAMPLE_RATE], networks[TELEPHONE_RATE]
        self._high = HIGH_HZ * self._network.size // SAMPLE_RATE

    def new_state(self) -> DetectorState:
        """A stream that has heard only silence."""
        return StreamState(self._network.context)

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`."""
        mine = [state for state in states if isinstance(state, StreamState)]
        assert len(mine) == len(states), "states come from this detector's new_state()"
        assert windows.shape == (len(states), WINDOW)
        levelled, loudness = level(windows, np.array([state.loudness for state in mine], np.float32))
        powers = np.einsum("ij,ij->i", windows, windows).tolist()
        asked = []
        for number, state in enumerate(mine):
            state.loudness = float(loudness[number])
            if _may_be_speech(state, math.sqrt(powers[number] / WINDOW)):
                asked.append(number)
            else:
                state.context = levelled[number, -len(state.context) :].copy()
        told = [0.0] * len(mine)
        # Sorted before any is judged: by that a stream may become one of another line.
        lines = {line: [number for number in asked if mine[number].line is line] for line in Line}
        for line, rows in lines.items():
            if rows:
                judged = self._judge([mine[number] for number in rows], levelled[rows], line)
                for number, probability in zip(rows, judged.tolist(), strict=True):
                    told[number] = probability
        return told

    def _judge(self, states: list[StreamState], levelled: Floats, line: Line) -> Floats:
        """The probabilities of these windows, shape ``(B,)``; all of streams over such a line."""
        heard = np.concatenate([np.stack([state.context for state in states]), levelled], axis=1)
        opinions, high = list[Floats](), np.zeros(len(states), bool)
        if line is not Line.TELEPHONE:
            spectra = self._network.spectra(heard)
            memories = np.stack([state.wide for state in states], axis=1)
            told, memories = self._network.run(spectra, memories)
            opinions.append(told)
            for number, state in enumerate(states):
                state.wide = memories[:, number].copy()
            if line is Line.UNKNOWN:
                high = self._is_high(spectra)
        if line is not Line.WIDE:
            memories = np.stack([state.narrow for state in states], axis=1)
            told, memories = self._narrow.run(self._narrow.spectra(heard[:, 1::2]), memories)
            opinions.append(told)
            for number, state in enumerate(states):
                state.narrow = memories[:, number].copy()
        if line is Line.TELEPHONE:
            self._look_again(states, heard)
        judged = np.asarray(np.concatenate(opinions, axis=1).mean(axis=1), np.float32)
        for number, (state, probability) in enumerate(zip(states, judged.tolist(), strict=True)):
            state.context = levelled[number, -len(state.context) :].copy()
            if line is Line.UNKNOWN:
                _hear_line(state, probability, is_high=bool(high[number]))
            state.quiet = state.quiet + 1 if probability < QUIET_PROBABILITY else 0
            state.calm = state.calm + 1 if probability < CALM_PROBABILITY else 0
            if state.quiet >= QUIET_WINDOWS:
                state.quiet = 0
                state.empty()
        return judged

    def _look_again(self, states: list[StreamState], heard: Floats) -> None:
        """Whether there is something high where there was none."""
        due = list[int]()
        for number, state in enumerate(states):
            state.unseen = (state.unseen + 1) % DOUBT_WINDOWS
            if not state.unseen:
                due.append(number)
        if due:
            for number, is_high in zip(due, self._is_high(self._network.spectra(heard[due])), strict=True):
                if is_high:
                    states[number].doubt()

    def _is_high(self, spectra: Floats) -> npt.NDArray[np.bool_]:
        """Of which windows something is above :data:`HIGH_HZ`, shape ``(B,)``."""
        # Of the spectra those of the window alone: before it may be a hole, behind it is a mirror.
        power = np.square(spectra[:, 1:3, self._high :]).sum(axis=2).mean(axis=1)
        return np.asarray(power * self._network.full_scale > HIGH_POWER)


def _hear_line(state: StreamState, probability: float, *, is_high: bool) -> None:
    """What a window tells of the line of its stream."""
    if not is_high:
        state.high = 0
        state.low += probability >= SPEECH_PROBABILITY
        return
    state.high, state.low = state.high + 1, 0
    if state.high >= HIGH_WINDOWS:
        state.widen()


def _may_be_speech(state: StreamState, rms: float) -> bool:
    """Whether a window is worth the network's time."""
    state.floor = max(LOWEST_FLOOR, min(rms, state.floor * FLOOR_RISES))
    return state.calm < CALM_WINDOWS or rms > FAINT or rms > NEAR * state.floor


def model_path() -> Path:
    """The ONNX file.

    Raises:
        ModelError: there is none.
    """
    # find_spec locates the package without importing it: the import would pull torch in, and seconds.
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ModelError("the package silero-vad is missing: pip install silero-vad")
    path = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    if not path.is_file():
        raise ModelError(f"the package silero-vad has no {path.name}: reinstall it")
    return path
