"""Human digits: the Free Spoken Digit Dataset (Zohar Jackson et al., CC BY-SA 4.0)."""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.demo_models.audio import SAMPLE_RATE, Samples, read_wav, silence, warp, with_peak
from tools.demo_models.grammar import DIGITS
from tools.demo_models.voices import Speech, Word

# Named here so that a folder with the whole data set in it can be handed in without leaking them
# into training.
TEST_SPEAKERS = frozenset({"theo", "yweweler"})


@dataclass(frozen=True)
class Recording:
    speaker: str
    digit: int
    path: Path

    def samples(self, peak: float = 0.5) -> Samples:
        return with_peak(read_wav(self.path), peak)


def unpack(sources: Iterable[Path], into: Path) -> list[Recording]:
    """Recordings `{digit}_{speaker}_{n}.wav` of folders and .tar.gz archives.

    Raises FileNotFoundError for a source that is not there.
    """
    recordings: list[Recording] = []
    for source in sources:
        folder = source
        if source.is_file():
            folder = into / source.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
            if not folder.is_dir():
                folder.mkdir(parents=True)
                with tarfile.open(source) as archive:
                    archive.extractall(folder, filter="data")
        elif not source.is_dir():
            raise FileNotFoundError(f"--fsdd {source}: no such folder or archive")
        for path in sorted(folder.rglob("[0-9]_*_*.wav")):
            digit, speaker, _ = path.stem.split("_")
            recordings.append(Recording(speaker, int(digit), path))
    return recordings


def load(recordings: Iterable[Recording], *, test_speakers: bool) -> dict[str, list[tuple[int, Samples]]]:
    """Digits by speaker: the test speakers' or everybody else's."""
    by_speaker: dict[str, list[tuple[int, Samples]]] = {}
    for recording in recordings:
        if (recording.speaker in TEST_SPEAKERS) == test_speakers:
            digits = by_speaker.setdefault(recording.speaker, [])
            digits.append((recording.digit, recording.samples()))
    return by_speaker


def digit_string(speakers: dict[str, list[tuple[int, Samples]]], count: int, rng: random.Random) -> Speech:
    """`count` digits of one speaker, warped a little as one, with gaps of 20 to 350 ms."""
    digits = speakers[rng.choice(sorted(speakers))]
    factor = rng.uniform(0.85, 1.18)
    parts: list[Samples] = []
    words: list[Word] = []
    now = 0.0
    for index in range(count):
        digit, samples = rng.choice(digits)
        warped = (warp(samples, factor) * rng.uniform(0.6, 1.2)).astype(np.float32)
        text = DIGITS[digit].capitalize() if index == 0 else DIGITS[digit]
        end = now + len(warped) / SAMPLE_RATE
        words.append(Word(text + ("." if index == count - 1 else ""), now, end))
        parts.append(warped)
        now = end
        if index < count - 1:
            parts.append(silence(rng.uniform(0.02, 0.35)))
            now += len(parts[-1]) / SAMPLE_RATE
    return Speech(np.concatenate(parts), tuple(words))
