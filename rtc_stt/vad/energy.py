"""A detector by loudness alone: for tests and the poorest machines, not for real rooms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtc_stt.vad.detector import DetectorState

__all__ = ["EnergyDetector"]


class EnergyDetector:
    """Speech is what is louder than ``threshold_db`` (RMS, relative to full scale)."""

    def __init__(self, threshold_db: float = -40.0) -> None:
        self._threshold_db = threshold_db

    def new_state(self) -> DetectorState:
        """Loudness has no memory."""
        return DetectorState()

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        """See :class:`rtc_stt.vad.detector.Detector`. A logistic of the loudness, 0.5 at the threshold."""
        rms = np.sqrt(np.mean(np.square(windows), axis=1))
        db = 20 * np.log10(np.maximum(rms, 1e-9))
        return [float(p) for p in 1 / (1 + np.exp(-(db - self._threshold_db) / 2))]
