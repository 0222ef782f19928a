"""The scenes of people's voices: public-domain recordings, and strings of digits.

Times are from the loudness of the recording. Where no one knows when its words are spoken, none are given.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.turns.scene import Pause
from rtc_stt.media import read_audio
from tools.demo_models import fsdd
from tools.demo_models.audio import window_power
from tools.demo_models.clips import digits_left_over, join_digits
from tools.turn_sets import scripts
from tools.turn_sets.sound import GRID, GRID_MS, Spoken, lay, spoken
from tools.turn_sets.synthetic import Laid

DIGIT_STRINGS, DIGITS_EACH = 4, 4
DIGITS = "fsdd-test-speaker.tar.gz"

_LEVEL_DBFS = -28.0
_LEAD_MS, _TAIL_MS = 400, 400
_DIGITS_BELOW_PEAK_DB = 35.0
_SHORTEST_PAUSE_MS = 200
_DIGIT_GAP_MS = 120
_SMOOTH = 5  # windows: 25 ms, so that a click or a stop consonant is no end of anything
_CONTEXT_MS = 200  # of the recording's own room, before and after


@dataclass(frozen=True)
class Recording:
    """`below_peak_db` is between the voice and the noise of its room; after `cut_ms` others are heard."""

    name: str
    text: str
    below_peak_db: float
    cut_ms: int | None = None


RECORDINGS = (
    Recording("jfk", scripts.JFK, 26.0, 10_550),  # in a crowd, which begins to cheer
    *(Recording(name, text, 35.0) for name, text in scripts.LJ.items()),
)
COUNT = len(RECORDINGS) + DIGIT_STRINGS


def scene(folder: Path, number: int, identifier: str, rng: random.Random) -> Laid:
    """Raises FileNotFoundError where the folder lacks one of the recordings."""
    if number < len(RECORDINGS):
        turn = _recording(folder, RECORDINGS[number])
    else:
        turn = _digits(folder, number - len(RECORDINGS), rng)
    turn = turn.at_level(_LEVEL_DBFS)
    samples, [shift] = lay([turn], _LEAD_MS, [], _TAIL_MS)
    return samples, [turn.turn(f"{identifier}.1", "en", shift)]


def licence(number: int) -> str:
    if number < len(RECORDINGS):
        return "public domain"
    return "CC BY-SA 4.0 (Free Spoken Digit Dataset, Zohar Jackson et al.)"


def _recording(folder: Path, recording: Recording) -> Spoken:
    path = folder / f"{recording.name}.flac"
    if not path.is_file():
        raise FileNotFoundError(f"--human {folder}: there is no {path.name} in it")
    samples = np.concatenate(list(read_audio(path)))
    if recording.cut_ms:
        samples = samples[: recording.cut_ms * SAMPLE_RATE // 1000]
    loud = _loud(samples, recording.below_peak_db)
    first, last = max(0, loud[0] * GRID_MS - _CONTEXT_MS), (loud[-1] + 1) * GRID_MS + _CONTEXT_MS
    kept = _faded(samples[first * SAMPLE_RATE // 1000 : last * SAMPLE_RATE // 1000])
    pauses = tuple(
        Pause((before + 1) * GRID_MS - first, after * GRID_MS - first)
        for before, after in pairwise(loud)
        if (after - before - 1) * GRID_MS >= _SHORTEST_PAUSE_MS
    )
    start, end = loud[0] * GRID_MS - first, (loud[-1] + 1) * GRID_MS - first
    return Spoken(kept, recording.text, start, end, pauses=pauses)


def _loud(samples: Samples, below_peak_db: float) -> list[int]:
    """The windows in which somebody speaks."""
    power = np.convolve(window_power(samples), np.ones(_SMOOTH) / _SMOOTH, "same")
    return [int(index) for index in np.flatnonzero(power > power.max() * 10 ** (-below_peak_db / 10))]


def _faded(samples: Samples) -> Samples:
    whole = samples[: len(samples) // GRID * GRID].copy()
    fade = np.linspace(0, 1, 4 * GRID, dtype=np.float32)
    whole[: len(fade)] *= fade
    whole[-len(fade) :] *= fade[::-1]
    return whole


def _digits(folder: Path, number: int, rng: random.Random) -> Spoken:
    """Digits that are in no clip of `tests/clips`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            recordings = digits_left_over(fsdd.unpack([folder / DIGITS], Path(scratch)))
        except FileNotFoundError:
            raise FileNotFoundError(f"--human {folder}: there is no {DIGITS} in it") from None
        speech = join_digits(recordings[number * DIGITS_EACH : (number + 1) * DIGITS_EACH], rng)
    assert speech.words is not None
    text = " ".join(word.text for word in speech.words).capitalize() + "."
    turn = spoken([(text, speech)], below_peak_db=_DIGITS_BELOW_PEAK_DB)
    pauses = tuple(
        Pause(before.end_ms, after.start_ms)
        for before, after in pairwise(turn.words)
        if after.start_ms - before.end_ms >= _DIGIT_GAP_MS
    )
    return replace(turn, pauses=pauses)
