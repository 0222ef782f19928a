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
from rtc_stt.vad.leveller import TARGET_RMS, level
from rtc_stt.vad.network import MEMORY, Floats, load_networks

__all__ = ["SileroDetector", "StreamState", "model_path"]

MEMORIES = 2
"""Of each stream. The model's memory goes stale: after a loud speaker, or a minute of noise, it no longer
hears a quiet one, and an emptied memory needs half a second to settle. So a stream has two, emptied in turn,
and their mean is believed."""

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

SILENT = 4e-4
"""Peak of digital silence; the idle code of A-law (ITU-T G.711) is 2.4e-4, and what a filter makes of it."""

SETTLED_WINDOWS = 64
"""After so many windows of it (2 s) both memories have been emptied and have settled: more of it tells the
network nothing, and is not judged."""


class StreamState(DetectorState):
    """What is known of one stream."""

    __slots__ = ("context", "hidden", "high", "loudness", "narrow", "oldest", "quiet", "silent")

    def __init__(self, context: int) -> None:
        self.loudness = TARGET_RMS
        self.quiet = 0
        self.silent = 0
        self.high = 0
        self.oldest = 0  # which memory is emptied next
        self.hidden = np.zeros((2, MEMORIES, MEMORY), np.float32)
        self.narrow: Floats | None = np.zeros((2, MEMORIES, MEMORY), np.float32)
        """Those of the network for telephone lines; None once it was heard that this is none."""
        self.context = np.zeros(context, np.float32)


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
        peaks = np.abs(windows).max(axis=1, initial=0.0)
        asked = []
        for number, state in enumerate(mine):
            state.loudness = float(loudness[number])
            state.silent = state.silent + 1 if peaks[number] <= SILENT else 0
            if state.silent <= SETTLED_WINDOWS:
                asked.append(number)
        told = [0.0] * len(mine)
        if asked:
            judged = self._judge([mine[number] for number in asked], levelled[asked])
            for number, probability in zip(asked, judged, strict=True):
                told[number] = float(probability)
        return told

    def _judge(self, states: list[StreamState], levelled: Floats) -> Floats:
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
        if narrow := [number for number, state in enumerate(states) if state.narrow is not None]:
            self._judge_narrow([states[number] for number in narrow], narrow, heard, spectra, judged)
        for state, probability in zip(states, judged, strict=True):
            state.quiet = state.quiet + 1 if probability < QUIET_PROBABILITY else 0
            if state.quiet >= QUIET_WINDOWS:
                state.quiet = 0
                _empty(state)
        return judged

    def _judge_narrow(
        self, states: list[StreamState], rows: list[int], heard: Floats, spectra: Floats, judged: Floats
    ) -> None:
        """Let the other network have its say on these rows, and see who needs none of it any more."""
        memories = np.stack([state.narrow for state in states if state.narrow is not None], axis=1)
        other, memories = self._narrow.run(self._narrow.spectra(heard[rows, 1::2]), memories)
        judged[rows] = (judged[rows] + other.mean(axis=1)) / 2
        # Of the spectra those of the window alone: before it may be a hole, behind it is a mirror.
        high = np.square(spectra[rows, 1:3, self._high :]).sum(axis=2).mean(axis=1)
        for number, state in enumerate(states):
            is_high = high[number] * self._network.full_scale > HIGH_POWER
            state.high = state.high + 1 if is_high else 0
            state.narrow = memories[:, number].copy() if state.high < HIGH_WINDOWS else None


def _empty(state: StreamState) -> None:
    """Let it forget what its older memory holds."""
    state.hidden[:, state.oldest] = 0
    if state.narrow is not None:
        state.narrow[:, state.oldest] = 0
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
