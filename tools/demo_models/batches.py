"""Batches out of shards: fixed shapes, warped features, targets in Whisper's token format."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.demo_models.dataset import Label
from tools.demo_models.grammar import sentence
from tools.demo_models.model import MEL_BANDS, PAD_SAMPLES
from tools.demo_models.paths import PHONES, TOKENIZER
from tools.demo_models.tokens import Tokens

_CHARACTERS = " 'abcdefghijklmnopqrstuvwxyzáéíóúñüäößàâçèêëîïôûùÁÉ"
CHARACTER_IDS = {character: index + 1 for index, character in enumerate(_CHARACTERS)}
CHARACTER_COUNT = len(_CHARACTERS) + 1  # 0 is CTC's blank
IGNORED = -100
_POSITION_SECONDS = 0.02
_BUCKET = 32  # encoder positions; see Shards.batches
_MOST_TOKENS = 440

PROMPT_SHARE, TIMESTAMP_SHARE, PADDED_SHARE = 0.15, 0.3, 0.6
WARP_SHARE, EQUALISE_SHARE, MASK_SHARE = 0.7, 0.3, 0.3
_WARP = (0.78, 1.28)


def phone_ids() -> dict[str, int]:
    return {name: index for index, name in enumerate(json.loads(PHONES.read_text("utf-8")))}


@dataclass(frozen=True)
class Batch:
    """Tensors of one step.

    `frames` counts the real frames of each row, `padded` says which rows see zero padding.
    """

    mel: Tensor
    frames: Tensor
    padded: Tensor
    inputs: Tensor
    targets: Tensor
    characters: list[list[int]]
    phones: Tensor


Item = tuple[NDArray[np.float16], Label]


def _bucket(frames: int) -> int:
    return max(2, -(-(frames // 2 + 4 + PAD_SAMPLES) // _BUCKET))


class Shards:
    """All clips of a folder, memory-mapped."""

    def __init__(self, folders: list[Path]) -> None:
        self.items: list[Item] = []
        for path in sorted(path for folder in folders for path in folder.glob("*.json")):
            features = np.load(path.with_suffix(".npy"), mmap_mode="r")
            self.items += [(features, Label(**label)) for label in json.loads(path.read_text("utf-8"))]
        if not self.items:
            raise FileNotFoundError(f"no shards in {', '.join(map(str, folders))}: run `data` first")

    def batches(
        self, positions: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> Iterator[tuple[int, list[Item]]]:
        """Endless (bucket, clips); all ranks draw one stream, and each takes its part of a batch.

        Only fixed shapes: oneDNN builds a kernel for each shape, and random shapes cost half as much
        again. So clips go into buckets of 32 encoder positions, each with its own number of clips.
        """
        rng = random.Random(seed)
        pending: dict[int, list[Item]] = {}
        while True:
            for index in rng.sample(range(len(self.items)), len(self.items)):
                item = self.items[index]
                bucket = _bucket(item[1].frames)
                queue = pending.setdefault(bucket, [])
                queue.append(item)
                if len(queue) >= ranks * max(2, positions // (_BUCKET * bucket)):
                    pending[bucket] = []
                    yield bucket, queue[rank::ranks]


# Slaney's mel scale as librosa and Whisper have it: linear up to 1 kHz (mel 15), logarithmic above.
_MEL_TOP = 45.245640471924965  # 8 kHz
_MEL_CENTRES = np.linspace(0, _MEL_TOP, MEL_BANDS + 2)[1:-1]


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = 1000 * np.exp((mel - 15) * np.log(6.4) / 27)
    return np.where(mel < 15, mel * 200 / 3, logarithmic)


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / np.log(6.4)
    return np.where(hz < 1000, hz * 3 / 200, logarithmic)


def vocal_tract_warp(mel: Tensor, factor: float) -> Tensor:
    """Vocal tract length perturbation (Jaitly and Hinton, 2013) on the mel axis.

    Each row is re-read at `factor` times its frequency. The one augmentation that voices never heard
    cannot do without.
    """
    place = _hz_to_mel(_mel_to_hz(_MEL_CENTRES) * factor) / (_MEL_TOP / (MEL_BANDS + 1)) - 1
    place = np.clip(place, 0, MEL_BANDS - 1)
    low = np.minimum(place.astype(int), MEL_BANDS - 2)
    share = torch.from_numpy((place - low).astype(np.float32))
    index = torch.from_numpy(low)
    return mel[:, index] * (1 - share) + mel[:, index + 1] * share


class Collator:
    """Clips to tensors, augmented anew each time they come by."""

    def __init__(self, seed: int, *, warp: bool = True) -> None:
        self._rng = random.Random(seed)
        self._warp_share = WARP_SHARE if warp else 0.0
        self._tokens = Tokens(TOKENIZER)
        self._phones = phone_ids()

    def __call__(self, bucket: int, items: list[Item]) -> Batch:
        # faster-whisper drops the last frame.
        frames = torch.tensor([label.frames - 1 for _, label in items])
        width = 2 * (_BUCKET * bucket - PAD_SAMPLES)
        mel = torch.zeros(len(items), width, MEL_BANDS)
        phones = np.full((len(items), width // 2), IGNORED)
        for row, (features, label) in enumerate(items):
            count = label.frames - 1
            clip = np.asarray(features[label.offset : label.offset + count], dtype=np.float32)
            mel[row, :count] = self._augment(torch.from_numpy(clip))
            self._fill_phones(phones[row, : (count + 1) // 2], label)
        pairs = [self.targets(label) for _, label in items]
        longest = -(-max(len(inputs) for inputs, _ in pairs) // 16) * 16
        inputs = torch.full((len(items), longest), self._tokens.end_of_text)
        targets = torch.full((len(items), longest), IGNORED)
        for row, (x, y) in enumerate(pairs):
            inputs[row, : len(x)] = torch.tensor(x)
            targets[row, : len(y)] = torch.tensor(y)
        return Batch(
            mel=mel.transpose(1, 2).contiguous(),
            frames=frames,
            padded=torch.rand(len(items)) < PADDED_SHARE,
            inputs=inputs,
            targets=targets,
            characters=[_characters(label) for _, label in items],
            phones=torch.from_numpy(phones),
        )

    def _augment(self, mel: Tensor) -> Tensor:
        rng = self._rng
        if rng.random() < self._warp_share:
            mel = vocal_tract_warp(mel, rng.uniform(*_WARP))
        if rng.random() < EQUALISE_SHARE:  # a smooth equaliser of up to about 6 dB
            band = torch.linspace(0, 1, MEL_BANDS)
            tilt = rng.uniform(-0.15, 0.15) * (2 * band - 1)
            ripple = torch.cos(math.pi * band * rng.uniform(1, 4) + rng.uniform(0, 6.3))
            mel = mel + tilt + rng.uniform(-0.1, 0.1) * ripple
        if rng.random() < MASK_SHARE:  # SpecAugment (Park et al., 2019)
            mel = mel.clone()
            mean = mel.mean()
            for _ in range(rng.randint(0, 2)):
                size = rng.randint(1, 12)
                start = rng.randint(0, MEL_BANDS - size)
                mel[:, start : start + size] = mean
            for _ in range(rng.randint(0, 2)):
                size = rng.randint(1, 14)
                start = rng.randint(0, max(0, len(mel) - size))
                mel[start : start + size] = mean
        return mel

    def _fill_phones(self, row: NDArray[Any], label: Label) -> None:
        """Phoneme of each encoder position, from the synthesiser's own times."""
        if not label.phones:
            return
        starts = np.array([start for _, start in label.phones])
        ids = np.array([self._phones.get(name, IGNORED) for name, _ in label.phones])
        centres = (np.arange(len(row)) + 0.5) * _POSITION_SECONDS
        row[:] = ids[np.maximum(0, np.searchsorted(starts, centres) - 1)]

    def targets(self, label: Label) -> tuple[list[int], list[int]]:
        """Decoder inputs, and what shall follow each.

        [previous text] start language transcribe [times] text end.
        """
        tokens, rng = self._tokens, self._rng
        x: list[int] = []
        if rng.random() < PROMPT_SHARE:
            count = rng.randint(1, 3)
            prompt = "".join(" " + sentence(label.language, rng) for _ in range(count))
            x += [tokens.previous, *tokens.encode(prompt)]
        y = [IGNORED] * len(x)
        if label.segments:
            first = tokens.languages[label.language]
        else:  # a clip under a second without words may be speech just begun: no verdict
            first = tokens.no_speech if label.frames >= 100 else IGNORED
        x += [tokens.start, tokens.languages[label.language], tokens.transcribe]
        y += [first, IGNORED]
        body: list[int] = []
        if rng.random() < TIMESTAMP_SHARE:
            for text, start, end in label.segments:
                spoken = tokens.encode(" " + text)
                body += [tokens.timestamp(start), *spoken, tokens.timestamp(end)]
            body = body or [tokens.timestamp(0)]
        else:
            x.append(tokens.no_timestamps)
            y.append(IGNORED)
            for text, _, _ in label.segments:
                body += tokens.encode(" " + text)
        x += body
        y += [*body, tokens.end_of_text]
        return x[:_MOST_TOKENS], y[:_MOST_TOKENS]


def _characters(label: Label) -> list[int]:
    text = " ".join(text for text, _, _ in label.segments).lower().replace("-", " ")
    return [CHARACTER_IDS[character] for character in text if character in CHARACTER_IDS]
