"""How far word times are from the truth, and which attention heads give the best ones.

The truth is the manifest's: espeak-ng's word events for the synthetic sets, where a word ends as the next one
begins, and the energy of each recording for the digits.
"""

from __future__ import annotations

import difflib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtc_stt import demo_models
from rtc_stt.bench.clips import CLIPS, Clip
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.engines.encoded import Encoded
from rtc_stt.engines.mel import Mel
from rtc_stt.engines.model import Model
from rtc_stt.engines.word_times import time_words
from rtc_stt.hypothesis import Word
from rtc_stt.stabilizer import normalise_word
from tools.decode_engine.engines import MODELS, ask, load, spread

__all__ = ["NEAR_MS", "best_heads", "measure", "offsets", "true_times"]

NEAR_MS = 80

Times = list[dict[str, Any]]
"""``word``, ``start_ms``, ``end_ms`` of each word, as in the manifest."""


@dataclass(frozen=True)
class Offsets:
    """How late each word starts and ends, in ms; negative: early."""

    starts: list[int]
    ends: list[int]


def offsets(words: Sequence[Word], truth: Times) -> Offsets:
    """Of the words that were heard right."""
    heard = [normalise_word(word.word) for word in words]
    said = [normalise_word(str(word["word"])) for word in truth]
    starts, ends = [], []
    for block in difflib.SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            word, true = words[block.a + i], truth[block.b + i]
            starts.append(word.start_ms - int(true["start_ms"]))
            ends.append(word.end_ms - int(true["end_ms"]))
    return Offsets(starts, ends)


def measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    """Errors by model and set, of each model's own texts."""
    truth = true_times()
    result: dict[str, Any] = {}
    for demo in MODELS:
        engine = load(demo)
        by_set: dict[str, list[Offsets]] = {}
        for clip in load_clips(limit=limit):
            heard = engine.decode(ask(clip.audio(), word_timestamps=True))
            by_set.setdefault(clip.set, []).append(offsets(heard.words, truth[clip.id]))
            done()
        everything = [entry for entries in by_set.values() for entry in entries]
        result[demo.name] = {
            "alignment_heads": json.loads((demo.path / "config.json").read_text())["alignment_heads"],
            **{name: _summary(entries) for name, entries in {**by_set, "all": everything}.items()},
        }
    return result


def _summary(entries: Sequence[Offsets]) -> dict[str, Any]:
    starts = [offset for entry in entries for offset in entry.starts]
    ends = [offset for entry in entries for offset in entry.ends]
    return {
        "words": len(starts),
        "starts_within_80_ms_percent": _near(starts),
        "ends_within_80_ms_percent": _near(ends),
        "start_ms": spread(starts),
        "end_ms": spread(ends),
        "absolute_start_ms": spread([abs(offset) for offset in starts]),
        "absolute_end_ms": spread([abs(offset) for offset in ends]),
    }


def _near(values: Sequence[int]) -> float:
    return round(100 * float(np.mean(np.abs(values) <= NEAR_MS)), 1) if values else 0.0


def true_times() -> dict[str, Times]:
    """The words of every clip by its id."""
    entries = json.loads((CLIPS / "manifest.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry["words"] for entry in entries}


# ── Heads ──


@dataclass(frozen=True)
class _Prepared:
    """A clip whose true text only waits to be aligned."""

    truth: Times
    mel: Mel
    encoded: Encoded
    tokens: list[int]


def best_heads(demo: demo_models.DemoModel, limit: int, done: Callable[[], object]) -> list[dict[str, Any]]:
    """Sets of up to four cross-attention heads, best first, by starts and ends within 80 ms."""
    model = _model(demo.path)
    clips = [_prepare(model, clip, times) for clip, times in _with_times(limit)]
    heads = list(itertools.product(range(_decoder_layers(demo)), range(4)))
    rated = []
    for chosen in itertools.chain.from_iterable(itertools.combinations(heads, n) for n in range(1, 5)):
        with _with_heads(demo.path, chosen) as path:
            other = _model(path)
        entries = [_align(other, clip) for clip in clips]
        rated.append({"alignment_heads": [list(head) for head in chosen], **_summary(entries)})
        done()
    return sorted(rated, key=lambda r: -(r["starts_within_80_ms_percent"] + r["ends_within_80_ms_percent"]))


def _model(path: Path) -> Model:
    return Model(path, path.name, device="cpu", compute_type="int8", cpu_threads=1)


def _with_times(limit: int) -> Iterator[tuple[Clip, Times]]:
    truth = true_times()
    return ((clip, truth[clip.id]) for clip in load_clips(limit=limit))


def _prepare(model: Model, clip: Clip, truth: Times) -> _Prepared:
    mel = model.features(clip.audio())
    tokens = list(model.tokenizers["en"].encode(" " + clip.text))
    return _Prepared(truth, mel, model.encode([mel], mel.shape[1] + 2), tokens)


def _align(model: Model, clip: _Prepared) -> Offsets:
    [alignment] = model.align(clip.encoded, [0], [clip.tokens], [clip.mel.shape[1]], "en")
    return offsets(time_words(model.tokenizers["en"], clip.tokens, alignment, clip.mel, 0), clip.truth)


def _decoder_layers(demo: demo_models.DemoModel) -> int:
    """The recipe names the upper half of the layers, and of a single one all."""
    from tools.demo_models.shapes import SHAPES

    return SHAPES[demo.name].decoder_layers


@contextmanager
def _with_heads(path: Path, heads: Sequence[Sequence[int]]) -> Iterator[Path]:
    """The model folder with other alignment heads."""
    config: Mapping[str, Any] = json.loads((path / "config.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        for file in path.iterdir():
            (Path(folder) / file.name).symlink_to(file)
        (Path(folder) / "config.json").unlink()
        other = {**config, "alignment_heads": [list(head) for head in heads]}
        (Path(folder) / "config.json").write_text(json.dumps(other))
        yield Path(folder)
