"""Notes what a decode pool does, call by call, as the simulation tells it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.simulation.calls import Asked, Call

__all__ = ["CallTrace"]


@dataclass(slots=True)
class _Run:
    """A call that is under way."""

    tier: Tier
    began: float
    requests: tuple[Asked, ...]
    left: int


@dataclass
class CallTrace(Instrument):
    """The instrument of the pool that is watched."""

    clock: Callable[[], float] = time.monotonic
    calls: list[Call] = field(default_factory=list)
    steps: list[tuple[float, Step]] = field(default_factory=list)
    """Changes of the ladder, and when they were."""
    _begun: list[tuple[DecodeRequest, float]] = field(default_factory=list)
    _running: dict[tuple[str, int, int, Tier], _Run] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget what is done."""
        self.calls.clear()
        self.steps.clear()

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        """See :class:`Instrument`. All those of a call come before its :meth:`batch_started`."""
        self._begun.append((request, queued_s))

    def batch_started(self, tier: Tier, size: int) -> None:
        """See :class:`Instrument`."""
        begun, self._begun = self._begun, []
        asked = tuple(Asked(one.urgency, one.duration_ms / 1000, queued_s) for one, queued_s in begun)
        run = _Run(tier, self.clock(), asked, size)
        self._running |= {request.key: run for request, _ in begun}

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """See :class:`Instrument`."""
        run = self._running.pop(answer.request.key, None)
        if run is None:
            return
        run.left -= 1
        if not run.left:
            self.calls.append(Call(run.tier, run.began, infer_s, run.requests))

    def load_changed(self, before: Step, step: Step) -> None:
        """See :class:`Instrument`."""
        self.steps.append((self.clock(), step))
