"""What the encoder made of a batch, and some of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import ctranslate2
import numpy as np
import numpy.typing as npt

__all__ = ["Encoded"]


class Encoded:
    """Encoder output of a batch, shape ``(rows, positions, width)``."""

    def __init__(self, output: ctranslate2.StorageView) -> None:
        self._output = output
        self._array: npt.NDArray[np.float32] | None = None
        self._views: list[npt.NDArray[np.float32]] = []

    def rows(self, wanted: Sequence[int]) -> ctranslate2.StorageView:
        """These rows, for another call. All of them stay where they are; some are copied on the host."""
        if list(wanted) == list(range(self._output.shape[0])):
            return self._output
        if self._array is None:
            on_host = self._output.to_device(ctranslate2.Device.cpu)
            self._array = np.array(on_host.to(ctranslate2.DataType.float32))
        chosen = np.ascontiguousarray(self._array[list(wanted)])
        self._views.append(chosen)  # a StorageView does not own what it shows
        return ctranslate2.StorageView.from_array(chosen)
