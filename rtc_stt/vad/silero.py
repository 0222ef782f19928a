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


class _State(DetectorState):
    __slots__ = ("context", "hidden", "loudness")

    def __init__(self) -> None:
        self.loudness = TARGET_RMS
        self.hidden = np.zeros((2, 128), np.float32)
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
        hidden = np.stack([state.hidden for state in mine], axis=1)
        probability, hidden = self._session.run(
            None,
            {
                "input": np.concatenate([contexts, levelled], axis=1),
                "state": hidden,
                "sr": self._rate,
            },
        )
        judged = [float(p) for p in probability[:, 0]]
        for i, state in enumerate(mine):
            state.hidden = hidden[:, i]
            state.context = levelled[i, -CONTEXT:].copy()
            state.loudness = float(loudness[i])
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
