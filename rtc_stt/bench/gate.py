"""Has something become worse? Figures of now against a committed baseline. Pure.

CPU time is not compared in milliseconds but as a ratio to a fixed piece of work that was done just before and
just after it (:mod:`rtc_stt.bench.calibration`): a slow machine is slow at both. Where that piece of work did
not always take the same, the machine was no place to measure, and there is no verdict.

::

    the calibration's CPU time wavers            nothing is judged     no verdict
    others took the core from the calibration    nothing is judged     no verdict
    a figure is over its tolerance               it is named           worse
    a figure is not in the baseline              it is named           no verdict
    else                                                               passed
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rtc_stt.errors import ConfigError

__all__ = [
    "FEWEST_RUNS", "Check", "Expected", "Judgement", "Kind", "Reading", "Verdict", "compare", "make_baseline",
    "read_baseline", "waver",
]  # fmt: skip

FORM = 1
"""Of the baseline's file."""

MOST_WAVER = 1.25
"""So much longer may the slowest calibration of a run take than the fastest, in CPU time."""

MOST_CROWDED = 1.25
"""So much longer may a calibration take by the clock than in CPU time. Beyond it others had the core, and
what they left in the caches made CPU times longer as well, ten times and more, and not all of them alike."""

LEAST_TOLERANCE = 1.15
"""No figure is held to less: another build of a library makes as much."""

FEWEST_RUNS = 3
"""Of a baseline."""

SPREADS = 2.5
"""A tolerance is so many times the largest distance that was seen between one run and the median of all."""


class Kind(enum.StrEnum):
    """What a figure is compared as."""

    CPU = "cpu"
    """Time of work: as a ratio to the calibration."""
    CLOCK = "clock"
    """Time that is mostly waited for audio to be spoken, which no machine makes faster: as it is."""
    SIZE = "size"
    """As it is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure of one run."""

    kind: Kind
    value: float
    """In its unit."""
    unit: str
    compared: float
    """What is held against the baseline: the value, or its ratio to the calibration."""

    def to_json(self) -> dict[str, Any]:
        """By name."""
        return {
            "kind": str(self.kind),
            "value": self.value,
            "unit": self.unit,
            "compared": round(self.compared, 5),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One run."""

    readings: Mapping[str, Reading]
    calibration_cpu_ms: Sequence[float]
    """Of the calibrations in each round, in the order of time."""
    calibration_wall_ms: Sequence[float]

    @property
    def crowded(self) -> float:
        """How much longer the calibrations took by the clock than in CPU time, the median of them."""
        return median(
            wall / cpu for wall, cpu in zip(self.calibration_wall_ms, self.calibration_cpu_ms, strict=True)
        )

    @property
    def is_steady(self) -> bool:
        """Whether all of it can be judged."""
        return waver(self.calibration_cpu_ms) <= MOST_WAVER and self.crowded <= MOST_CROWDED

    def to_json(self) -> dict[str, Any]:
        """By name."""
        return {
            "figures": {name: reading.to_json() for name, reading in self.readings.items()},
            "calibration": {
                "cpu_ms": [round(ms, 2) for ms in self.calibration_cpu_ms],
                "wall_ms": [round(ms, 2) for ms in self.calibration_wall_ms],
                "waver": round(waver(self.calibration_cpu_ms), 3),
                "crowded": round(self.crowded, 3),
            },
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """What the baseline says of a figure."""

    compared: float
    tolerance: float
    """A figure is worse where it is more than so many times :attr:`compared`."""


class Verdict(enum.Enum):
    """What a comparison comes to. The value is the exit code."""

    PASSED = 0
    WORSE = 1
    NONE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and why."""

    verdict: Verdict
    worse: tuple[str, ...] = ()
    """A sentence for each figure that is."""
    not_judged: tuple[str, ...] = ()
    """Sentences: what was not, and why."""
    better: tuple[str, ...] = ()
    """A sentence for each figure that is so much better that the baseline should be written anew."""


def waver(milliseconds: Sequence[float]) -> float:
    """The longest over the shortest."""
    return max(milliseconds) / min(milliseconds)


def compare(check: Check, baseline: Mapping[str, Expected]) -> Judgement:
    """Judge a run. What is in the baseline must have been measured; what is not in it is told."""
    if not check.is_steady:
        return Judgement(Verdict.NONE, not_judged=_why(check))
    worse, better = [], []
    for name, expected in baseline.items():
        reading = check.readings.get(name)
        if reading is None:
            worse.append(f"{name}: was not measured")
        elif (times := _times(reading.compared, expected.compared)) > expected.tolerance:
            worse.append(
                f"{name}: {times:.2f} times what it was (at most {expected.tolerance:.2f}); "
                f"{reading.value:g} {reading.unit} here"
            )
        elif times < 1 / expected.tolerance:
            better.append(f"{name}: {times:.2f} times what it was")
    not_judged = [f"{name}: not in the baseline" for name in check.readings if name not in baseline]
    verdict = Verdict.WORSE if worse else Verdict.NONE if not_judged else Verdict.PASSED
    return Judgement(verdict, tuple(worse), tuple(not_judged), tuple(better))


def _why(check: Check) -> tuple[str, ...]:
    """Why nothing is judged."""
    told = []
    if (unsteady := waver(check.calibration_cpu_ms)) > MOST_WAVER:
        told.append(
            f"the machine is unsteady: the same work took {unsteady:.2f} times as long at another moment "
            f"(at most {MOST_WAVER:g})"
        )
    if check.crowded > MOST_CROWDED:
        told.append(
            f"others had the core: work took {check.crowded:.2f} times its CPU time "
            f"(at most {MOST_CROWDED:g})"
        )
    return tuple(told)


def _times(now: float, before: float) -> float:
    return now / before


def make_baseline(checks: Sequence[Check]) -> dict[str, Any]:
    """The baseline of some runs, fit for JSON: medians, and tolerances that come from how they differ.

    Raises:
        ConfigError: fewer than three steady runs.
    """
    checks, all_of_them = [check for check in checks if check.is_steady], checks
    if len(checks) < FEWEST_RUNS:
        wavers = ", ".join(f"{waver(check.calibration_cpu_ms):.2f}" for check in all_of_them)
        crowds = ", ".join(f"{check.crowded:.2f}" for check in all_of_them)
        raise ConfigError(
            f"{len(checks)} steady runs say nothing of how much they differ: at least {FEWEST_RUNS}. The "
            f"calibrations wavered by {wavers} (at most {MOST_WAVER:g}), and by the clock took {crowds} "
            f"times their CPU time (at most {MOST_CROWDED:g}): try again on a quiet machine"
        )
    figures = {}
    for name, first in checks[0].readings.items():
        seen = [check.readings[name].compared for check in checks]
        middle = median(seen)
        spread = max(max(value / middle, middle / value) for value in seen) - 1
        figures[name] = {
            "kind": str(first.kind),
            "compared": round(middle, 5),
            "spread": round(spread, 4),
            "tolerance": round(max(LEAST_TOLERANCE, 1 + SPREADS * spread), 3),
            "value": round(median(check.readings[name].value for check in checks), 3),
            "unit": first.unit,
        }
    return {"measurement": "check", "form": FORM, "runs": len(checks), "figures": figures}


def read_baseline(told: object) -> dict[str, Expected]:
    """The baseline from its JSON.

    Raises:
        ConfigError: it is none.
    """
    try:
        assert isinstance(told, dict)
        if told["form"] != FORM:
            raise ConfigError(f"the baseline has form {told['form']}, not {FORM}: write it anew")
        expected = {
            str(name): Expected(float(figure["compared"]), float(figure["tolerance"]))
            for name, figure in told["figures"].items()
        }
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"this is no baseline ({type(error).__name__}: {error}); write one with --write-baseline"
        ) from error
    for name, figure in expected.items():
        if not (0 < figure.compared < float("inf") and 1 <= figure.tolerance < float("inf")):
            raise ConfigError(f"the baseline's {name} cannot be: {figure}")
    return expected
