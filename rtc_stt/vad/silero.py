"""Silero VAD v6, many streams in one call.

Only the ONNX file of the ``silero-vad`` package is used, and its network computed by ours (see
:mod:`rtc_stt.vad.network`); torch is never imported.
"""

from __future__ import annotations

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

__all__ = ["SileroDetector", "StreamState", "model_path"]

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


class StreamState(DetectorState):
    """What is known of one stream."""

    __slots__ = (
        "calm",
        "context",
        "floor",
        "hidden",
        "high",
        "loudness",
        "narrow",
        "oldest",
        "quiet",
    )

    def __init__(self, context: int) -> None:
        self.loudness = TARGET_RMS
        self.quiet = 0
        self.calm = 0
        self.floor = 1.0
        self.high = 0
        self.oldest = 0  # which memory is emptied next
        self.hidden = np.zeros((2, 1, MEMORY), np.float32)
        self.narrow: Floats | None = np.zeros((2, 1, MEMORY), np.float32)
        """That of the network for telephone lines; None once it was heard that this is none. The other
        network then gets its second one."""
        self.context = np.zeros(context, np.float32)

    def widen(self) -> None:
        """This is no telephone line: one network is asked, with both memories."""
        self.narrow = None
        self.hidden = np.concatenate([self.hidden, np.zeros_like(self.hidden)], axis=1)


class SileroDetector:
    """One for all streams.

    The file has a network for 8 kHz too. On a telephone line it finds starts sooner, but takes a busy tone
    for speech; the mean of both does neither (``python -m tools.telephony vad``). So as long as nothing
    above :data:`HIGH_HZ` was heard, both are asked, the other one for every second sample.

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
        for is_narrow in (True, False):
            rows = [number for number in asked if (mine[number].narrow is not None) is is_narrow]
            if rows:
                judged = self._judge([mine[number] for number in rows], levelled[rows], is_narrow=is_narrow)
                for number, probability in zip(rows, judged, strict=True):
                    told[number] = float(probability)
        return told

    def _judge(self, states: list[StreamState], levelled: Floats, *, is_narrow: bool) -> Floats:
        """The probabilities of these windows, shape ``(B,)``."""
        heard = np.concatenate([np.stack([state.context for state in states]), levelled], axis=1)
        spectra = self._network.spectra(heard)
        of_memories, memories = self._network.run(
            spectra, np.stack([state.hidden for state in states], axis=1)
        )
        judged: Floats = np.asarray(of_memories.mean(axis=1), np.float32)
        for number, state in enumerate(states):
            state.hidden = memories[:, number].copy()
            state.context = levelled[number, -len(state.context) :].copy()
        if is_narrow:
            judged = np.asarray((judged + self._judge_narrow(states, heard, spectra)) / 2, np.float32)
        for state, probability in zip(states, judged, strict=True):
            state.quiet = state.quiet + 1 if probability < QUIET_PROBABILITY else 0
            state.calm = state.calm + 1 if probability < CALM_PROBABILITY else 0
            if state.quiet >= QUIET_WINDOWS:
                state.quiet = 0
                _empty(state)
        return judged

    def _judge_narrow(self, states: list[StreamState], heard: Floats, spectra: Floats) -> Floats:
        """What the other network says, shape ``(B,)``; and see who needs none of it any more."""
        memories = np.stack([state.narrow for state in states if state.narrow is not None], axis=1)
        other, memories = self._narrow.run(self._narrow.spectra(heard[:, 1::2]), memories)
        # Of the spectra those of the window alone: before it may be a hole, behind it is a mirror.
        high = np.square(spectra[:, 1:3, self._high :]).sum(axis=2).mean(axis=1)
        for number, state in enumerate(states):
            is_high = high[number] * self._network.full_scale > HIGH_POWER
            state.high = state.high + 1 if is_high else 0
            if state.high < HIGH_WINDOWS:
                state.narrow = memories[:, number].copy()
            else:
                state.widen()
        return other[:, 0]


def _may_be_speech(state: StreamState, rms: float) -> bool:
    """Whether a window is worth the network's time."""
    state.floor = max(LOWEST_FLOOR, min(rms, state.floor * FLOOR_RISES))
    return state.calm < CALM_WINDOWS or rms > FAINT or rms > NEAR * state.floor


def _empty(state: StreamState) -> None:
    """Let it forget what its older memory holds."""
    if state.narrow is None:
        state.hidden[:, state.oldest] = 0
    else:
        (state.hidden, state.narrow)[state.oldest][:] = 0
    state.oldest = (state.oldest + 1) % MEMORIES


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
