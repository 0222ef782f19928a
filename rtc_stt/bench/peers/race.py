"""The run: one job after the other, each a system that is started, spoken to and ended.

Every round of every system is kept in a file of its own as soon as it is over, so that a run that was broken
off goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtc_stt.bench.peers.environments import Environment
from rtc_stt.bench.peers.merging import merge
from rtc_stt.bench.peers.recipe import OURS, PEERS, Job, jobs, threads_for
from rtc_stt.bench.peers.weights import Weights
from rtc_stt.bench.turns.result import Result, read, write
from rtc_stt.bench.turns.run import Plan, run
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.bench.turns.target import Target
from rtc_stt.bench.turns.targets.bridge import BridgeTarget
from rtc_stt.bench.turns.targets.webrtc import OverWebRtc
from rtc_stt.bench.turns.targets.websocket import OverWebSocket
from rtc_stt.errors import TargetFailed

__all__ = ["BrokenOff", "Race", "RaceSettings", "seconds_of", "systems"]

START_S = 10.0
"""About what starting and ending a system takes, and the scene that warms it."""

SCENE_S = 2.5
"""About what a scene takes beyond its audio: the wait for its final, and a second of settling."""


class BrokenOff(Exception):
    """Ctrl-C, or the time is over. What was finished is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceSettings:
    """What all systems have in common."""

    scenes: Sequence[Scene]
    weights: Weights
    systems: Sequence[str]
    sessions: Sequence[int]
    rounds: int
    cores: int
    language: str | None = "en"
    hangover_ms: int = 500
    patience_s: float = 10.0
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is played: folder, hash, sets."""
    commit: str = ""
    """Of this program: rounds of another are not mixed in."""

    def told(self) -> dict[str, Any]:
        """As a reader needs them, fit for JSON."""
        return {
            "models": self.weights.name,
            "cost_only": self.weights.cost_only,
            "language": self.language or "detected",
            "hangover_ms": self.hangover_ms,
            "patience_s": self.patience_s,
            "rounds": self.rounds,
            "cores": self.cores,
            "threads_of_a_decode": {str(n): threads_for(n, self.cores) for n in self.sessions},
            "data": dict(self.data),
        }

    @property
    def digest(self) -> str:
        """Another one where a round would not be comparable."""
        about = {**self.told(), "commit": self.commit, "scenes": [scene.id for scene in self.scenes]}
        del about["rounds"], about["threads_of_a_decode"]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]


def seconds_of(settings: RaceSettings, job: Job) -> float:
    """About how long a job takes: its speakers speak side by side."""
    spoken = sum(scene.turns[-1].end_ms for scene in settings.scenes) / 1000
    return START_S + spoken + SCENE_S * len(settings.scenes)


def systems(settings: RaceSettings, environments: Path) -> Callable[[Job], Target]:
    """What makes the system of a job.

    Args:
        environments: where those of the peers are.
    """

    def make_system(job: Job) -> Target:
        if ours := OURS.get(job.system):
            keys = settings.weights.configuration if ours.is_same_weights else {}
            kind = OverWebRtc if ours.transport == "webrtc" else OverWebSocket
            return kind(hangover_ms=settings.hangover_ms, configuration=keys)
        place = Environment(PEERS[job.system], environments)
        if not place.is_ready:
            raise TargetFailed(
                f"{job.system} is not installed: python -m rtc_stt.bench.peers install --peers {job.system}"
            )
        return BridgeTarget(
            argv=[str(place.python), str(place.script)],
            model=str(settings.weights.folder),
            hangover_ms=settings.hangover_ms,
            threads=threads_for(job.sessions, settings.cores),
            language=settings.language,
        )

    return make_system


class Race:
    """See above.

    Args:
        target: makes what a job measures.
        kept: the folder of finished rounds; those of other settings may be there too.
        make_loop: for another event loop than the usual one.
    """

    def __init__(
        self,
        settings: RaceSettings,
        *,
        target: Callable[[Job], Target],
        kept: Path,
        make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._settings = settings
        self._target = target
        self._make_loop = make_loop
        self._kept = kept / f"{settings.weights.name.replace(':', '-')}-{settings.digest}"
        self._was_stopped = False

    @property
    def jobs(self) -> list[Job]:
        """All, in order."""
        return jobs(self._settings.systems, self._settings.sessions, self._settings.rounds)

    @property
    def open(self) -> list[Job]:
        """Those that are not finished."""
        return [job for job in self.jobs if not self._file(job).exists()]

    def run(self, until: float, tick: Callable[[Job], object]) -> None:
        """Finish the open jobs.

        Args:
            until: no job is begun that would last longer, monotonic seconds.
            tick: called before each job, and not for the finished ones.

        Raises:
            BrokenOff: there are still open jobs.
            TargetFailed: a system does not start.
        """
        for job in self.open:
            if time.monotonic() + seconds_of(self._settings, job) > until:
                raise BrokenOff("the time is over")
            tick(job)
            try:
                with asyncio.Runner(loop_factory=self._make_loop) as runner:
                    result = runner.run(self._play(job))
            except TargetFailed as error:
                raise TargetFailed(f"{job.system}, {job.sessions} at a time: {error}") from error
            if self._was_stopped:
                raise BrokenOff("stopped")
            self._kept.mkdir(parents=True, exist_ok=True)
            unfinished = self._file(job).with_suffix(".part")
            write(unfinished, result)
            unfinished.rename(self._file(job))

    def results(self) -> dict[tuple[str, int], Result]:
        """What is finished, the rounds merged: by system and number of sessions."""
        by: dict[tuple[str, int], list[Result]] = {}
        for job in self.jobs:
            if self._file(job).exists():
                by.setdefault((job.system, job.sessions), []).append(read(self._file(job)))
        return {key: merge(rounds) for key, rounds in by.items()}

    def _file(self, job: Job) -> Path:
        return self._kept / f"{job.name}.json"

    async def _play(self, job: Job) -> Result:
        """One job. Ctrl-C ends it, and the run with it."""
        settings = self._settings
        plan = Plan(
            settings.scenes,
            speakers=job.sessions,
            hangover_ms=settings.hangover_ms,
            patience_s=settings.patience_s,
            language=settings.language,
            cost_only=settings.weights.cost_only,
            seed=1 + job.round,  # another order each round, and the same for all systems
            data=settings.data,
        )
        playing = asyncio.ensure_future(run(self._target(job), plan, lambda: None))

        def stop() -> None:
            self._was_stopped = True
            playing.cancel()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stop)
        try:
            return await playing
        except asyncio.CancelledError:
            raise BrokenOff("stopped") from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)
