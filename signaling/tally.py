"""What became of the requests so far, and how long the last of them took: for ``/v1/metrics``. Pure."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["WINDOW", "Tally", "Window"]

WINDOW = 1_000
"""Requests whose times are remembered: ten of them are beyond the 99th percentile."""

MAX_KINDS = 64
"""Kinds of errors that are told apart. There are a score; more could only be a mistake of ours."""


class Window:
    """The last so many values."""

    def __init__(self, size: int = WINDOW) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """One more; the oldest may go."""
        self._values.append(value)

    def percentiles(self, wanted: Sequence[float]) -> list[float | None]:
        """By nearest rank: the least value that so many per cent do not exceed; None where there is none."""
        ordered = sorted(self._values)
        if not ordered:
            return [None for _ in wanted]
        return [ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)] for p in wanted]


class Tally:
    """Counts since the start, and windows of times by stage."""

    def __init__(self, window: int = WINDOW) -> None:
        self._size = window
        self._requests: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._exceptions: Counter[str] = Counter()
        self._fallback: Counter[str] = Counter({"used": 0, "skipped": 0, "failed": 0})
        self._stages: dict[str, Window] = {}

    def begun(self, endpoint: str) -> None:
        """A request has come."""
        self._requests[endpoint] += 1

    def answered(self, status: int) -> None:
        """It was answered."""
        self._classes[f"{status // 100}xx"] += 1

    def failed(self, kind: str) -> None:
        """By an error of this type."""
        self._exceptions[
            kind if kind in self._exceptions or len(self._exceptions) < MAX_KINDS else "other"
        ] += 1

    def fallback(self, result: str) -> None:
        """``used``, ``skipped`` or ``failed``."""
        self._fallback[result] += 1

    def took(self, stages: Mapping[str, float]) -> None:
        """A recording was transcribed; seconds by stage."""
        for stage, seconds in stages.items():
            self._stages.setdefault(stage, Window(self._size)).add(seconds)

    def snapshot(self) -> dict[str, Any]:
        """All of it, fit for JSON; times in ms."""
        return {
            "requests": {
                "total": sum(self._requests.values()),
                "by_endpoint": dict(self._requests),
                "by_status": dict(self._classes),
                "exceptions": dict(self._exceptions),
                "fallback": dict(self._fallback),
            },
            "latency_ms": {stage: _percentiles(window) for stage, window in self._stages.items()},
        }


def _percentiles(window: Window) -> dict[str, float | int | None]:
    p50, p95, p99 = (None if v is None else round(v * 1000, 1) for v in window.percentiles((50, 95, 99)))
    return {"count": len(window), "p50": p50, "p95": p95, "p99": p99}
