"""Silero VAD v6, many streams in one call.

Only the ONNX file of the ``silero-vad`` package is used, and its network computed by ours (see
:mod:`rtc_stt.vad.network`); torch is never imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, WINDOW
from rtc_stt.errors import ModelError
from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.leveller import level, root_mean_square
from rtc_stt.vad.network import Floats, load_networks
from rtc_stt.vad.stream_table import Line, Rows, StreamState, StreamTable

__all__ = ["Line", "SileroDetector", "StreamState", "model_path"]

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

_NOT_ASKED = -1
"""In the place of a line."""


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
        self._table = StreamTable(self._network.context)

    def new_state(self) -> DetectorState:
        """A stream that has heard only silence."""
        return StreamState(self._table)

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`."""
        assert windows.shape == (len(states), WINDOW)
        rows = self._table.rows(states)
        streams = self._table.streams
        levelled, streams["loudness"][rows] = level(windows, streams["loudness"][rows])
        contexts = streams["context"]
        heard = np.concatenate([contexts[rows], levelled], axis=1)
        contexts[rows] = levelled[:, -contexts.shape[1] :]
        asked = self._may_be_speech(rows, windows)
        # Sorted before any is judged: by that a stream may become one of another line.
        lines = np.where(asked, streams["line"][rows], _NOT_ASKED)
        present = set(lines.tolist())
        if len(present) == 1 and _NOT_ASKED not in present:
            told = self._judge(rows, heard, Line(present.pop()))
        else:
            told = np.zeros(len(rows), np.float32)
            for line in present - {_NOT_ASKED}:
                (which,) = np.nonzero(lines == line)
                told[which] = self._judge(rows[which], heard[which], Line(line))
        probabilities: list[float] = told.tolist()
        return probabilities

    def _may_be_speech(self, rows: Rows, windows: Floats) -> npt.NDArray[np.bool_]:
        """Which windows are worth the network's time, shape ``(B,)``."""
        streams = self._table.streams
        rms = root_mean_square(windows)
        floor = np.maximum(np.minimum(rms, streams["floor"][rows] * FLOOR_RISES), LOWEST_FLOOR)
        streams["floor"][rows] = floor
        is_loud = np.asarray(rms > np.minimum(NEAR * floor, FAINT))
        return is_loud | np.asarray(streams["calm"][rows] < CALM_WINDOWS)

    def _judge(self, rows: Rows, heard: Floats, line: Line) -> Floats:
        """The probabilities of these windows, shape ``(B,)``; all of streams over such a line."""
        streams = self._table.streams
        memories = np.ascontiguousarray(streams["memories"][rows].swapaxes(0, 1))
        if line is Line.WIDE:
            told, memories = self._network.run(self._network.spectra(heard), memories)
        elif line is Line.TELEPHONE:
            told, memories = self._narrow.run(self._narrow.spectra(heard[:, 1::2]), memories)
        else:
            spectra, narrow = self._network.spectra(heard), self._narrow.spectra(heard[:, 1::2])
            of_wide, memories[:, :, :1] = self._network.run(spectra, memories[:, :, :1])
            of_narrow, memories[:, :, 1:] = self._narrow.run(narrow, memories[:, :, 1:])
            told = np.concatenate([of_wide, of_narrow], axis=1)
        streams["memories"][rows] = memories.swapaxes(0, 1)
        judged = np.asarray((told[:, 0] + told[:, 1]) / 2, np.float32)
        if line is Line.TELEPHONE:
            self._look_again(rows, heard)
        elif line is Line.UNKNOWN:
            self._hear_line(rows, judged, self._is_high(spectra))
        quiet = (streams["quiet"][rows] + 1) * (judged < QUIET_PROBABILITY)
        streams["quiet"][rows] = quiet % QUIET_WINDOWS
        streams["calm"][rows] = (streams["calm"][rows] + 1) * (judged < CALM_PROBABILITY)
        for row in rows[quiet >= QUIET_WINDOWS]:
            self._empty(row)
        return judged

    def _empty(self, row: int) -> None:
        """Forget what the older memory of a stream holds."""
        stream = self._table.streams[row]
        may_narrow = stream["line"] == Line.UNKNOWN and stream["oldest"] == 0
        if may_narrow and stream["low"] >= LOW_WINDOWS:
            # The memory that is emptied is the other network's from here on.
            self._table.narrow(row)
        else:
            self._table.forget(row)

    def _hear_line(self, rows: Rows, judged: Floats, high: npt.NDArray[np.bool_]) -> None:
        """What windows tell of the line of their streams."""
        streams = self._table.streams
        in_a_row = (streams["high"][rows] + 1) * high
        streams["high"][rows] = in_a_row
        streams["low"][rows] = (streams["low"][rows] + (judged >= SPEECH_PROBABILITY)) * ~high
        for row in rows[in_a_row >= HIGH_WINDOWS]:
            self._table.widen(row)

    def _look_again(self, rows: Rows, heard: Floats) -> None:
        """Whether there is something high where there was none."""
        streams = self._table.streams
        unseen = (streams["unseen"][rows] + 1) % DOUBT_WINDOWS
        streams["unseen"][rows] = unseen
        (due,) = np.nonzero(unseen == 0)
        if len(due):
            for row in rows[due[self._is_high(self._network.spectra(heard[due]))]]:
                self._table.doubt(row)

    def _is_high(self, spectra: Floats) -> npt.NDArray[np.bool_]:
        """Of which windows something is above :data:`HIGH_HZ`, shape ``(B,)``."""
        # Of the spectra those of the window alone: before it may be a hole, behind it is a mirror.
        power = np.square(spectra[:, 1:3, self._high :]).sum(axis=2).mean(axis=1)
        return np.asarray(power * self._network.full_scale > HIGH_POWER)


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
