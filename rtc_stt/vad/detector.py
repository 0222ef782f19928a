"""What a voice activity detector is to the rest of the house."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Detector", "DetectorState"]


class DetectorState:
    """What a detector remembers of one stream. Opaque to everyone but the detector that made it."""


class Detector(Protocol):
    """Judges windows of many streams in one call. Called from one thread at a time."""

    def new_state(self) -> DetectorState:
        """The memory of a stream that begins."""
        ...

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> Sequence[float]:
        """One window for each of ``B`` different streams.

        Args:
            states: one a stream; advanced in place.
            windows: float32, shape ``(B, 512)``.

        Returns:
            ``B`` speech probabilities in [0, 1].
        """
        ...
