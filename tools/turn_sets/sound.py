"""Speech laid out on a grid of 5 ms, so that its true times are whole milliseconds and exact.

Every piece of sound is cut and placed at whole windows of 5 ms: the first and the last window within so many
dB of the loudest of its turn are where it begins and ends, in the piece as in the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.turns.scene import Pause, SpokenWord, Turn
from tools.demo_models.audio import rms, speech_bounds, window_power
from tools.demo_models.voices import Speech, Word

GRID_MS = 5
GRID = SAMPLE_RATE * GRID_MS // 1000
MARGIN_MS = 20
"""What is kept around the sound, fading: it is too soft to count, but cutting it off would click."""

ROOM_FLOOR = 2e-5
"""RMS, under one step of 16 bits: no microphone gives digital silence."""

BELOW_PEAK_DB = 40.0
"""Where a clean voice begins and ends. Recordings of people have a floor of their own, and say so."""


@dataclass(frozen=True)
class Spoken:
    """What somebody says in one go, times in ms from its first sample, where its margin begins."""

    samples: Samples
    text: str
    start_ms: int
    end_ms: int
    words: tuple[SpokenWord, ...] = ()
    pauses: tuple[Pause, ...] = ()

    def at_level(self, dbfs: float) -> Spoken:
        """With an RMS of `dbfs` between start and end.

        The gain is a round number, so that a last bit of a sum that differs between two machines changes no
        sample.
        """
        loudness = rms(self.samples[_samples(self.start_ms) : _samples(self.end_ms)])
        gain = float(f"{10 ** (dbfs / 20) / loudness:.4g}")
        return replace(self, samples=(self.samples * np.float32(gain)).astype(np.float32))

    def turn(self, identifier: str, language: str, shift_ms: int) -> Turn:
        """The turn that it is where its first sample is at `shift_ms` of a scene."""
        return Turn(
            id=identifier,
            text=self.text,
            language=language,
            start_ms=self.start_ms + shift_ms,
            end_ms=self.end_ms + shift_ms,
            words=tuple(SpokenWord(w.word, w.start_ms + shift_ms, w.end_ms + shift_ms) for w in self.words),
            pauses=tuple(Pause(p.start_ms + shift_ms, p.end_ms + shift_ms) for p in self.pauses),
        )


def spoken(
    parts: Sequence[tuple[str, Speech]], gaps_ms: Sequence[int] = (), below_peak_db: float = BELOW_PEAK_DB
) -> Spoken:
    """Parts of one voice with exactly these gaps of silence between them, as one turn.

    `gaps_ms` are whole windows, one less than parts. Where words have times, all of them do.
    """
    peak = max(float(window_power(speech.samples).max()) for _, speech in parts)
    pieces: list[tuple[int, Samples]] = []
    words: list[SpokenWord] = []
    pauses: list[Pause] = []
    end = _samples(MARGIN_MS)
    for (_, speech), gap_ms in zip(parts, (0, *gaps_ms), strict=True):
        if gap_ms:
            pauses.append(Pause(_ms(end), _ms(end) + gap_ms))
        start = end + _samples(gap_ms)
        piece, first, length = _cut(speech.samples, below_peak_db, peak)
        pieces.append((start - _samples(MARGIN_MS), piece))
        end = start + length
        words += _words(speech.words or (), _ms(start) - first * 1000 / SAMPLE_RATE, _ms(start), _ms(end))
    samples = np.zeros(end + _samples(MARGIN_MS), np.float32)
    for at, piece in pieces:
        samples[at : at + len(piece)] += piece
    text = " ".join(text for text, _ in parts)
    return Spoken(samples, text, MARGIN_MS, _ms(end), tuple(words), tuple(pauses))


def lay(
    turns: Sequence[Spoken], lead_ms: int, gaps_ms: Sequence[int], tail_ms: int
) -> tuple[Samples, list[int]]:
    """Turns one after the other, `gaps_ms` from the end of each to the start of the next.

    Gives the samples and, for each, the ms at which its first sample is. All lengths are whole windows.
    """
    shifts: list[int] = []
    now = lead_ms
    for turn, gap_ms in zip(turns, (*gaps_ms, tail_ms), strict=True):
        shifts.append(now - turn.start_ms)
        now += turn.end_ms - turn.start_ms + gap_ms
    canvas = np.zeros(_samples(now), np.float32)
    for turn, shift in zip(turns, shifts, strict=True):
        at = _samples(shift)
        canvas[at : at + len(turn.samples)] += turn.samples
    return canvas, shifts


def with_floor(samples: Samples, generator: np.random.Generator) -> Samples:
    """In a very quiet room."""
    return (samples + generator.standard_normal(len(samples)) * ROOM_FLOOR).astype(np.float32)


def _cut(samples: Samples, below_peak_db: float, peak: float) -> tuple[Samples, int, int]:
    """The sound with its margins, where it began in `samples`, and how many samples it takes."""
    bounds = speech_bounds(samples, below_peak_db, peak)
    first, last = (round(bound * SAMPLE_RATE) for bound in bounds)
    margin = _samples(MARGIN_MS)
    padded = np.pad(samples, margin)
    piece = padded[first : last + 2 * margin].copy()
    fade = np.linspace(0, 1, margin, dtype=np.float32)
    piece[:margin] *= fade
    piece[-margin:] *= fade[::-1]
    return piece, first, last - first


def _words(words: Sequence[Word], shift_ms: float, start_ms: int, end_ms: int) -> list[SpokenWord]:
    """Word times in ms: the first begins and the last ends with the sound."""
    starts = [min(max(round(word.start * 1000 + shift_ms), start_ms), end_ms) for word in words]
    ends = [min(max(round(word.end * 1000 + shift_ms), start_ms), end_ms) for word in words]
    if words:
        starts[0], ends[-1] = start_ms, end_ms
    return [
        SpokenWord(word.text.strip(".,?!¿"), start, end)
        for word, start, end in zip(words, starts, ends, strict=True)
    ]


def _samples(ms: int) -> int:
    return ms * SAMPLE_RATE // 1000


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE
