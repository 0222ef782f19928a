"""Word error rates of model folders, and what routing between two of them would do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

from rtc_stt.bench.words import word_errors
from tools.demo_models.audio import read_flac
from tools.demo_models.decode import Decoder
from tools.demo_models.testsets import SET_NAMES, Case, read_test_set

# What a person may say to the demo; routing is judged on these and not on noise or cut-off clips.
ROUTED_SETS = ("clips/clean", "clips/noisy", "clips/digits")
_DETECTED_SETS = ("languages",)
_THRESHOLDS = (0.50, 0.60, 0.70, 0.80, 0.85, 0.90, 0.95, 0.98)


@dataclass(frozen=True)
class Row:
    """One decoded clip. `avg_logprob` is None where no text came out."""

    set: str
    index: int
    reference: str
    hypothesis: str
    errors: int
    words: int
    avg_logprob: float | None
    no_speech_prob: float
    language_right: bool

    @property
    def confidence(self) -> float:
        """exp(avg_logprob); a clip without text counts as unsure."""
        return float(np.exp(self.avg_logprob)) if self.avg_logprob is not None else 0.0


def committed_clips(folder: Path) -> dict[str, list[Case]]:
    """The sets of `tests/clips`, as clips/clean and so on."""
    sets: dict[str, list[Case]] = {}
    for entry in json.loads((folder / "manifest.json").read_text("utf-8")):
        case = Case(read_flac(folder / entry["file"]), entry["language"], entry["text"])
        sets.setdefault(f"clips/{entry['set']}", []).append(case)
    return sets


def all_sets(clips: Path, test_sets: Path) -> Iterator[tuple[str, list[Case]]]:
    """Whatever is there of both kinds."""
    if (clips / "manifest.json").is_file():
        yield from committed_clips(clips).items()
    for name in SET_NAMES:
        if not (test_sets / f"{name}.json").is_file():
            continue
        # Empty where `testsets` was given no speaker to test on.
        if cases := read_test_set(test_sets, name):
            yield name, cases


def decode_set(decoder: Decoder, name: str, cases: Sequence[Case]) -> list[Row]:
    rows = []
    for index, case in enumerate(tqdm(cases, desc=name, unit="clip", leave=False)):
        # Only one set asks the model for the language: elsewhere the caller knows it.
        asked = None if name in _DETECTED_SETS else case.language
        found = decoder.decode(case.samples, asked)
        errors, words = word_errors(case.text, found.text)
        logprob = None if np.isnan(found.avg_logprob) else found.avg_logprob
        rows.append(
            Row(
                set=name,
                index=index,
                reference=case.text,
                hypothesis=found.text,
                errors=errors,
                words=words,
                avg_logprob=logprob,
                no_speech_prob=found.no_speech_prob,
                language_right=found.language == case.language,
            )
        )
    return rows


def summary(rows: Sequence[Row]) -> str:
    """One line for one set."""
    words = sum(row.words for row in rows)
    name, count = rows[0].set, len(rows)
    if words == 0:
        wordy = sum(bool(row.hypothesis) for row in rows)
        marked = sum(row.no_speech_prob > 0.6 for row in rows)
        return f"{name:18s} {count:4d} clips  with text {wordy}, no_speech_prob > 0.6 in {marked}"
    rate = 100 * sum(row.errors for row in rows) / words
    exact = 100 * sum(row.errors == 0 for row in rows) / count
    line = f"{name:18s} {count:4d} clips  WER {rate:5.1f} %  exact {exact:5.1f} %"
    if name in _DETECTED_SETS:
        right = 100 * sum(row.language_right for row in rows) / count
        line += f"  language right {right:.1f} %"
    return line


def evaluate(model: Path, sets: Iterable[tuple[str, list[Case]]], padded: bool) -> list[Row]:
    """Decode and print a line for each set."""
    decoder = Decoder(model, padded=padded)
    print(f"{model.name}, int8, greedy, {'padded to 30 s' if padded else 'tight'}")
    rows: list[Row] = []
    for name, cases in sets:
        found = decode_set(decoder, name, cases)
        print(" ", summary(found), flush=True)
        rows += found
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], ensure_ascii=False)
    path.write_text(text, "utf-8")


def read_rows(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text("utf-8"))]


def area_under_roc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Chance that a random positive scores above a random negative, ties half."""
    if not positive or not negative:
        return float("nan")
    above, below = np.array(positive)[:, None], np.array(negative)[None]
    return float((above > below).mean() + 0.5 * (above == below).mean())


def routing_table(fast: Iterable[Row], accurate: Iterable[Row]) -> list[str]:
    """What escalating clips of low confidence costs and gives, a line for each threshold."""
    better = {(row.set, row.index): row for row in accurate}
    rows = [row for row in fast if row.set in ROUTED_SETS]
    words = sum(row.words for row in rows)

    def rate(chosen: Iterable[Row]) -> float:
        return 100 * sum(row.errors for row in chosen) / words

    right = [row.confidence for row in rows if row.errors == 0]
    wrong = [row.confidence for row in rows if row.errors]
    lines = [
        f"{len(rows)} clips: fast alone {rate(rows):.1f} %, "
        f"accurate alone {rate(better[row.set, row.index] for row in rows):.1f} %, "
        f"AUROC of the fast model's confidence {area_under_roc(right, wrong):.3f}"
    ]
    for threshold in _THRESHOLDS:
        unsure = [row.confidence < threshold for row in rows]
        chosen = [
            better[row.set, row.index] if escalate else row
            for row, escalate in zip(rows, unsure, strict=True)
        ]
        lines.append(
            f"re-decode below {threshold:.2f}: {100 * np.mean(unsure):5.1f} % of clips, "
            f"WER {rate(chosen):.1f} %"
        )
    return lines
