"""How busy the GPUs are and what their memory holds, by NVML; nothing where there is no GPU.

The package ``nvidia-ml-py`` (extra ``gpu``) talks to the driver. Without the package, the driver or a GPU
there is one line in the log, at level debug, and no reading ever.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["GpuMonitor", "GpuReading"]

log = logging.getLogger(__name__)

CACHE_S = 1.0
"""NVML itself averages over a second or less; several scrapers do not ask the driver more often."""

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment."""

    index: int
    """As ``nvidia-smi`` counts."""
    mem_used_mb: float
    mem_total_mb: float
    utilization_pct: float | None
    """Share of the last moments in which anything ran on it; None where the device does not tell (a slice of
    one does not)."""


class GpuMonitor:
    """Reads all GPUs of the machine. :meth:`read` may be called from any thread.

    Args:
        load: gives the module ``pynvml``; raises where there is none.
    """

    def __init__(
        self,
        load: Callable[[], Any] = lambda: importlib.import_module("pynvml"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._nvml: Any = None
        self._devices: list[Any] | None = None  # None until they were looked for
        self._readings: list[GpuReading] = []
        self._read_at = 0.0

    def read(self) -> list[GpuReading]:
        """One reading a GPU, at most ``CACHE_S`` old. Blocks for some milliseconds, at first for longer."""
        with self._lock:
            if self._devices is None:
                self._devices = self._find()
                self._read_at = self._clock() - CACHE_S
            if self._devices and self._clock() - self._read_at >= CACHE_S:
                self._read_at = self._clock()
                self._readings = [
                    reading
                    for index, device in enumerate(self._devices)
                    if (reading := self._ask(index, device))
                ]
            return self._readings

    def _find(self) -> list[Any]:
        try:
            nvml = self._nvml = self._load()
            nvml.nvmlInit()
            return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        except Exception as error:  # no package, no driver, no permission: NVML raises a class for each
            log.debug("no GPU metrics: %s: %s", type(error).__name__, error)
            return []

    def _ask(self, index: int, device: Any) -> GpuReading | None:
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(device)
        except Exception:  # the device has fallen off the bus, or is being reset
            return None
        try:
            utilization = float(self._nvml.nvmlDeviceGetUtilizationRates(device).gpu)
        except Exception:
            utilization = None
        return GpuReading(index, memory.used / MEBIBYTE, memory.total / MEBIBYTE, utilization)
