"""The short run of the regression gate: what our hot paths cost, each beside the calibration.

Calibration and work take turns, so that a moment in which the machine is slow falls on both; a figure is the
median over the rounds. The turns at the end are spoken in real time by the demo in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Samples
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.calibration import Calibration, Clock, Taken, measure, now
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.gate import Check, Kind, Reading
from rtc_stt.bench.result import rss_bytes
from rtc_stt.bench.voice import MakeSpeech, Voice, latencies, silence
from rtc_stt.decode_pool import Engine
from rtc_stt.demo_models import FAST
from rtc_stt.engines.model import Model
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.vad import SileroDetector

__all__ = ["FIGURES", "MakeReceive", "Plan", "Work", "decoding", "listening", "run", "steps", "work_figures"]

FIGURES = (
    "decode_partial_3_s", "decode_final_3_s", "vad_window", "log_mel_3_s", "receive_packet",
    "turn_ttfs_less_hangover", "turn_ttfp", "resident_memory",
)  # fmt: skip
"""What :func:`run` measures."""

PARTIAL_S = 3.0
WINDOWS = 64
"""Of the detector, in one go: two seconds."""

CALIBRATIONS, TIMES = 3, 3
"""How often each piece of work is done in a round."""

REST_S = 1.0
"""Of silence around a turn: longer than the hangover."""

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Work:
    """Something that is done ``count`` times by one call."""

    name: str
    call: Callable[[], object]
    count: int = 1
    unit: str = "ms CPU"


class Calibrates(Protocol):
    """:class:`~rtc_stt.bench.calibration.Calibration`, or who stands in for it."""

    def run(self, times: int) -> Taken:
        """Do the fixed work so many times."""
        ...


MakeReceive = Callable[[Samples], Work]
"""The receive path of live audio, as the work of bringing it 16 kHz mono, shape ``(n,)``, as packets."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done. A minute in all."""

    rounds: int = 15
    turns: int = 6
    clips: Path = recordings.CLIPS


def steps(plan: Plan) -> int:
    """How many times ``tick`` is called."""
    return plan.rounds + plan.turns


def run(
    plan: Plan,
    make_engine: Callable[[], Engine],
    make_receive: MakeReceive,
    make_speech: MakeSpeech,
    tick: Callable[[], object],
) -> Check:
    """Measure everything.

    Args:
        make_engine: loads the fast demo model.

    Raises:
        BadAudio: the folder has no clips.
    """
    clips = recordings.load("clean", limit=plan.turns, folder=plan.clips)
    audio = np.concatenate([clip.audio() for clip in clips[:2]])
    works = [*decoding(make_engine(), audio), *listening(audio), make_receive(audio)]
    check = work_figures(Calibration(clips[0].audio()), works, plan.rounds, tick)
    spoken = asyncio.run(_turns(clips, make_speech, tick))
    memory = round(rss_bytes() / MIB, 1)
    whole = {
        **check.readings,
        **{name: Reading(Kind.CLOCK, ms, "ms", ms) for name, ms in spoken.items()},
        "resident_memory": Reading(Kind.SIZE, memory, "MiB", memory),
    }
    return Check(whole, check.calibration_cpu_ms, check.calibration_wall_ms)


def decoding(engine: Engine, audio: Samples) -> list[Work]:
    """A partial of 3 s, and the final of the same."""
    kinds = {"decode_partial_3_s": Urgency.PARTIAL, "decode_final_3_s": Urgency.FINAL}
    piece = audio[: round(PARTIAL_S * SAMPLE_RATE)]
    requests = {
        name: DecodeRequest("gate", 1, 1, Tier.FAST, urgency, piece, 0, language="en")
        for name, urgency in kinds.items()
    }
    return [Work(name, partial(engine.decode, request)) for name, request in requests.items()]


def listening(audio: Samples) -> list[Work]:
    """The detector, a window at a time, and the features of 3 s."""
    detector = SileroDetector()
    windows = audio[: WINDOWS * WINDOW].reshape(WINDOWS, 1, WINDOW)

    def detect() -> None:
        states = [detector.new_state()]
        for window in windows:
            detector.detect(states, window)

    model = Model(FAST.path, FAST.name, device="cpu", compute_type="int8", cpu_threads=1)
    piece = audio[: round(PARTIAL_S * SAMPLE_RATE)]
    return [
        Work("vad_window", detect, WINDOWS),
        Work("log_mel_3_s", partial(model.features, piece)),
    ]


def work_figures(
    calibration: Calibrates,
    works: Sequence[Work],
    rounds: int,
    tick: Callable[[], object],
    clock: Clock = now,
) -> Check:
    """Each work between two calibrations, over and over.

    What is told of the calibrations is the median of each round: a moment's hiccup is no unsteady machine.
    """
    by_round: list[Taken] = []
    taken: dict[str, list[float]] = {work.name: [] for work in works}
    ratios: dict[str, list[float]] = {work.name: [] for work in works}
    for _ in range(rounds):
        calibrations = [calibration.run(CALIBRATIONS)]
        for work in works:
            before = calibrations[-1].cpu_ms
            took_ms = measure(work.call, TIMES, clock).cpu_ms / work.count
            calibrations.append(calibration.run(CALIBRATIONS))
            taken[work.name].append(took_ms)
            ratios[work.name].append(2 * took_ms / (before + calibrations[-1].cpu_ms))
        by_round.append(
            Taken(median(one.cpu_ms for one in calibrations), median(one.wall_ms for one in calibrations))
        )
        tick()
    readings = {
        work.name: Reading(Kind.CPU, round(median(taken[work.name]), 4), work.unit, median(ratios[work.name]))
        for work in works
    }
    return Check(readings, [one.cpu_ms for one in by_round], [one.wall_ms for one in by_round])


async def _turns(
    clips: Sequence[Clip], make_speech: MakeSpeech, tick: Callable[[], object]
) -> Mapping[str, float]:
    """The medians of some turns, one after the other, in one session."""
    audio = [clip.audio() for clip in clips]
    speech = make_speech(Instrument(), {})
    try:
        voice = Voice(speech)
        for clip, samples in zip(clips, audio, strict=True):
            await voice.say(silence(REST_S))
            await voice.say_clip(clip, samples)
            tick()
        await voice.say(silence(REST_S))
        await voice.leave()
    finally:
        await speech.aclose()
    figures: dict[str, Any] = latencies([voice])
    names = {"turn_ttfs_less_hangover": "ttfs_less_hangover_ms", "turn_ttfp": "ttfp_ms"}
    return {name: figures[key]["p50"] for name, key in names.items() if "p50" in figures[key]}
