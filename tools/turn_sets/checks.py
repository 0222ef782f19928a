"""What can be seen of a folder's times from its sound alone, by loudness and nothing else. Pure.

It finds times that are plainly wrong: in another unit, shifted, or of another file. It cannot say that they
are right to the millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.scene import Scene, Turn
from tools.demo_models.audio import window_power
from tools.turn_sets.sound import GRID_MS

LEAD_MS, TAIL_MS = 300, 200
"""Before the first turn and after the last: a detector needs to know how silence sounds, and the filter of a
codec to run empty."""

_LOUD_DB = 40.0
"""A word has something within so many dB of the loudest of its turn."""
_QUIET_DB = 20.0
"""Silence is everywhere so far below it."""
_INSIDE_MS, _AROUND_MS, _SLACK_MS = 60, 100, 20
"""How much is looked at inside and outside an edge; how far the edge may be off."""
_SMOOTH = 5  # windows

Power = npt.NDArray[np.float64]


def check(scene: Scene, samples: Samples) -> Iterator[str]:
    """What is wrong, in words. `samples` are the whole file, 16 kHz mono."""
    length_ms = len(samples) * 1000 // 16_000
    first, last = scene.turns[0].start_ms, scene.turns[-1].end_ms
    if first < LEAD_MS:
        yield f"{scene.id}: only {first} ms before the first turn; {LEAD_MS} are needed"
    if length_ms - last < TAIL_MS:
        yield f"{scene.id}: only {length_ms - last} ms after the last turn; {TAIL_MS} are needed"
    power = _power(samples)
    for turn in scene.turns:
        peak = _loudest(power, turn.start_ms, turn.end_ms)
        if peak <= 0:
            yield f"{turn.id}: there is no sound in it"
            continue
        yield from _inside(turn, power, peak)
        if not is_noisy(scene, samples):
            yield from _silences(turn, power, peak)


def is_noisy(scene: Scene, samples: Samples) -> bool:
    """Whether there is so much sound between its turns that loudness does not tell where they begin."""
    power = _power(samples)
    outside = np.ones(len(power), bool)
    for turn in scene.turns:
        outside[_window(turn.start_ms - _AROUND_MS) : _window(turn.end_ms + _AROUND_MS)] = False
    softest = min(_loudest(power, turn.start_ms, turn.end_ms) for turn in scene.turns)
    return bool(outside.any()) and float(np.percentile(power[outside], 90)) > softest * _ratio(_QUIET_DB)


def _power(samples: Samples) -> Power:
    power: Power = np.convolve(window_power(samples), np.ones(_SMOOTH) / _SMOOTH, "same")
    return power


def _inside(turn: Turn, power: Power, peak: float) -> Iterator[str]:
    """There is sound where somebody speaks."""
    floor = peak * _ratio(_LOUD_DB)
    if _loudest(power, turn.start_ms, turn.start_ms + _INSIDE_MS) < floor:
        yield f"{turn.id}: it begins at {turn.start_ms} ms, but the first {_INSIDE_MS} ms are silent"
    if _loudest(power, turn.end_ms - _INSIDE_MS, turn.end_ms) < floor:
        yield f"{turn.id}: it ends at {turn.end_ms} ms, but the last {_INSIDE_MS} ms are silent"
    for word in turn.words:
        if _loudest(power, word.start_ms, word.end_ms) < floor:
            yield f"{turn.id}: nothing is heard where a word is to be, {word.start_ms} to {word.end_ms} ms"


def _silences(turn: Turn, power: Power, peak: float) -> Iterator[str]:
    """There is none around, and none in a pause."""
    most = peak * _ratio(_QUIET_DB)
    silences = [
        ("before it begins", turn.start_ms - _AROUND_MS, turn.start_ms),
        ("after it has ended", turn.end_ms, turn.end_ms + _AROUND_MS),
        *(("in a pause", pause.start_ms, pause.end_ms) for pause in turn.pauses),
    ]
    for what, start, end in silences:
        if _loudest(power, start + _SLACK_MS, end - _SLACK_MS) > most:
            yield f"{turn.id}: somebody is heard between {start} and {end} ms, {what}"


def _loudest(power: Power, start_ms: int, end_ms: int) -> float:
    found = power[_window(start_ms) : max(_window(end_ms), _window(start_ms) + 1)]
    return float(found.max(initial=0.0))


def _window(ms: int) -> int:
    return max(0, ms // GRID_MS)


def _ratio(decibels: float) -> float:
    return float(10 ** (-decibels / 10))
