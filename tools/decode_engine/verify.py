"""How often the accurate demo model lets a right text stand, and a wrong one.

Drafts are what the fast model makes of the clips, right and wrong ones, and texts that were made wrong on
purpose: a word missing, doubled, exchanged or added, a sentence missing or added.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import verify
from rtc_stt.engines.batching import context_frames
from rtc_stt.engines.model import Model
from rtc_stt.engines.word_times import longest_token, sound, sound_after, token_times
from rtc_stt.stabilizer import normalise_word
from tools.decode_engine.engines import ask, load, spread
from tools.decode_engine.word_times import true_times

__all__ = ["Checked", "check", "measure"]

GAP_S = 0.15
"""Silence kept around speech where two clips are joined to one utterance."""

RIGHT = frozenset({"right", "right_of_two_sentences", "same_as_the_accurate_model"})
"""Kinds of drafts that should stand."""


@dataclass(frozen=True)
class Checked:
    """A draft and what the accurate model thinks of it."""

    kind: str
    text: str
    score: verify.Score

    @property
    def stands(self) -> bool:
        return verify.stands(self.score)


def measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    """Acceptance by kind of draft, and what other thresholds would do."""
    checked = list(check(limit, done))
    kinds: dict[str, list[Checked]] = {}
    for entry in checked:
        kinds.setdefault(entry.kind, []).append(entry)
    right = [entry for entry in checked if entry.kind in RIGHT]
    wrong = [entry for entry in checked if entry.kind not in RIGHT]
    return {
        "thresholds": {
            "min_mean": verify.MIN_MEAN,
            "min_weakest": verify.MIN_WEAKEST,
            "max_rest_s": verify.MAX_REST_S,
            "max_token_s": verify.MAX_TOKEN_S,
        },
        "false_rejects_percent": _percent([not entry.stands for entry in right]),
        "false_accepts_percent": _percent([entry.stands for entry in wrong]),
        "kinds": {
            kind: {
                "drafts": len(entries),
                "should_stand": kind in RIGHT,
                "stand": sum(int(entry.stands) for entry in entries),
                "mean": spread([entry.score.mean for entry in entries], 3),
                "weakest": spread([entry.score.weakest for entry in entries], 3),
                "rest_s": spread([entry.score.rest_s for entry in entries], 2),
                "longest_s": spread([entry.score.longest_s for entry in entries], 2),
            }
            for kind, entries in sorted(kinds.items())
        },
        "other_thresholds": list(_sweep(right, wrong)),
    }


def check(limit: int | None, done: Callable[[], object]) -> Iterator[Checked]:
    """Score all drafts of all clips; clips too long to tell are none."""
    fast, accurate = load(demo_models.FAST), load(demo_models.ACCURATE)
    model = Model(demo_models.ACCURATE.path, "accurate", device="cpu", compute_type="int8", cpu_threads=1)
    clips = load_clips(limit=limit)
    rng = random.Random(1)
    digits = [word for clip in load_clips("digits", limit=10) for word in _single_words(clip)]
    for i, clip in enumerate(clips):
        audio = clip.audio()
        drafts = [*_heard(fast.decode(ask(audio)).text, accurate.decode(ask(audio)).text, clip.text)]
        drafts += _broken(clip.text, [word for other in clips for word in other.text.split()], rng)
        yield from _score(model, audio, drafts)
        other = clips[(i + 7) % len(clips)]
        joined = np.concatenate([_speech(clip), _speech(other)])
        if len(joined) <= 8 * SAMPLE_RATE:
            both = accurate.decode(ask(joined)).text
            if _words(both) == _words(f"{clip.text} {other.text}"):
                yield from _score(
                    model,
                    joined,
                    [
                        ("right_of_two_sentences", both),
                        ("second_sentence_missing", clip.text),
                        ("first_sentence_missing", other.text),
                    ],
                )
        if clip.set != "digits":
            joined = np.concatenate([_speech(clip), rng.choice(digits)])
            heard = _words(accurate.decode(ask(joined)).text)
            if len(heard) > len(_words(clip.text)) and heard[: len(_words(clip.text))] == _words(clip.text):
                yield from _score(model, joined, [("single_word_sentence_missing", clip.text)])
        done()


def _heard(fast: str, accurate: str, truth: str) -> Iterator[tuple[str, str]]:
    if _words(fast) == _words(truth):
        yield "right", fast
    elif _words(fast) == _words(accurate):
        yield "same_as_the_accurate_model", fast
    elif _words(accurate) == _words(truth):
        yield "wrong_where_the_accurate_model_is_right", fast
    else:
        yield "wrong_where_both_are", fast


def _broken(text: str, vocabulary: Sequence[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    words = text.split()
    middle = rng.randrange(1, len(words) - 1)
    mark = text[-1]
    yield "last_word_missing", " ".join(words[:-1]).rstrip(",") + mark
    yield "last_word_and_mark_missing", " ".join(words[:-1])
    yield "first_word_missing", " ".join(words[1:])
    yield "word_missing", " ".join([*words[:middle], *words[middle + 1 :]])
    yield "word_doubled", " ".join([*words[: middle + 1], *words[middle:]])
    other = rng.choice([word for word in vocabulary if _words(word) != _words(words[middle])])
    yield "word_exchanged", " ".join([*words[:middle], other, *words[middle + 1 :]])
    yield "sentence_added", f"{text} Thank you."
    yield "word_added", f"{text.rstrip('.?!')} please{mark}"


def _score(model: Model, audio: Samples, drafts: Sequence[tuple[str, str]]) -> Iterator[Checked]:
    tokenizer = model.tokenizers["en"]
    mel = model.features(audio)
    encoded = model.encode([mel], context_frames(mel.shape[1], ContextPolicy.TIGHT, model.n_mels))
    loud = sound(mel)
    for kind, text in drafts:
        if not text:
            continue
        tokens = verify.draft_tokens(tokenizer, text)
        probed = verify.with_closing_mark(tokenizer, tokens, text)
        [alignment] = model.align(encoded, [0], [probed], [mel.shape[1]], "en")
        times = token_times(alignment, len(tokens))
        score = verify.Score.of(
            alignment.text_token_probs, sound_after(loud, times[-1]), longest_token(loud, times)
        )
        yield Checked(kind, text, score)


def _speech(clip: Clip) -> Samples:
    margin = round(GAP_S * SAMPLE_RATE)
    start, end = (ms * SAMPLE_RATE // 1000 for ms in (clip.speech_start_ms, clip.speech_end_ms))
    return clip.audio()[start - margin : end + margin]


def _single_words(clip: Clip) -> Iterator[Samples]:
    """Each recording of a digits clip, with the silence that an utterance has around it."""
    silence = np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)
    audio = clip.audio()
    for word in true_times()[clip.id]:
        start, end = (int(word[key]) * SAMPLE_RATE // 1000 for key in ("start_ms", "end_ms"))
        yield np.concatenate([silence, audio[start:end], silence])


def _sweep(right: Sequence[Checked], wrong: Sequence[Checked]) -> Iterator[dict[str, float]]:
    for mean, weakest, rest_s in itertools.product((0.8, 0.9, 0.95), (0.1, 0.3, 0.5), (0.1, 0.2, 0.3, 0.5)):
        bar = verify.Score(mean, weakest, rest_s, verify.MAX_TOKEN_S)
        yield {
            "min_mean": mean,
            "min_weakest": weakest,
            "max_rest_s": rest_s,
            "false_rejects_percent": _percent([not _reaches(entry.score, bar) for entry in right]),
            "false_accepts_percent": _percent([_reaches(entry.score, bar) for entry in wrong]),
        }


def _reaches(score: verify.Score, bar: verify.Score) -> bool:
    return (
        score.mean >= bar.mean
        and score.weakest >= bar.weakest
        and score.rest_s <= bar.rest_s
        and score.longest_s <= bar.longest_s
    )


def _percent(flags: Sequence[bool]) -> float:
    return round(100 * float(np.mean(flags)), 2) if flags else 0.0


def _words(text: str) -> list[str]:
    return [normalise_word(word) for word in text.split()]
