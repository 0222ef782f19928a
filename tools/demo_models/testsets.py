"""Development test sets: larger than the committed clips, made on each machine, not committed.

They served while the models were made, so believe numbers on them as an upper bound of accuracy.
All sentences are held out; in `seen_voices` and `flite` the voices are not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

from tools.demo_models import fsdd
from tools.demo_models.audio import Samples, from_pcm16, rms, silence, to_pcm16, with_peak
from tools.demo_models.augment import NOISES, TONES, add_noise, noise, nonspeech, telephone
from tools.demo_models.dataset import cut_short
from tools.demo_models.grammar import DIGITS, LANGUAGES, held_out_with_slots
from tools.demo_models.voices import (
    FliteVoice,
    Speech,
    held_out_voice,
    never_heard_voice,
    training_voice,
)

_SEED = 4242
_JOINED_SECONDS = 10.0
# Before augmentation knew tones, these gave text: kept as a set of their own.
_NONSPEECH_CLIPS = 100


@dataclass(frozen=True)
class Case:
    """`language` is what is spoken; `text` is empty where nothing is."""

    samples: Samples
    language: str
    text: str


def _framed(samples: Samples) -> Samples:
    return np.concatenate([silence(0.2), with_peak(samples, 0.5), silence(0.3)])


class _Maker:
    """One generator pair a set, so that `limit` and the order of the sets change nothing."""

    def __init__(self, name: str, digits: dict[str, list[tuple[int, Samples]]]) -> None:
        self.rng = random.Random(f"{_SEED} {name}")
        self.generator = np.random.default_rng([_SEED, *name.encode()])
        self.digits = digits

    def worse(self, samples: Samples) -> Samples:
        """5 to 15 dB of noise, every other time a telephone line."""
        sound = noise(len(samples), self.rng, self.generator, self.rng.choice(NOISES))
        noisy = add_noise(samples, sound, self.rng.uniform(5, 15), rms(samples))
        level = with_peak(noisy, 0.8)
        return telephone(level) if self.rng.random() < 0.5 else level

    def clean(self) -> Iterator[Case]:
        for text in held_out_with_slots("en"):
            voice = held_out_voice("en", self.rng)
            yield Case(_framed(voice.say(text).samples), "en", text)

    def noisy(self) -> Iterator[Case]:
        for case in self.clean():
            yield Case(self.worse(case.samples), "en", case.text)

    def seen_voices(self) -> Iterator[Case]:
        for text in held_out_with_slots("en")[::2]:
            yield Case(_framed(training_voice("en", self.rng).say(text).samples), "en", text)

    def flite(self) -> Iterator[Case]:
        for text in held_out_with_slots("en")[1::3]:
            name = self.rng.choice(["slt", "rms", "awb"])
            voice = FliteVoice(name, self.rng.uniform(0.85, 1.2), None)
            yield Case(_framed(voice.say(text).samples), "en", text)

    def flite_noisy(self) -> Iterator[Case]:
        for case in self.flite():
            yield Case(self.worse(case.samples), "en", case.text)

    def new_voices(self) -> Iterator[Case]:
        for text in held_out_with_slots("en")[::2]:
            yield Case(_framed(never_heard_voice(self.rng).say(text).samples), "en", text)

    def new_voices_noisy(self) -> Iterator[Case]:
        for case in self.new_voices():
            yield Case(self.worse(case.samples), "en", case.text)

    def several(self) -> Iterator[Case]:
        """Two or three sentences of one voice, up to 10 s."""
        made = 0
        while made < 100:
            voice = never_heard_voice(self.rng)
            texts = [self.rng.choice(held_out_with_slots("en")) for _ in range(self.rng.randint(2, 3))]
            parts = [silence(0.2)]
            for text in texts:
                spoken = with_peak(voice.say(text).samples, 0.5)
                parts += [spoken, silence(self.rng.uniform(0.15, 0.6))]
            case = Case(np.concatenate(parts), "en", " ".join(texts))
            if len(case.samples) <= _JOINED_SECONDS * 16_000:
                made += 1
                yield case

    def partial(self) -> Iterator[Case]:
        """Cut off while somebody speaks, as a streaming decode sees it."""
        for text in held_out_with_slots("en")[::2]:
            speech = held_out_voice("en", self.rng).say(text)
            samples, heard, _ = cut_short(speech, self.rng)
            yield Case(with_peak(samples, 0.5), "en", heard)

    def languages(self) -> Iterator[Case]:
        for language in LANGUAGES[1:]:
            for text in held_out_with_slots(language):
                speech: Speech = held_out_voice(language, self.rng).say(text)
                yield Case(_framed(speech.samples), language, text)

    def digits_one(self) -> Iterator[Case]:
        for speaker in sorted(self.digits):
            for digit, samples in self.digits[speaker]:
                framed = np.concatenate([silence(0.25), samples, silence(0.25)])
                yield Case(framed, "en", DIGITS[digit])

    def digits_one_noisy(self) -> Iterator[Case]:
        for index, case in enumerate(self.digits_one()):
            if index % 2 == 0:
                yield Case(self.worse(case.samples), "en", case.text)

    def digits_four(self) -> Iterator[Case]:
        for speaker in sorted(self.digits):
            for _ in range(150):
                parts, spoken = [silence(0.2)], []
                for _ in range(4):
                    digit, samples = self.rng.choice(self.digits[speaker])
                    parts += [samples, silence(self.rng.uniform(0.08, 0.3))]
                    spoken.append(DIGITS[digit])
                yield Case(np.concatenate(parts), "en", " ".join(spoken))

    def nonspeech(self) -> Iterator[Case]:
        for _ in range(_NONSPEECH_CLIPS):
            yield Case(nonspeech(self.rng, self.generator), "en", "")

    def tones(self) -> Iterator[Case]:
        """Dial tones, key pad, hold music, 2 to 8 s, and long digital silence."""
        for index in range(_NONSPEECH_CLIPS):
            count = int(16_000 * self.rng.uniform(2, 8))
            sound = noise(count, self.rng, self.generator, TONES[index % len(TONES)])
            level = 10 ** (self.rng.uniform(-40, -3) / 20)
            yield Case(with_peak(sound, level) if index % 10 else silence(10.0), "en", "")


_SETS: dict[str, Callable[[_Maker], Iterator[Case]]] = {
    "clean": _Maker.clean,
    "noisy": _Maker.noisy,
    "seen_voices": _Maker.seen_voices,
    "flite": _Maker.flite,
    "flite_noisy": _Maker.flite_noisy,
    "new_voices": _Maker.new_voices,
    "new_voices_noisy": _Maker.new_voices_noisy,
    "several": _Maker.several,
    "partial": _Maker.partial,
    "languages": _Maker.languages,
    "digits_one": _Maker.digits_one,
    "digits_one_noisy": _Maker.digits_one_noisy,
    "digits_four": _Maker.digits_four,
    "nonspeech": _Maker.nonspeech,
    "tones": _Maker.tones,
}
SET_NAMES = tuple(_SETS)


def write_test_sets(folder: Path, recordings: list[fsdd.Recording], limit: int | None = None) -> None:
    """`NAME.npz` (int16 audio) and `NAME.json` (language, text) of every set.

    `limit`: so many cases of each at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digits = fsdd.load(recordings, test_speakers=True)
    for name, make in tqdm(_SETS.items(), unit="set", desc="test sets"):
        cases = []
        for case in make(_Maker(name, digits)):
            cases.append(case)
            if limit and len(cases) >= limit:
                break
        np.savez(folder / f"{name}.npz", *[to_pcm16(case.samples) for case in cases])
        texts = [(case.language, case.text) for case in cases]
        (folder / f"{name}.json").write_text(json.dumps(texts, ensure_ascii=False), "utf-8")


def read_test_set(folder: Path, name: str) -> list[Case]:
    audio = np.load(folder / f"{name}.npz")
    texts = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return [
        Case(from_pcm16(audio[f"arr_{index}"]), language, text)
        for index, (language, text) in enumerate(texts)
    ]
