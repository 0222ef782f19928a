"""What became of the requests so far, and how long the last of them took: for ``/v1/metrics``. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rtc_stt.percentiles import Percentiles, RollingPercentiles

__all__ = ["Tally"]

MAX_KINDS = 64
"""Kinds of errors that are told apart. There are a score; more could only be a mistake of ours."""


class Tally:
    """Counts since the start, and times of the newest transcripts by stage."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._exceptions: Counter[str] = Counter()
        self._fallback: Counter[str] = Counter({"used": 0, "skipped": 0, "failed": 0})
        self._stages: dict[str, RollingPercentiles] = {}

    def begun(self, endpoint: str) -> None:
        """A request has come."""
        self._requests[endpoint] += 1

    def answered(self, status: int) -> None:
        """It was answered."""
        self._classes[f"{status // 100}xx"] += 1

    def failed(self, kind: str) -> None:
        """By an error of this type."""
        is_known = kind in self._exceptions or len(self._exceptions) < MAX_KINDS
        self._exceptions[kind if is_known else "other"] += 1

    def fallback(self, result: str) -> None:
        """``used``, ``skipped`` or ``failed``."""
        self._fallback[result] += 1

    def took(self, stages: Mapping[str, float]) -> None:
        """A recording was transcribed; seconds by stage."""
        for stage, seconds in stages.items():
            self._stages.setdefault(stage, RollingPercentiles()).add(seconds * 1000)

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
            "latency_ms": {stage: _rounded(values.summary()) for stage, values in self._stages.items()},
        }


def _rounded(told: Percentiles) -> dict[str, float | int | None]:
    return {name: value and round(value, 1) for name, value in asdict(told).items()}
