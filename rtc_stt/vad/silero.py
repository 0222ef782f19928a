"""Silero VAD v6 through onnxruntime, many streams in one call.

The model takes ``input [B, 64 + 512]`` (the last 64 samples of the window before, then the window),
``state [2, B, 128]`` and ``sr``; its batched result equals that of single calls. Only the ONNX file of the
``silero-vad`` package is used, so torch is never imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from rtc_stt.audio import SAMPLE_RATE, WINDOW
from rtc_stt.errors import ModelError
from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.leveller import TARGET_RMS, level

__all__ = ["SileroDetector"]

CONTEXT = 64
"""Samples of the previous window that the model sees again."""

MEMORIES = 2
"""Of each stream. The model's memory goes stale: after a loud speaker, or a minute of noise, it no longer
hears a quiet one, and an emptied memory needs half a second to settle. So a stream has two, emptied in turn,
and their mean is believed."""

QUIET_PROBABILITY = 0.35
QUIET_WINDOWS = 24
"""After so many windows in a row (0.8 s) below that probability the older memory is emptied."""


class _State(DetectorState):
    __slots__ = ("context", "hidden", "loudness", "oldest", "quiet")

    def __init__(self) -> None:
        self.loudness = TARGET_RMS
        self.quiet = 0
        self.oldest = 0  # which memory is emptied next
        self.hidden = np.zeros((2, MEMORIES, 128), np.float32)
        self.context = np.zeros(CONTEXT, np.float32)


class SileroDetector:
    """One ONNX session shared by all streams.

    Raises:
        ModelError: the package or its model file is missing.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A spinning pool would burn a core between ticks.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(_model_path()), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises classes of its own, undocumented
            raise ModelError(f"the Silero VAD model cannot be loaded: {error}") from error
        self._rate = np.array(SAMPLE_RATE, np.int64)

    def new_state(self) -> DetectorState:
        """A stream that has heard only silence."""
        return _State()

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`."""
        mine = [state for state in states if isinstance(state, _State)]
        assert len(mine) == len(states), "states come from this detector's new_state()"
        assert windows.shape == (len(states), WINDOW)
        levelled, loudness = level(windows, np.array([state.loudness for state in mine], np.float32))
        contexts = np.stack([state.context for state in mine])
        heard = np.concatenate([contexts, levelled], axis=1)
        probability, hidden = self._session.run(
            None,
            {
                "input": np.repeat(heard, MEMORIES, axis=0),
                "state": np.concatenate([state.hidden for state in mine], axis=1),
                "sr": self._rate,
            },
        )
        judged = [float(p) for p in probability.reshape(-1, MEMORIES).mean(axis=1)]
        for i, state in enumerate(mine):
            state.hidden = hidden[:, i * MEMORIES : (i + 1) * MEMORIES].copy()
            state.context = levelled[i, -CONTEXT:].copy()
            state.loudness = float(loudness[i])
            state.quiet = state.quiet + 1 if judged[i] < QUIET_PROBABILITY else 0
            if state.quiet >= QUIET_WINDOWS:
                state.quiet = 0
                state.hidden[:, state.oldest] = 0
                state.oldest = (state.oldest + 1) % MEMORIES
        return judged


def _model_path() -> Path:
    # find_spec locates the package without importing it: the import would pull torch in, and seconds.
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise ModelError("the package silero-vad is missing: pip install silero-vad")
    path = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    if not path.is_file():
        raise ModelError(f"the package silero-vad has no {path.name}: reinstall it")
    return path
