"""The parts of ``rtc-stt bench decode``, and the one result that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import cost, gpu, live, monologue, overload, quiet
from rtc_stt.bench.result import Outcome, provenance
from rtc_stt.bench.voice import MakeSpeech

__all__ = ["PARTS", "Job", "Settings", "jobs", "missed", "report"]

PARTS = ("cost", "live", "overload", "monologue", "quiet", "gpu")


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for."""

    make_speech: MakeSpeech
    models: Path
    """Where the models of true shape are kept."""
    clips: Path = recordings.CLIPS
    quick: bool = False
    """Everything in little: shows that it runs, and no figure worth quoting."""
    device: str = "cuda"
    """Of the part ``gpu``."""
    sessions: int | None = None
    """Of the part ``overload``."""


@dataclass(frozen=True, slots=True)
class Job:
    """A part that is ready to run."""

    name: str
    steps: int
    """How often it ticks, about."""
    run: Callable[[Callable[[], object]], Outcome]


def jobs(names: Sequence[str], settings: Settings) -> list[Job]:
    """The named parts in their order."""
    make = {
        "cost": _cost,
        "live": _live,
        "overload": _overload,
        "monologue": _monologue,
        "quiet": _quiet,
        "gpu": _gpu,
    }
    return [make[name](settings) for name in PARTS if name in names]


def report(outcomes: dict[str, Outcome], settings: Settings) -> dict[str, Any]:
    """The result as JSON: all marks first, then the figures of each part, then where they were made."""
    marks = {
        f"{name}.{mark.name}": mark.to_json() for name, outcome in outcomes.items() for mark in outcome.marks
    }
    figures = {name: dict(outcome.figures) for name, outcome in outcomes.items()}
    spoken = settings.clips if {"live", "overload", "monologue"} & outcomes.keys() else None
    return {
        "measurement": "decode",
        "quick": settings.quick,
        "marks": marks,
        **figures,
        "provenance": provenance(spoken),
    }


def missed(result: dict[str, Any]) -> list[str]:
    """Names of the marks that were not met; one that could not be measured is not met either."""
    return [name for name, mark in result["marks"].items() if not mark["met"]]


def _cost(settings: Settings) -> Job:
    shape, rounds = ("base", 2) if settings.quick else ("small", 9)
    return Job(
        "cost",
        cost.steps(rounds),
        lambda tick: cost.run(settings.models, shape=shape, rounds=rounds, tick=tick),
    )


def _live(settings: Settings) -> Job:
    short: dict[str, Any] = {"seconds": 6.0, "rounds": 1} if settings.quick else {}
    plan = live.Plan(clips=settings.clips, **short)
    return Job("live", live.steps(plan), lambda tick: live.run(plan, settings.make_speech, tick))


def _overload(settings: Settings) -> Job:
    short: dict[str, Any] = {"seconds": 12.0, "probe_s": 4.0, "visit_s": 6.0} if settings.quick else {}
    plan = overload.Plan(settings.models, clips=settings.clips, sessions=settings.sessions, **short)
    return Job("overload", overload.steps(plan), lambda tick: overload.run(plan, settings.make_speech, tick))


def _monologue(settings: Settings) -> Job:
    short: dict[str, Any] = {"seconds": 30.0, "part_s": 10.0} if settings.quick else {}
    plan = monologue.Plan(clips=settings.clips, **short)
    return Job(
        "monologue", monologue.steps(plan), lambda tick: monologue.run(plan, settings.make_speech, tick)
    )


def _quiet(settings: Settings) -> Job:
    seconds = 30.0 if settings.quick else 600.0
    return Job("quiet", quiet.steps(seconds), lambda tick: quiet.run(seconds, settings.make_speech, tick))


def _gpu(settings: Settings) -> Job:
    plan = gpu.plan_for(settings.device, quick=settings.quick)
    return Job("gpu", gpu.steps(plan), lambda tick: gpu.run(plan, settings.models, tick))
