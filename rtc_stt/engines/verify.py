"""Whether another decode's text may stand: what the model thinks of it, without decoding. No model in here.

``align`` runs the whole text through the decoder at once and gives the probability of each token, at about
a quarter of the cost of decoding. It gives none of the end token. What stands in for it: a text that was cut
off in the middle of a sentence has an improbable closing mark, and one that lacks a sentence ends long
before the sound does, or is stretched over it.

The figures come from ``python -m tools.decode_engine verify`` (``docs/results/verify.json``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt import guard
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.engines.word_times import UNSPACED_LANGUAGES
from rtc_stt.hypothesis import Hypothesis

__all__ = ["Score", "draft_tokens", "is_sound", "stands", "with_closing_mark"]

MIN_MEAN = 0.9
"""Geometric mean of the token probabilities. Wrong texts stay well below: their p95 is about 0.5."""

MIN_WEAKEST = 0.3
"""Probability of the least probable token. One wrong word in a long text hardly moves the mean."""

MAX_REST_S = 0.2
"""Sound behind the end of the text. More is left by a missing sentence, or where the end of the last word is
told wrongly, which costs a decode."""

MAX_TOKEN_S = 0.8
"""Sound in one token. Where the alignment stretches a text over a missing sentence, one token holds it all;
the longest of a right text holds at most 0.75 s in 99 of 100."""

CLOSING_MARKS = ".?!…。？！"

NO_EVIDENCE = SpeechEvidence(speech_ms=0, mean_probability=0.0)


@dataclass(frozen=True, slots=True)
class Score:
    """What a model thinks of a text."""

    mean: float
    """Geometric mean of the token probabilities, in [0, 1]."""
    weakest: float
    rest_s: float
    """Sound behind the end of the text, in seconds."""
    longest_s: float = 0.0
    """Sound in the token that holds most, in seconds."""

    @classmethod
    def of(cls, probabilities: Sequence[float], rest_s: float, longest_s: float) -> Score:
        """From the probability of each token of the text and its closing mark; at least one."""
        logarithms = [math.log(max(p, 1e-12)) if p == p else -math.inf for p in probabilities]  # NaN is none
        return cls(math.exp(sum(logarithms) / len(logarithms)), math.exp(min(logarithms)), rest_s, longest_s)


def draft_tokens(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a draft as the model would say them: where words have spaces, a text begins with one."""
    before = "" if tokenizer.language_code in UNSPACED_LANGUAGES else " "
    return list(tokenizer.encode(before + text.strip()))


def with_closing_mark(tokenizer: Any, tokens: list[int], text: str) -> list[int]:
    """The tokens with a full stop at their end, unless the text has a closing mark."""
    if text.rstrip("\"'”’») ").endswith(tuple(CLOSING_MARKS)):
        return tokens
    return [*tokens, *tokenizer.encode(".")]


def stands(score: Score) -> bool:
    """Whether the text may stand as it is."""
    return (
        score.mean >= MIN_MEAN
        and score.weakest >= MIN_WEAKEST
        and score.rest_s <= MAX_REST_S
        and score.longest_s <= MAX_TOKEN_S
    )


def is_sound(hypothesis: Hypothesis) -> bool:
    """Whether nothing about a text that stands calls for a look at the silence.

    Alignment does not tell ``no_speech_prob``, so what is often invented in silence is decoded.
    """
    return not guard.is_suspicious(hypothesis) and guard.doubt(hypothesis, NO_EVIDENCE) is None
