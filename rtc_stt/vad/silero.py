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
from rtc_stt.vad.network import MEMORY, load_networks

__all__ = ["SileroDetector", "model_path"]

MEMORIES = 2
"""Of each stream. The model's memory goes stale: after a loud speaker, or a minute of noise, it no longer
hears a quiet one, and an emptied memory needs half a second to settle. So a stream has two, emptied in turn,
and their mean is believed."""

QUIET_PROBABILITY = 0.35
QUIET_WINDOWS = 24
"""After so many windows in a row (0.8 s) below that probability the older memory is emptied."""


class _State(DetectorState):
    __slots__ = ("context", "hidden", "loudness", "oldest", "quiet")

    def __init__(self, context: int) -> None:
        self.loudness = TARGET_RMS
        self.quiet = 0
        self.oldest = 0  # which memory is emptied next
        self.hidden = np.zeros((2, MEMORIES, MEMORY), np.float32)
        self.context = np.zeros(context, np.float32)


class SileroDetector:
    """One network shared by all streams.

    Raises:
        ModelError: the package or its model file is missing.
    """

    def __init__(self) -> None:
        path = model_path()
        try:
            networks = load_networks(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ModelError(f"the Silero VAD model cannot be loaded: {error}") from error
        if SAMPLE_RATE not in networks:
            raise ModelError("the Silero VAD model cannot be loaded: it has no network for 16 kHz")
        self._network = networks[SAMPLE_RATE]

    def new_state(self) -> DetectorState:
        """A stream that has heard only silence."""
        return _State(self._network.context)

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`."""
        mine = [state for state in states if isinstance(state, _State)]
        assert len(mine) == len(states), "states come from this detector's new_state()"
        assert windows.shape == (len(states), WINDOW)
        levelled, loudness = level(windows, np.array([state.loudness for state in mine], np.float32))
        contexts = np.stack([state.context for state in mine])
        heard = np.concatenate([contexts, levelled], axis=1)
        memories = np.stack([state.hidden for state in mine], axis=1)
        probabilities, memories = self._network.run(heard, memories)
        judged = [float(p) for p in probabilities.mean(axis=1)]
        for i, state in enumerate(mine):
            state.hidden = memories[:, i].copy()
            state.context = levelled[i, -len(state.context) :].copy()
            state.loudness = float(loudness[i])
            state.quiet = state.quiet + 1 if judged[i] < QUIET_PROBABILITY else 0
            if state.quiet >= QUIET_WINDOWS:
                state.quiet = 0
                state.hidden[:, state.oldest] = 0
                state.oldest = (state.oldest + 1) % MEMORIES
        return judged


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
