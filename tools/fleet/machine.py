"""How much of the machine was used, by everybody on it (Linux)."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["Cores", "cpu_seconds"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _busy_s() -> float:
    """Of all cores since the start: all that is not idle (proc_stat(5))."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields)
    return (user + nice + system + irq + soft + steal) * TICK_S


class Cores:
    """From now on."""

    def __init__(self) -> None:
        self._begun, self._busy = time.monotonic(), _busy_s()

    def used(self) -> dict[str, float]:
        """Cores that were busy, on average, and how many there are."""
        busy = (_busy_s() - self._busy) / (time.monotonic() - self._begun)
        return {"busy": round(busy, 2), "there": float(os.cpu_count() or 1)}


def cpu_seconds(pid: int) -> float:
    """Of one process so far, user and system.

    Raises:
        OSError: it is gone.
    """
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S
