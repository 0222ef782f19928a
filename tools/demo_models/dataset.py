"""Training data: shards of log-mel features with their labels.

A shard is `NAME.npy` (frames of all its clips after each other, 80 float16 log-mel bands) and
`NAME.json` (a list of clip labels). Features come from faster-whisper's own extractor, so training
sees what decoding will see. Each shard has its own seed: the same shard number gives the same
clips, however many processes share the work.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

from tools.demo_models import fsdd
from tools.demo_models.audio import SAMPLE_RATE, Samples, silence, with_peak
from tools.demo_models.augment import Channel, nonspeech
from tools.demo_models.grammar import LANGUAGES, all_held_out, sentence, word_salad
from tools.demo_models.voices import Speech, Voice, training_voice

CLIPS_PER_SHARD = 500
LONGEST_SECONDS = 12.0
# Several sentences end here: clips of several sentences beyond it were never learnt in any mode.
_LONGEST_JOINED_SECONDS = 10.0
_SHORTEST_SECONDS = 0.2

NONSPEECH_SHARE, HUMAN_SHARE, ENGLISH_SHARE = 0.06, 0.13, 0.68
SALAD_SHARE, CUT_SHARE = 0.17, 0.27
Digits = dict[str, list[tuple[int, Samples]]]


@dataclass(frozen=True)
class Label:
    """What is said in one clip of a shard.

    `segments` are (text, start, end) in seconds. `phones` are (phoneme, start); None where no
    engine told them. `offset` and `frames` say where the clip's features lie in the shard.
    """

    language: str
    segments: list[tuple[str, float, float]]
    phones: list[tuple[str, float]] | None
    offset: int = 0
    frames: int = 0


def cut_short(speech: Speech, rng: random.Random) -> tuple[Samples, str, float]:
    """What a streaming decode sees before the speaker is done: (samples, text, seconds).

    Audio up to a random moment, and the words of which at least 85 % were heard, without final
    punctuation.
    """
    assert speech.words is not None
    moment = rng.uniform(0.25, max(0.3, speech.words[-1].end))
    heard = [w.text for w in speech.words if w.start + 0.85 * (w.end - w.start) <= moment]
    text = " ".join(heard)
    if heard and len(heard) < len(speech.words):
        text = text.rstrip(".,?")
    return speech.samples[: int(moment * SAMPLE_RATE)], text, moment


class ClipMaker:
    """Draws clips. One generator each for choices and for noise, both from the shard's seed."""

    def __init__(self, digits: Digits, seed: int) -> None:
        self._rng = random.Random(seed)
        self._generator = np.random.default_rng(seed)
        self._channel = Channel(self._rng, self._generator)
        self._digits = digits

    def clip(self) -> tuple[Samples, Label]:
        kind = self._rng.random()
        if kind < NONSPEECH_SHARE:
            samples = nonspeech(self._rng, self._generator)
            return samples, Label(self._rng.choice(LANGUAGES), [], [("_", 0.0)])
        if kind < NONSPEECH_SHARE + HUMAN_SHARE and self._digits:
            return self._join("en", [self._human_digits()])
        english = kind < NONSPEECH_SHARE + HUMAN_SHARE + ENGLISH_SHARE
        language = "en" if english else self._rng.choice(LANGUAGES[1:])
        return self._join(language, self._spoken_sentences(language))

    def _human_digits(self) -> tuple[str, Speech]:
        count = self._rng.choice([1, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7])
        speech = fsdd.digit_string(self._digits, count, self._rng)
        assert speech.words is not None
        return " ".join(word.text for word in speech.words), speech

    def _spoken_sentences(self, language: str) -> list[tuple[str, Speech]]:
        rng = self._rng
        count = rng.choices([1, 2, 3, 4], [60, 23, 13, 4])[0]
        factor = rng.choice([1.0, rng.uniform(0.87, 1.15), rng.uniform(0.79, 1.27)])
        voice: Voice = training_voice(language, rng)
        spoken = []
        for index in range(count):
            if index and rng.random() < 0.25:  # another speaker answers
                voice = training_voice(language, rng)
            text = self._text(language)
            speech = voice.say(text)
            spoken.append((text, speech if factor == 1 else speech.warped(factor)))
        return spoken

    def _text(self, language: str) -> str:
        while True:
            salad = self._rng.random() < SALAD_SHARE
            text = word_salad(language, self._rng) if salad else sentence(language, self._rng)
            if text not in all_held_out():
                return text

    def _join(self, language: str, spoken: list[tuple[str, Speech]]) -> tuple[Samples, Label]:
        """Sentences after each other with pauses, some cut short, through the channel."""
        rng = self._rng
        parts: list[Samples] = []
        segments: list[tuple[str, float, float]] = []
        phones: list[tuple[str, float]] | None = [("_", 0.0)]
        now, was_cut = 0.0, False
        for index, (text, speech) in enumerate(spoken):
            lead = self._pause(rng.choice([0.0, 0.15, 0.6])) if index == 0 else rng.uniform(0.12, 0.9)
            if index and now + lead + speech.seconds > _LONGEST_JOINED_SECONDS:
                break
            samples, seconds = (
                speech.samples,
                speech.words[-1].end if speech.words else speech.seconds,
            )
            if len(spoken) == 1 and speech.words and rng.random() < CUT_SHARE:
                samples, text, seconds = cut_short(speech, rng)
                was_cut = True
            parts += [silence(lead), with_peak(samples, rng.uniform(0.3, 1))]
            now += lead
            if phones is not None:
                timed = [(name, start + now) for name, start in speech.phones or ()]
                phones = phones + timed if timed else None
            if text:
                segments.append((text, now, now + seconds))
            now += len(samples) / SAMPLE_RATE
        if not was_cut:
            parts.append(silence(self._pause(rng.choice([0.0, 0.3, 0.9]))))
        joined = np.concatenate(parts)[: int(LONGEST_SECONDS * SAMPLE_RATE)]
        rounded = phones and [(name, round(start, 3)) for name, start in phones]
        return self._channel.carry(joined), Label(language, segments, rounded)

    def _pause(self, longest: float) -> float:
        return self._rng.uniform(0, longest) if longest else 0.0


_worker_digits: Digits = {}


def _start_worker(recordings: list[fsdd.Recording]) -> None:
    """Each process keeps the digits it mixes in."""
    _worker_digits.update(fsdd.load(recordings, test_speakers=False))


def _write_shard(shard: int, folder: Path, clips: int, seed: int) -> Path:
    from faster_whisper.feature_extractor import FeatureExtractor

    extract = FeatureExtractor()
    maker = ClipMaker(_worker_digits, seed * 100_000 + shard)
    features: list[Any] = []
    labels: list[dict[str, Any]] = []
    offset = 0
    while len(labels) < clips:
        samples, label = maker.clip()
        if len(samples) < _SHORTEST_SECONDS * SAMPLE_RATE:
            continue
        mel = extract(samples).T.astype(np.float16)
        labels.append({**asdict(label), "offset": offset, "frames": len(mel)})
        features.append(mel)
        offset += len(mel)
    path = folder / f"{seed:03d}-{shard:04d}.npy"
    np.save(path, np.concatenate(features))
    # The labels come last: a shard without them is unfinished and is not read.
    path.with_suffix(".json").write_text(json.dumps(labels), "utf-8")
    return path


def write_shards(
    folder: Path,
    clips: int,
    seed: int,
    recordings: Iterable[fsdd.Recording],
    processes: int,
    clips_per_shard: int = CLIPS_PER_SHARD,
) -> None:
    """Make `clips` training clips, `processes` shards at a time.

    Shards that exist are kept, so it can be resumed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = range(-(-clips // clips_per_shard))
    missing = [n for n in shards if not (folder / f"{seed:03d}-{n:04d}.json").exists()]
    work = partial(_write_shard, folder=folder, clips=clips_per_shard, seed=seed)
    # spawn: the synthesiser is a global of the process and must not be inherited half alive.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _start_worker, (list(recordings),)) as pool:
        for _ in tqdm(pool.imap_unordered(work, missing), total=len(missing), unit="shard"):
            pass
